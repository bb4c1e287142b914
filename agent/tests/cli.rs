//! The binary as a person meets it: usage, exit codes, what `check` and `replay` say.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};

fn agent(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pikett-agent")).args(arguments).output().unwrap()
}

/// Exit code and standard error, with the folder's name taken out.
fn outcome(output: &Output, folder: &Path) -> (i32, String) {
    let text = String::from_utf8_lossy(&output.stderr).replace(&folder.display().to_string(), "@");
    (output.status.code().unwrap(), text)
}

#[test]
fn usage_errors_end_with_two_and_help_with_none() {
    for arguments in [
        &[][..],
        &["fly"],
        &["run"],
        &["replay", "x.pcap"],
        &["replay", "--out", "o"],
        &["run", "--config"],
        &["replay", "--out", "o", "--workers", "0", "x"],
        &["replay", "--out", "o", "--var", "NAME", "x"],
        &["replay", "--out", "o", "--rules", "r", "--no-rules", "x"],
        &["replay", "--out", "o", "--compat", "snort", "x"],
    ] {
        let output = agent(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["replay", "--help"]] {
        let output = agent(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn check_names_all_mistakes_of_a_configuration_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    let config = "data = \"/x\"\nzoom = 1\n[spool]\nmegabytes = 1\n[[interfaces]]\ndevice = \"eth0\"\nsnap_length = 1\nworkers = 65\n[[logs.files]]\nfrom_start = true\n";
    std::fs::write(&file, config).unwrap();
    for command in ["check", "run"] {
        let output = agent(&[command, "--config", file.to_str().unwrap()]);
        let (code, text) = outcome(&output, folder.path());
        assert_eq!(code, 2, "{text}");
        for (line, name) in [
            (2, "zoom"),
            (4, "spool.megabytes"),
            (7, "interfaces[0].snap_length"),
            (8, "interfaces[0].workers"),
            (9, "logs.files[0].paths: is required and missing"),
        ] {
            assert!(text.contains(&format!("@/agent.toml:{line}: {name}")), "{command}: {text}");
        }
    }
    // Formats are known once all parsers are, those of further folders too.
    let config = "data = \"/x\"\n[[logs.files]]\npaths = [\"/x\"]\nformat = \"ngnix\"\n";
    std::fs::write(&file, config).unwrap();
    let output = agent(&["check", "--config", file.to_str().unwrap()]);
    let (code, text) = outcome(&output, folder.path());
    let words = "files[0].format: \"ngnix\" is no format; did you mean \"nginx\"?";
    assert!(code == 2 && text.contains(words), "{text}");
    let missing = folder.path().join("none.toml");
    let (code, text) =
        outcome(&agent(&["check", "--config", missing.to_str().unwrap()]), folder.path());
    assert!(code == 2 && text.contains("@/none.toml"), "{text}");
}

#[test]
fn a_host_that_is_not_enrolled_is_told_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    std::fs::write(&file, format!("data = \"{}\"\n", folder.path().display())).unwrap();
    for command in ["check", "run"] {
        let (code, text) =
            outcome(&agent(&[command, "--config", file.to_str().unwrap()]), folder.path());
        assert_eq!(code, 2);
        assert!(text.contains("pikett-agent enroll --collector URL --token T"), "{text}");
    }
}

#[test]
fn enrolling_with_a_bad_address_or_token_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    for (url, token, words) in [
        ("https://a/b", "x", "\"https://a/b\" is not https://HOST[:PORT]"),
        ("https://127.0.0.1:1", "nonsense", "enrolment token is malformed"),
    ] {
        let output = agent(&["enroll", "--collector", url, "--token", token, "--data", data]);
        let (code, text) = outcome(&output, folder.path());
        assert!(code == 2 && text.contains(words), "{text}");
        assert!(!folder.path().join("identity").exists(), "nothing is kept");
    }
}

#[test]
fn replay_names_unknown_settings_and_damaged_captures() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("bad.pcap"), b"this is no capture file at all").unwrap();
    let (out, bad) = (path("out"), path("bad.pcap"));
    let (code, text) =
        outcome(&agent(&["replay", "--out", &out, "--set", "stream.inlin=1", &bad]), folder.path());
    assert_eq!((code, text.as_str()), (2, "pikett-agent: unknown setting stream.inlin\n"));
    assert!(!folder.path().join("out").exists(), "nothing is written");
    let (code, text) =
        outcome(&agent(&["replay", "--out", &out, &bad, &path("gone.pcap")]), folder.path());
    assert_eq!(code, 1);
    assert!(
        text.contains("pikett-agent: @/bad.pcap: ") && text.contains("pikett-agent: @/gone.pcap: "),
        "{text}"
    );
    // What a run leaves is whole also then.
    let stats = std::fs::read_to_string(path("out/stats.json")).unwrap();
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    assert_eq!((&stats["packets"], &stats["rules"]["loaded"]), (&0.into(), &0.into()));
}
