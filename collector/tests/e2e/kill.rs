//! The kill matrix: collector, agent and cable die again and again while lines keep coming. Every
//! line becomes exactly one event and the books balance.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::system::{Options, System, append};

fn rounds() -> u32 {
    std::env::var("PIKETT_E2E_ROUNDS").map_or(3, |text| text.parse().unwrap())
}

/// Writes lines all the time, about two thousand a second, from a thread of its own.
struct Load {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU32>,
    thread: std::thread::JoinHandle<()>,
}

impl Load {
    fn start(system: &System) -> Self {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (path, end, done) =
            (system.at("logs/app.log"), Arc::clone(&stop), Arc::clone(&written));
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::SeqCst) {
                let from = done.load(Ordering::SeqCst);
                append(&path, from..from + 50, 0);
                done.store(from + 50, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(25));
            }
        });
        Self { stop, written, thread }
    }

    fn end(self, system: &mut System) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
        system.written = self.written.load(Ordering::SeqCst);
    }
}

/// A pause that differs from round to round, so that the blow falls at different moments.
fn pause(round: u32, most: u64) {
    let spread = u64::from(round).wrapping_mul(7919) % most;
    std::thread::sleep(Duration::from_millis(spread));
}

fn under_load(hurt: impl Fn(&mut System, u32)) {
    let options = Options { cable: true, ..Options::default() };
    let Some(mut system) = System::start(options) else { return };
    let load = Load::start(&system);
    for round in 0..rounds() {
        // Something must have got through since the last blow.
        let before = system.count();
        system.wait("the stream flows", |system| {
            let now = system.count();
            now.is_some() && now > before
        });
        pause(round, 700);
        hurt(&mut system, round);
    }
    load.end(&mut system);
    system.settle();
    println!("{} rounds, {} lines, each found once, residue 0", rounds(), system.written);
}

#[test]
fn the_collector_is_killed_again_and_again() {
    under_load(|system, round| {
        system.kill("collector");
        pause(round + 1, 900);
        system.run("collector");
    });
}

#[test]
fn the_agent_is_killed_again_and_again() {
    under_load(|system, round| {
        system.kill("agent");
        pause(round + 1, 900);
        system.run("agent");
    });
}

#[test]
fn the_cable_is_cut_again_and_again() {
    under_load(|system, round| {
        let proxy = system.proxy.as_ref().unwrap();
        // Every third time nothing ends; it only no longer gets through.
        if round % 3 == 2 {
            proxy.swallow();
        } else {
            proxy.cut();
        }
        pause(round + 1, 900);
        proxy.mend();
    });
}

#[test]
fn both_are_killed_at_once() {
    under_load(|system, round| {
        system.kill("agent");
        system.kill("collector");
        pause(round + 1, 400);
        system.run("agent");
        system.run("collector");
    });
}

#[test]
fn a_long_cut_is_made_good_when_the_cable_is_back() {
    let options = Options { cable: true, ..Options::default() };
    let Some(mut system) = System::start(options) else { return };
    system.write(500);
    system.settle();
    system.proxy.as_ref().unwrap().swallow();
    system.write(5_000);
    // The link notices a cable that only swallows, and the agent goes on reading into its spool.
    system.wait("the agent gives the connection up", |system| {
        system.log("agent").contains("link is down")
    });
    assert_eq!(system.count(), Some(500));
    system.proxy.as_ref().unwrap().mend();
    system.settle();
}
