//! The program `wabalake`; `wabalake --help` says what it does.

use std::process::ExitCode;

/// A sixth to a third less time for a query than with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    wabalake::cli::main(&words)
}
