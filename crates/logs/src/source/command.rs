//! Output of commands that are run on a schedule: one event a line.
//!
//! A command is run without a shell, with an environment of its own, as the user of the agent or another, one at a
//! time; how long it may take and how much it may write is bounded.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use event::{Timestamp, set};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, User};
use serde_json::Value;
use service::Clock;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::{Intake, Item, Stopped};
use crate::config::CommandConfig;
use crate::parse::{MAX_FIELD, Parser, Zone};

/// Most bytes taken of the output of one run; the rest is counted.
const MAX_OUTPUT: u64 = 4 * 1024 * 1024;
/// Most bytes taken of what it says on standard error.
const MAX_WORDS: u64 = 16 * 1024;
/// Where programs are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a command cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is nothing to run.
    #[error("command {name:?} has no program")]
    Empty {
        /// As configured.
        name: String,
    },
    /// No such user, or users cannot be looked up.
    #[error("command {name:?}: no such user: {user}")]
    User {
        /// Of the command.
        name: String,
        /// As configured.
        user: String,
    },
    /// No such time zone.
    #[error("unknown time zone {name:?}")]
    Zone {
        /// As configured.
        name: String,
    },
}

/// A command that is run again and again.
#[derive(Debug)]
pub struct Scheduled {
    config: CommandConfig,
    parser: Parser,
    /// User and group to become.
    user: Option<(u32, u32)>,
}

/// What one run came to.
#[derive(Debug, Default)]
struct Run {
    output: Vec<u8>,
    /// Bytes of output that were not taken.
    cut: u64,
    /// What it said, when it failed.
    failure: Option<String>,
    code: Option<i32>,
}

impl Scheduled {
    /// Checks a configuration.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn new(config: &CommandConfig) -> Result<Self, CommandError> {
        if config.command.first().is_none_or(String::is_empty) {
            return Err(CommandError::Empty { name: config.name.clone() });
        }
        let zone = match &config.time_zone {
            None => Zone::utc(),
            Some(name) => {
                Zone::named(name).ok_or_else(|| CommandError::Zone { name: name.clone() })?
            }
        };
        let user = match &config.user {
            None => None,
            Some(user) => {
                let found = User::from_name(user).ok().flatten();
                let unknown =
                    || CommandError::User { name: config.name.clone(), user: user.clone() };
                let found = found.ok_or_else(unknown)?;
                Some((found.uid.as_raw(), found.gid.as_raw()))
            }
        };
        let parser = config.parsers.parser(config.format, zone);
        Ok(Self { parser, config: config.clone(), user })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Runs it on its schedule until `intake` stops. A run that takes longer than the time between two
    /// delays the next one.
    pub async fn serve(self, intake: Intake, clock: Clock) {
        let mut schedule = tokio::time::interval(Duration::from_secs(self.config.every_seconds));
        schedule.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let stop = intake.shutdown().clone();
        loop {
            tokio::select! {
                _ = schedule.tick() => {}
                () = stop.wait() => return,
            }
            let run = tokio::select! {
                run = self.run() => run,
                () = stop.wait() => return,
            };
            if self.tell(run, &intake, &clock).await.is_err() {
                return;
            }
        }
    }

    async fn run(&self) -> Run {
        let mut parts = self.config.command.iter();
        let program = parts.next().map(String::as_str).unwrap_or_default();
        let mut command = Command::new(program);
        command.args(parts).env_clear().env("PATH", PATH).env("LANG", "C.UTF-8");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.process_group(0).kill_on_drop(true).current_dir("/");
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                return Run {
                    failure: Some(format!("cannot be started: {error}")),
                    ..Run::default()
                };
            }
        };
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let limit = Duration::from_secs(self.config.timeout_seconds);
        let mut taken = Taken::default();
        let outcome = tokio::time::timeout(limit, finished(&mut child, &mut taken)).await;
        // What it has started and left behind ends with it.
        if let Some(group) = group {
            let _gone = killpg(group, Signal::SIGKILL);
        }
        match outcome {
            Ok(Ok(status)) => outcome_of(taken, status),
            Ok(Err(error)) => taken.failed(error.to_string()),
            // What it has written until then is taken.
            Err(_) => taken.failed(format!("took longer than {} s", limit.as_secs())),
        }
    }

    async fn tell(&self, run: Run, intake: &Intake, clock: &Clock) -> Result<(), Stopped> {
        let now = Timestamp::from_micros(clock.now_micros());
        for line in run.output.split(|byte| *byte == b'\n') {
            for part in line.chunks(MAX_FIELD) {
                let (mut event, parsed) = self.parser.event(part, now);
                set(&mut event.fields, "event.dataset", Value::String(self.config.name.clone()));
                intake.wait_async(Item::new(event), parsed, part.len()).await?;
            }
        }
        if run.cut == 0 && run.failure.is_none() {
            return Ok(());
        }
        let text = run.failure.unwrap_or_else(|| format!("{} bytes of output left out", run.cut));
        let text = format!("command {}: {text}", self.config.name);
        tracing::warn!("{text}");
        intake.source().count_error();
        let parser = Parser::new(crate::config::Format::Plain, Zone::utc());
        let (mut event, _) = parser.event(text.as_bytes(), now);
        set(&mut event.fields, "event.dataset", Value::String(self.config.name.clone()));
        set(&mut event.fields, "event.outcome", "failure".into());
        if let Some(code) = run.code {
            set(&mut event.fields, "process.exit_code", code.into());
        }
        if run.cut > 0 {
            set(&mut event.fields, "log.truncated_bytes", run.cut.into());
        }
        intake.wait_async(Item::new(event), true, text.len()).await
    }
}

/// What has been read of a run.
#[derive(Debug, Default)]
struct Taken {
    output: Vec<u8>,
    cut: u64,
    words: Vec<u8>,
}

impl Taken {
    fn failed(self, failure: String) -> Run {
        Run { output: self.output, cut: self.cut, failure: Some(failure), code: None }
    }
}

fn outcome_of(taken: Taken, status: ExitStatus) -> Run {
    let words = String::from_utf8_lossy(&taken.words);
    let failure = (!status.success()).then(|| format!("{status}: {}", words.trim()));
    Run { output: taken.output, cut: taken.cut, failure, code: status.code() }
}

/// All a stream gives: what is kept, and how many bytes more there are.
async fn bounded(
    stream: Option<impl AsyncRead + Unpin>,
    most: u64,
    (kept, more): (&mut Vec<u8>, &mut u64),
) -> io::Result<()> {
    let Some(mut stream) = stream else { return Ok(()) };
    (&mut stream).take(most).read_to_end(kept).await?;
    let mut rest = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut rest).await? {
            0 => return Ok(()),
            read => *more = more.saturating_add(u64::try_from(read).unwrap_or(u64::MAX)),
        }
    }
}

async fn finished(child: &mut Child, taken: &mut Taken) -> io::Result<ExitStatus> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let Taken { output, cut, words } = taken;
    let mut beyond = 0;
    let (output, words, status) = tokio::join!(
        bounded(stdout, MAX_OUTPUT, (output, cut)),
        bounded(stderr, MAX_WORDS, (words, &mut beyond)),
        child.wait()
    );
    output?;
    words?;
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Counters;
    use std::sync::Arc;

    fn config(command: &[&str]) -> CommandConfig {
        CommandConfig {
            name: "test".into(),
            command: command.iter().map(|part| (*part).to_owned()).collect(),
            every_seconds: 1,
            timeout_seconds: 1,
            user: None,
            quiet_after: None,
            format: crate::config::Format::Plain,
            time_zone: None,
            parsers: Default::default(),
        }
    }

    /// Messages of one run, and how many errors were counted.
    async fn told(command: &[&str]) -> (Vec<String>, u64) {
        let (queue, items) = crossbeam_channel::bounded(10_000);
        let intake = Intake::new(queue, Arc::new(Counters::default()), service::Shutdown::new());
        let scheduled = Scheduled::new(&config(command)).unwrap();
        let run = scheduled.run().await;
        scheduled.tell(run, &intake, &Clock::manual(0)).await.unwrap();
        let errors = intake.source().report().errors;
        drop(intake);
        let text = |item: Item| item.events[0].fields["message"].as_str().unwrap().to_owned();
        (items.iter().map(text).collect(), errors)
    }

    #[tokio::test]
    async fn lines_and_failures() {
        let (found, errors) = told(&["printf", "one\\n\\ntwo\\nrest"]).await;
        assert_eq!((found, errors), (["one", "two", "rest"].map(str::to_owned).to_vec(), 0));
        let (found, errors) = told(&["sh", "-c", "echo out; echo wrong >&2; exit 3"]).await;
        assert_eq!((found[0].as_str(), errors), ("out", 1));
        assert_eq!(found[1], "command test: exit status: 3: wrong");
        let (found, _) = told(&["/no/such/program"]).await;
        assert!(found[0].starts_with("command test: cannot be started: "), "{found:?}");
        let (found, _) = told(&["env"]).await;
        let names: Vec<&str> = found.iter().filter_map(|line| line.split('=').next()).collect();
        assert!(names.iter().all(|name| ["PATH", "LANG", "PWD"].contains(name)), "{names:?}");
    }

    #[tokio::test]
    async fn another_user() {
        if !nix::unistd::Uid::effective().is_root() {
            println!("skipped: not root");
            return;
        }
        let (queue, items) = crossbeam_channel::bounded(10);
        let intake = Intake::new(queue, Arc::new(Counters::default()), service::Shutdown::new());
        let show = ["sh", "-c", "id -u; id -G; grep CapPrm /proc/self/status"];
        let config = CommandConfig { user: Some("nobody".into()), ..config(&show) };
        let scheduled = Scheduled::new(&config).unwrap();
        scheduled.tell(scheduled.run().await, &intake, &Clock::manual(0)).await.unwrap();
        let nobody = User::from_name("nobody").unwrap().unwrap();
        let lines: Vec<String> = items
            .try_iter()
            .map(|item| item.events[0].fields["message"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(lines[..2], [nobody.uid.to_string(), nobody.gid.to_string()]);
        assert_eq!(lines[2], "CapPrm:\t0000000000000000");
    }

    #[tokio::test]
    async fn what_takes_too_long_is_ended_with_all_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let script = format!("echo begun; (sleep 2; touch {}) & sleep 60", mark.display());
        let (found, errors) = told(&["sh", "-c", &script]).await;
        assert_eq!(found[0], "begun", "what it wrote before is taken");
        assert_eq!((found[1].as_str(), errors), ("command test: took longer than 1 s", 1));
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert!(!mark.exists(), "what it has started lives on");
    }

    #[tokio::test]
    async fn endless_output_is_bounded() {
        let (found, errors) = told(&["sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' x"]).await;
        assert_eq!((found.len(), errors), (65, 1));
        let left = 5_000_000 - MAX_OUTPUT;
        assert_eq!(found[64], format!("command test: {left} bytes of output left out"));
    }

    #[tokio::test]
    async fn it_runs_again_and_stops() {
        let (queue, items) = crossbeam_channel::bounded(100);
        let stop = service::Shutdown::new();
        let intake = Intake::new(queue, Arc::new(Counters::default()), stop.clone());
        let scheduled = Scheduled::new(&config(&["echo", "again"])).unwrap();
        let served = tokio::spawn(scheduled.serve(intake, Clock::manual(0)));
        for _ in 0..2_000 {
            if items.len() >= 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(items.len() >= 2);
        assert_eq!(items.recv().unwrap().events[0].fields["event"]["dataset"], "test");
        stop.trigger();
        served.await.unwrap();
    }

    #[test]
    fn bad_settings_are_named() {
        let error = |config| Scheduled::new(&config).unwrap_err().to_string();
        assert_eq!(error(config(&[])), "command \"test\" has no program");
        let user = CommandConfig { user: Some("no-such-user-here".into()), ..config(&["x"]) };
        assert_eq!(error(user), "command \"test\": no such user: no-such-user-here");
        let zone = CommandConfig { time_zone: Some("Mars/Base".into()), ..config(&["x"]) };
        assert_eq!(error(zone), "unknown time zone \"Mars/Base\"");
    }
}
