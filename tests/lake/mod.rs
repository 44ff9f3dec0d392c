//! The lake's folder: damaged files, files of other programs, permissions.

mod damage;
mod foreign_files;
mod permissions;
