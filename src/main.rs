//! The program `wabalake`: see `wabalake --help`.

use std::env;
use std::process::ExitCode;
use std::thread;

/// jemalloc reuses pages: queries spend less time in the system than with mimalloc, and less in the
/// allocator than with the C library's.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    read_more_files_at_once();
    let arguments: Vec<_> = env::args_os().collect();
    wabalake::cli::main(&arguments)
}

/// Has Polars read more files of a table at once than there are cores, unless the environment says otherwise.
///
/// A table has a file a day. One of a small table is read in less time than it takes to open the next one.
#[expect(unsafe_code, reason = "Polars takes these settings from the environment only")]
fn read_more_files_at_once() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let settings = [("POLARS_MAX_CONCURRENT_SCANS", 6), ("POLARS_NUM_READERS_PRE_INIT", 14)];
    for (setting, more) in settings {
        if env::var_os(setting).is_none() {
            // SAFETY: the first statement of the program runs it, so no other thread reads the environment.
            unsafe { env::set_var(setting, (cores + more).to_string()) };
        }
    }
}
