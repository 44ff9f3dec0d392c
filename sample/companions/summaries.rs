//! Kaleyra's summaries of messages, sessions and conversations.

use super::{Companion, amount, line};
use crate::company::LINES;
use crate::ledger::Route;
use crate::people::COUNTRIES;

impl Companion {
    /// Formats a day as `"May 01, 2025"`.
    fn printed(&self, day: i64) -> String {
        self.plan.date(day).unwrap_or_default().format("\"%b %d, %Y\"").to_string()
    }

    pub(super) fn message_summary(&self, out: &mut String) -> u64 {
        let campaign = if self.even { "" } else { "CAMPAIGN NAME," };
        line(
            out,
            format_args!(
                "DATE,WABA ID,WA PHONE NUMBER,DISPLAY NAME,{campaign}COUNTRY,MESSAGE TYPE,CREATED,FAILED,SENT,\
             DELIVERED,READ,RECEIVED"
            ),
        );
        let campaign = if self.even { "" } else { "-," };
        let mut rows = 0;
        for ((day, route, kind), count) in &self.ledger().messages {
            let start =
                format!("{},{}{campaign}{}", self.printed(*day), of_line(*route), country(*route));
            let counts = if kind.starts_with("Incoming") {
                format!("-,-,-,-,-,{}", count.received)
            } else {
                let [created, failed] = [count.created, count.failed];
                format!("{created},{failed},{},{},{},-", count.sent, count.delivered, count.read)
            };
            line(out, format_args!("{start},{kind},{counts}"));
            rows += 1;
        }
        rows
    }

    /// Writes the summary of sessions, or the newer one of lines that are billed by category.
    pub(super) fn session_summary(&self, by_category: bool, out: &mut String) -> u64 {
        line(
            out,
            format_args!(
                "{}",
                if by_category {
                    "DATE,WABA ID,WA PHONE,DISPLAY NAME,CAMPAIGN NAME,DESTINATION,CONVERSATION CATEGORY,FREE TIER,\
             NUMBER OF SESSIONS,AMOUNT"
                } else {
                    "DATE,WABA ID,WA PHONE NUMBER,DISPLAY NAME,COUNTRY,SESSION TYPE,FREE TIER,NUMBER OF SESSIONS,\
             AMOUNT ($)"
                }
            ),
        );
        let campaign = if by_category { "-," } else { "" };
        let mut rows = 0;
        for ((day, route, of, is_free), charge) in &self.ledger().conversations {
            if LINES[route.0].by_category != by_category {
                continue;
            }
            let of = match *of {
                "business_initiated" => "Business-initiated",
                "user_initiated" => "User-initiated",
                "referral_conversion" if !by_category => "Referral",
                category => category,
            };
            let free = if *is_free { "Yes" } else { "No" };
            let amount = charge.millionths.map_or("-".to_owned(), amount);
            line(
                out,
                format_args!(
                    "{},{}{campaign}{},{of},{free},{},{amount}",
                    self.printed(*day),
                    of_line(*route),
                    country(*route),
                    charge.count
                ),
            );
            rows += 1;
        }
        rows
    }
}

/// Formats the columns `WABA ID,WA PHONE NUMBER,DISPLAY NAME,`.
fn of_line((line, _): Route) -> String {
    let line = &LINES[line];
    format!("{},{},\"{}\",", line.waba, line.number, line.display_name)
}

fn country((_, country): Route) -> &'static str {
    COUNTRIES[country].name
}
