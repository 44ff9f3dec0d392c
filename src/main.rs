//! The program `wabalake`: see `wabalake --help`.

use std::process::ExitCode;

/// Queries take a sixth to a third less time than with the system allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    wabalake::cli::main(&arguments)
}
