//! The program `wabalake`: see `wabalake --help`.

use std::process::ExitCode;

/// jemalloc reuses pages: queries spend less time in the system than with mimalloc, and less in the
/// allocator than with the C library's.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    wabalake::cli::main(&arguments)
}
