//! Settings of the process as a whole, which the system or the C library would otherwise choose: how long the
//! allocator keeps memory, how many files may be open.
//!
//! Not here: what is configured. None of it changes what the collector does, only what it costs and how much it
//! can hold; where a setting cannot be had the program goes on without.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// How long the allocator keeps memory that was given back, milliseconds.
///
/// The usual 10 ms is less than an event is on its way from the log to the index, so that each page
/// is given to the kernel and cleared again for every few events: 322,191 page faults for 300,000
/// events instead of 13,599 with 150 ms. Source: mimalloc, `MIMALLOC_PURGE_DELAY`.
const KEPT: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "200");

/// Begins the program anew, in the same process, with `KEPT`, unless it is set already: mimalloc reads its
/// settings before `main`.
///
/// Where that is impossible (no `/proc`, a program that was replaced) it goes on as it is: slower, not wrong.
pub fn keep_memory() {
    let (setting, kept) = KEPT;
    if std::env::var_os(setting).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    let error = again.args(arguments).env(setting, kept).exec();
    tracing::debug!(%error, "the allocator keeps its own setting");
}

/// Permits as many open files as the system allows: each segment of the index has six, so that months of
/// a busy site need more than the usual 1,024. Source: getrlimit(2).
pub fn permit_files() {
    let files = Resource::RLIMIT_NOFILE;
    let raised = getrlimit(files).and_then(|(_, most)| setrlimit(files, most, most).map(|()| most));
    match raised {
        Ok(most) => tracing::info!(most, "open files are permitted"),
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_may_be_open_as_the_system_allows() {
        permit_files();
        let (now, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(now, most);
    }
}
