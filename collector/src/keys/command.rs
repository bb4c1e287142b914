//! The command that gives the master key: run without a shell, within a time, its output bounded
//! and wiped.

use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use zeroize::Zeroizing;

use super::KeyError;

/// How long the command may take.
pub(super) const LIMIT: Duration = Duration::from_secs(30);
/// Most bytes read of its output.
const MOST: usize = 4096;
/// Most characters shown of what it said on standard error.
const SHOWN: usize = 300;
/// Time between looks whether it has ended.
const LOOK: Duration = Duration::from_millis(10);

type Output = Receiver<Zeroizing<Vec<u8>>>;

/// Reads an output to its end in a thread of its own, at most [`MOST`] bytes and one.
fn gather(name: &str, from: Option<impl Read + Send + 'static>) -> std::io::Result<Output> {
    let (done, output) = bounded(1);
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Of full size from the start: growing would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MOST.saturating_mul(2)));
        let limit = u64::try_from(MOST).unwrap_or(0).saturating_add(1);
        let read = from.map(|from| from.take(limit).read_to_end(&mut bytes));
        if matches!(read, Some(Ok(_))) {
            // Nobody waits any more when the time is over.
            drop(done.send(bytes));
        }
    })?;
    Ok(output)
}

/// Ends the command with everything it has started.
fn end(child: &mut Child) {
    if let Ok(id) = i32::try_from(child.id())
        && let Err(error) = killpg(Pid::from_raw(id), Signal::SIGKILL)
    {
        tracing::debug!(%error, "the command for the master key had ended");
    }
    drop(child.wait());
}

fn said(errors: &Output) -> String {
    let bytes = errors.recv_timeout(Duration::from_millis(200)).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let shown: String = line.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if shown.is_empty() { String::new() } else { format!(": {shown}") }
}

/// Runs `argv` and gives what it wrote to its standard output.
///
/// # Errors
/// [`KeyError::Command`]: it cannot be started, took longer than `limit`, wrote too much or
/// nothing, or failed; with the first line of what it said.
pub(super) fn run(argv: &[String], limit: Duration) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let command = argv.first().cloned().unwrap_or_default();
    let failed = |problem: String| KeyError::Command { command: command.clone(), problem };
    let (program, arguments) = argv.split_first().ok_or_else(|| failed("it is empty".into()))?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| failed(format!("it cannot be started: {error}")))?;
    let outputs = gather("key-output", child.stdout.take())
        .and_then(|output| Ok((output, gather("key-errors", child.stderr.take())?)));
    let (output, errors) = match outputs {
        Ok(outputs) => outputs,
        Err(error) => {
            end(&mut child);
            return Err(failed(format!("no thread can be started: {error}")));
        }
    };
    let Ok(bytes) = output.recv_timeout(limit) else {
        end(&mut child);
        return Err(failed(format!("it took longer than {} s{}", limit.as_secs(), said(&errors))));
    };
    if bytes.len() > MOST {
        end(&mut child);
        return Err(failed(format!("it wrote more than {MOST} bytes")));
    }
    let looks = limit.as_millis() / LOOK.as_millis();
    let never = crossbeam_channel::never::<()>();
    for _ in 0..=looks {
        match child.try_wait() {
            Ok(Some(status)) if !status.success() => {
                return Err(failed(format!("{status}{}", said(&errors))));
            }
            Ok(Some(_)) if bytes.is_empty() => {
                return Err(failed(format!("it wrote nothing{}", said(&errors))));
            }
            Ok(Some(_)) => return Ok(bytes),
            Ok(None) => {
                let _waited = never.recv_timeout(LOOK);
            }
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    end(&mut child);
    Err(failed("it closed its output and did not end".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<Vec<u8>, String> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        run(&argv, limit).map(|bytes| bytes.to_vec()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_command_can_do() {
        let long = Duration::from_secs(30);
        let check =
            |script: &str, expected: Result<&str, &str>| match (shell(script, long), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected.as_bytes(), "{script}"),
                (Err(found), Err(expected)) => {
                    assert!(found.ends_with(expected), "{script}: {found}");
                }
                (found, _) => panic!("{script}: {found:?}"),
            };
        check("printf key", Ok("key"));
        check("printf '\\033[31mdenied\\n' >&2; exit 3", Err("exit status: 3: [31mdenied"));
        check("exit 0", Err("it wrote nothing"));
        check("head -c 5000 /dev/zero", Err("it wrote more than 4096 bytes"));
        check("kill -9 $$", Err("signal: 9 (SIGKILL)"));
    }

    #[test]
    fn a_command_that_hangs_is_ended_with_its_children() {
        let short = Duration::from_millis(300);
        let error = shell("echo waiting >&2; sleep 600 & sleep 600", short).unwrap_err();
        assert!(error.contains("it took longer than 0 s: waiting"), "{error}");
        let error = shell("exec >&-; sleep 600", short).unwrap_err();
        assert!(error.ends_with("it closed its output and did not end"), "{error}");
    }

    #[test]
    fn what_cannot_be_started_is_named() {
        let error = run(&["/no/such/program".to_owned()], LIMIT).unwrap_err().to_string();
        assert!(
            error.starts_with("the command /no/such/program gave no master key: it cannot be"),
            "{error}"
        );
        assert!(run(&[], LIMIT).is_err());
    }
}
