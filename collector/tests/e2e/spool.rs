//! The agent's spool when the collector is away: full, and damaged.

use std::path::PathBuf;

use crate::system::{Options, System};

/// Lines that are sure to need more room than the spool has.
const MANY: u32 = 40_000;

fn spooled(system: &System) -> Vec<PathBuf> {
    let files = std::fs::read_dir(system.at("a/spool")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.file_name().is_some_and(|name| name != "lock"));
    files.sort();
    files
}

fn bytes(system: &System) -> u64 {
    spooled(system).iter().map(|path| path.metadata().map_or(0, |meta| meta.len())).sum()
}

/// Events the agent said will never come, for this reason.
fn skipped(system: &System, reason: &str) -> u64 {
    let agent = system.agent();
    let books = agent["agent"]["books"].as_array().unwrap();
    books.iter().filter_map(|book| book["skipped"][reason].as_u64()).sum()
}

#[test]
fn a_full_spool_lets_files_wait_and_nothing_is_lost() {
    let agent = "[spool]\nmegabytes = 16\n".to_owned();
    let options = Options { agent, cable: true, ..Options::default() };
    let Some(mut system) = System::start(options) else { return };
    system.proxy.as_ref().unwrap().cut();
    system.write_bulky(MANY);
    system.wait("the spool is full", |system| system.log("agent").contains("spool is full"));
    assert!(bytes(&system) <= 16 << 20, "{} bytes", bytes(&system));
    system.proxy.as_ref().unwrap().mend();
    system.settle();
}

#[test]
fn what_a_full_spool_gives_up_is_counted_shown_and_alarms() {
    let agent = "[spool]\nmegabytes = 16\nwhen_full = \"drop_oldest\"\n".to_owned();
    let options = Options { agent, cable: true, ..Options::default() };
    let Some(mut system) = System::start(options) else { return };
    system.write(100);
    system.settle();
    system.proxy.as_ref().unwrap().cut();
    system.write_bulky(MANY);
    // What is written last is in the spool, whatever had to go for it.
    let mut before = 0;
    system.wait("the agent has read everything", |system| {
        let name = spooled(system).last().cloned().unwrap_or_default();
        let now = name.metadata().map_or(0, |meta| meta.len());
        std::thread::sleep(std::time::Duration::from_secs(2));
        std::mem::replace(&mut before, now) == now && now > 0
    });
    system.proxy.as_ref().unwrap().mend();
    system.wait("kept and given up are what was written", |system| {
        let given_up = skipped(system, "spool_full");
        given_up > 0 && system.count().unwrap() + given_up == u64::from(system.written)
    });
    system.balance();
    system.wait("the loss alarms", |system| {
        system.alerts().iter().any(|alert| alert.to_string().contains("pikett-events-lost"))
    });
}

#[test]
fn what_cannot_be_read_back_is_accounted_for() {
    let options = Options { cable: true, ..Options::default() };
    let Some(mut system) = System::start(options) else { return };
    system.write(100);
    system.settle();
    system.proxy.as_ref().unwrap().cut();
    let before = bytes(&system);
    system.write(5_000);
    system.wait("all is spooled", |system| {
        let now = bytes(system);
        std::thread::sleep(std::time::Duration::from_millis(700));
        now > before && now == bytes(system)
    });
    system.kill("agent");
    // One flipped byte in the middle of the newest file.
    let newest = spooled(&system).pop().unwrap();
    let mut content = std::fs::read(&newest).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 0x55;
    std::fs::write(&newest, content).unwrap();
    system.run("agent");
    system.proxy.as_ref().unwrap().mend();
    let lost = |system: &System| skipped(system, "spool_corrupt");
    system.wait("stored and lost are what was written", |system| {
        system.count().is_some_and(|count| {
            let lost = lost(system);
            lost > 0 && count + lost == u64::from(system.written)
        })
    });
    system.balance();
    assert!(lost(&system) < 5_000, "one byte must not cost everything");
    assert!(system.log("collector").contains("spool_corrupt"));
}
