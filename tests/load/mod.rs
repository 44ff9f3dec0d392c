//! Loading exports: what is found, how cells are read, what is stored and what is rejected.

mod ad_results;
mod ad_spend;
mod agent_chats;
mod cells;
mod dates_and_amounts;
mod export_types;
mod failed_loads;
mod faulty_files;
mod folders;
mod headers;
mod json_wrappers;
mod loads;
mod messages;
mod meta_points;
mod nodes;
mod nothing_taken;
mod people;
mod privacy;
mod rate_cards;
mod rejects;
mod samples;
mod spreadsheets;
mod webhooks;
mod wide;
mod windows;
