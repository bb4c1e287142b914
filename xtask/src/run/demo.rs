//! Plays the recorded attacks and measures: packet to stored alert, packet to page.

use std::fs;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Place;
use super::live::Stage;
use super::sink::Sink;
use crate::steps;

/// Longest wait for alerts and a page.
const PATIENCE: Duration = Duration::from_secs(60);
/// Captures, in order of playing.
const CAPTURES: [&str; 3] = ["1-scan.pcap", "2-web.pcap", "3-dns-tunnel.pcap"];

/// Time between two questions for alerts: half of what a token may ask, for others ask with it too.
const PACE: Duration = Duration::from_millis(100);
/// Time between two looks at the mail.
const LOOK: Duration = Duration::from_millis(20);

/// Says when to ask again.
#[derive(Default)]
struct Pace {
    asked: Option<Duration>,
}

impl Pace {
    /// Whether to ask now, so long after the beginning.
    fn is_due(&mut self, now: Duration) -> bool {
        let due = self.asked.is_none_or(|asked| now.saturating_sub(asked) >= PACE);
        if due {
            self.asked = Some(now);
        }
        due
    }
}

/// What one round took.
struct Round {
    alert: Duration,
    page: Duration,
}

/// Plays all attacks `rounds` times.
pub(crate) fn play(place: &Place, sink: &Sink, stage: Option<&Stage>, rounds: u32) -> Result<()> {
    let what = if stage.is_some() { "attacking for real" } else { "playing recorded attacks" };
    println!("\n{what}: scan, web attacks, DNS tunnel, password guessing");
    let mut all = Vec::new();
    for number in 1..=rounds {
        let round = once(place, sink, stage, number)?;
        println!(
            "round {number}: first alert stored after {:.2} s, first page after {:.2} s",
            round.alert.as_secs_f64(),
            round.page.as_secs_f64()
        );
        all.push(round);
    }
    if rounds > 1 {
        let p99 = |mut times: Vec<Duration>| {
            times.sort();
            let at = (times.len() * 99).div_ceil(100).saturating_sub(1);
            times.get(at).map_or(0.0, Duration::as_secs_f64)
        };
        println!(
            "p99 of {rounds} rounds: alert {:.2} s, page {:.2} s",
            p99(all.iter().map(|round| round.alert).collect()),
            p99(all.iter().map(|round| round.page).collect())
        );
    }
    show(place, sink)
}

/// One round. Alerts of the round before are closed first, so that new ones must be made.
fn once(place: &Place, sink: &Sink, stage: Option<&Stage>, number: u32) -> Result<Round> {
    for alert in alerts(place)? {
        post(
            place,
            &format!("/api/v1/alerts/{alert}/action"),
            r#"{"action":"close","verdict":"benign","note":"demo"}"#,
        )?;
    }
    let mails = sink.mails().len();
    let begun = steps::now();
    let attacks = stage.map(|stage| stage.attack(&place.data)).transpose()?;
    if stage.is_none() {
        play_captures(place, number)?;
    }
    if !stage.is_some_and(Stage::has_ssh) {
        play_log(place)?;
    }
    let (mut alert, mut page, mut pace) = (None, None, Pace::default());
    while alert.is_none() || page.is_none() {
        if place.interrupt.load(Ordering::SeqCst) {
            bail!("interrupted");
        }
        if begun.elapsed() > PATIENCE {
            let what = if alert.is_none() { "alert" } else { "page" };
            bail!("no {what} within a minute; see {}/*.log", place.data.display());
        }
        if alert.is_none() && pace.is_due(begun.elapsed()) && !alerts(place)?.is_empty() {
            alert = Some(begun.elapsed());
        }
        page = page.or_else(|| sink.mails().get(mails).map(|mail| mail.arrived - begun));
        std::thread::sleep(LOOK);
    }
    if attacks.is_some_and(|attacks| attacks.join().is_err()) {
        bail!("the attacks ended early");
    }
    Ok(Round { alert: alert.unwrap_or_default(), page: page.unwrap_or_default() })
}

fn play_captures(place: &Place, number: u32) -> Result<()> {
    let (source, folder) = (place.root.join("rules/demo"), place.data.join("playback"));
    fs::create_dir_all(&folder)?;
    for name in CAPTURES {
        let bytes = fs::read(source.join(name)).with_context(|| format!("cannot read {name}"))?;
        // Under another name first: a file must be whole when it is seen.
        let part = folder.join(format!("{number:04}-{name}.part"));
        fs::write(&part, bytes)?;
        fs::rename(&part, folder.join(format!("{number:04}-{name}")))?;
    }
    Ok(())
}

fn play_log(place: &Place) -> Result<()> {
    let source = place.root.join("rules/demo/auth.log");
    let log = fs::read_to_string(source)?.replace("TIME", &syslog_time()?);
    let path = place.data.join("demo-logs/auth.log");
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
    Ok(std::io::Write::write_all(&mut file, log.as_bytes())?)
}

fn syslog_time() -> Result<String> {
    let output =
        Command::new("date").args(["-u", "+%b %e %H:%M:%S"]).env("LC_ALL", "C").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn curl(place: &Place, arguments: &[&str], path: &str) -> Result<String> {
    let token = fs::read_to_string(place.token())?;
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--cacert"])
        .arg(place.data.join("collector/authority.pem"))
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(arguments)
        .arg(format!("{}{path}", place.console()))
        .output()
        .context("cannot start curl; install it to see the demonstration's results")?;
    if !output.status.success() {
        bail!("curl: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn post(place: &Place, path: &str, body: &str) -> Result<String> {
    curl(place, &["--header", "Content-Type: application/json", "--data", body], path)
}

/// Identities of the open alerts.
fn alerts(place: &Place) -> Result<Vec<String>> {
    let text = curl(place, &[], "/api/v1/alerts?status=live&limit=1000")?;
    let ids = text.split("{\"id\":\"").skip(1).filter_map(|part| part.split('"').next());
    Ok(ids.map(str::to_owned).collect())
}

/// What an analyst would see.
fn show(place: &Place, sink: &Sink) -> Result<()> {
    std::thread::sleep(Duration::from_secs(2));
    let text = curl(place, &[], "/api/v1/alerts?status=live&limit=1000")?;
    println!("\nalerts now:");
    for part in text.split("{\"id\":\"").skip(1) {
        let field = |name: &str| {
            let after = part.split(&format!("\"{name}\":\"")).nth(1)?;
            after.split('"').next()
        };
        println!(
            "  {:13} {:45} {}",
            field("severity").unwrap_or("?"),
            field("title").unwrap_or("?"),
            field("value").unwrap_or("?")
        );
    }
    println!("\npages:");
    for mail in sink.mails().iter().rev().take(5) {
        println!("  {}", mail.subject());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_asked_for_less_often_than_a_token_may() {
        let mut pace = Pace::default();
        let looks = (0..3_000).step_by(20).map(Duration::from_millis);
        let asked = looks.filter(|now| pace.is_due(*now)).count();
        assert_eq!(asked, 30, "10 a second; 20 are permitted");
    }
}
