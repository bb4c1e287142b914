//! The one setting of the allocator that matters here: how long it keeps memory that was given back.
//!
//! The usual 10 ms is less than an event is on its way from the log to the index, so that each page
//! is given to the kernel and cleared again for every few events: 322,191 page faults for 300,000
//! events instead of 13,599 with 150 ms. mimalloc reads its settings before `main`, hence the new
//! beginning. Source: mimalloc, `MIMALLOC_PURGE_DELAY`.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

const SETTING: &str = "MIMALLOC_PURGE_DELAY";
/// Milliseconds.
const KEPT: &str = "200";

/// Begins the program anew, in the same process, with the setting, unless it is set already.
///
/// Where that is impossible (no `/proc`, a program that was replaced) it goes on as it is: slower, not wrong.
pub fn keep_memory() {
    if std::env::var_os(SETTING).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    let error = again.args(arguments).env(SETTING, KEPT).exec();
    tracing::debug!(%error, "the allocator keeps its own setting");
}
