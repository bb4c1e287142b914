//! Clocks that jump: the collector's goes two hours ahead, then two hours back, while lines come.

use std::path::Path;

use crate::system::{Options, System};

/// Where Debian keeps the library that shifts a process's clock.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

#[test]
fn nothing_is_lost_or_refused_when_the_clock_jumps() {
    if !Path::new(LIBRARY).exists() {
        return println!("skipped: libfaketime is not installed (apt-get install faketime)");
    }
    let folder = tempfile::tempdir().unwrap();
    let shift = folder.path().join("shift");
    std::fs::write(&shift, "+0").unwrap();
    let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let environment = vec![
        set("LD_PRELOAD", LIBRARY),
        set("FAKETIME_TIMESTAMP_FILE", &shift.display().to_string()),
        set("FAKETIME_NO_CACHE", "1"),
        set("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        set("DONT_FAKE_MONOTONIC", "1"),
    ];
    let options = Options { environment, ..Options::default() };
    let Some(mut system) = System::start(options) else { return };
    system.write(300);
    system.settle();
    for to in ["+2h", "-2h", "+0"] {
        std::fs::write(&shift, to).unwrap();
        system.write(300);
        system.settle();
        system.wait("the agent is heard of", |system| system.agent()["health"] == "online");
    }
    assert!(system.lives("collector") && system.lives("agent"));
    // The jumps are over; none of them may have left an alarm that stays wrong.
    let wrong = |alert: &serde_json::Value| alert.to_string().contains("pikett-residue");
    assert!(!system.alerts().iter().any(wrong), "{:?}", system.alerts());
}
