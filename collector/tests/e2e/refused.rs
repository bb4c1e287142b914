//! What must be refused, and whether the refusal says what to do.

use std::process::Command;

use crate::system::{Options, System, binary, refusal};

#[test]
fn a_token_enrols_one_agent_and_only_in_time() {
    let Some(system) = System::start(Options::default()) else { return };
    let link = system.ports.1;
    let token = system.enrolment(&[]);
    assert!(system.enroll(link, &token, "second").status().unwrap().success());
    let words = refusal(&mut system.enroll(link, &token, "third"));
    assert!(words.contains("used up"), "{words}");
    assert!(!system.at("third/identity").exists(), "a refused agent keeps no identity");

    let words = refusal(&mut system.enroll(link, "pke_made.up", "third"));
    assert!(words.contains("token"), "{words}");

    // The collector compares with its clock when the token is used; here it was made an hour ago.
    let fake = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    if !std::path::Path::new(fake).exists() {
        return println!("skipped the expired token: libfaketime is not installed");
    }
    let mut command = Command::new(binary("pikett-collector"));
    command.args(["enrolment-token", "--minutes", "30", "--config"]).arg(system.at("c.toml"));
    command.env("LD_PRELOAD", fake).env("FAKETIME", "-1h").env("DONT_FAKE_MONOTONIC", "1");
    let old = crate::system::output(&mut command);
    let words = refusal(&mut system.enroll(link, &old, "third"));
    assert!(words.contains("expired"), "{words}");
}

#[test]
fn an_agent_of_another_authority_gets_nowhere_and_loses_nothing() {
    let (Some(mut ours), Some(mut theirs)) =
        (System::start(Options::default()), System::start(Options::default()))
    else {
        return;
    };
    // The agent enrolled there is pointed here, as after a wrong copy of a data folder.
    theirs.stop("agent");
    let config = std::fs::read_to_string(theirs.at("a.toml")).unwrap();
    let named = format!("collectors = [\"127.0.0.1:{}\"]\n{config}", ours.ports.1);
    std::fs::write(theirs.at("a.toml"), named).unwrap();
    theirs.run("agent");
    theirs.write(100);
    theirs.wait("the refusal is told", |system| system.log("agent").contains("certificate"));
    assert_eq!(ours.count(), Some(0));
    assert!(ours.lives("collector"));

    // Pointed back, everything arrives.
    theirs.stop("agent");
    std::fs::write(theirs.at("a.toml"), config).unwrap();
    theirs.run("agent");
    theirs.settle();
}

#[test]
fn garbage_in_rule_files_is_refused_by_name_and_the_rest_works() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("bad.rules");
    let good = r#"alert ip any any -> any any (msg:"good"; content:"x"; sid:1;)"#;
    let mut text = format!("{good}\nalert tcp any any -> any any (msg:\"cut").into_bytes();
    text.extend_from_slice(b"\n\xff\xfe\x00\x01 garbage ; ; \"\n");
    text.extend_from_slice(br#"alert tcp any any -> any any (msg:"no"; nonsense:1; sid:2;)"#);
    text.push(b'\n');
    text.extend(std::iter::repeat_n(b'(', 100_000));
    std::fs::write(&rules, text).unwrap();
    let sigma = folder.path().join("bad.yml");
    std::fs::write(&sigma, "title: [unclosed\n  - {").unwrap();
    let agent = format!("[rules]\nsignatures = [{rules:?}]\nsigma = [{sigma:?}]\n");
    let Some(mut system) = System::start(Options { agent, ..Options::default() }) else { return };
    system.write(10);
    system.settle();
    let report = system.agent()["agent"]["report"].clone();
    assert_eq!(report["rules"]["signature"], serde_json::json!([1, 4]), "{report}");
    assert_eq!(report["rules"]["sigma"], serde_json::json!([0, 1]), "{report}");
    let log = system.log("agent");
    for words in ["bad.rules", "nonsense", "bad.yml"] {
        assert!(log.contains(words), "{words} is not in:\n{log}");
    }
    let check = Command::new(binary("pikett-agent"))
        .args(["check", "--config"])
        .arg(system.at("a.toml"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&check.stderr).into_owned()
        + &String::from_utf8_lossy(&check.stdout);
    assert!(told.contains("bad.rules") && told.contains("5 rules are refused"), "{told}");
    assert_eq!(check.status.code(), Some(1));
}

#[test]
fn a_corrupt_capture_is_told_and_what_was_readable_is_used() {
    if !binary("pikett-agent").exists() {
        return println!("skipped: pikett-agent is not built");
    }
    let folder = tempfile::tempdir().unwrap();
    let demo = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/demo/2-web.pcap");
    let whole = std::fs::read(demo).unwrap();
    let replay = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let out = folder.path().join(format!("{name}.out"));
        let mut command = Command::new(binary("pikett-agent"));
        let output = command.arg("replay").arg("--out").arg(&out).arg(path).output().unwrap();
        let stats = std::fs::read_to_string(out.join("stats.json")).unwrap_or_default();
        let stats: serde_json::Value = serde_json::from_str(&stats).unwrap_or_default();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), stats["packets"].as_u64().unwrap_or(0), words)
    };
    let (code, all, _) = replay("whole.pcap", &whole);
    assert_eq!(code, 0);
    assert!(all > 20);
    let (code, some, words) = replay("cut.pcap", &whole[..whole.len() / 2]);
    assert!(code == 1 && some > 0 && some < all, "{code} {some} {words}");
    assert!(words.contains("cut.pcap") && words.contains("trunc"), "{words}");
    // A length that promises two gigabytes.
    let mut broken = whole;
    broken[32..36].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    let (code, none, words) = replay("length.pcap", &broken);
    assert!(code == 1 && none == 0 && words.contains("length.pcap"), "{code} {none} {words}");
    let (code, _, words) = replay("garbage.pcap", &[0x5a; 4096]);
    assert!(code != 0 && words.contains("garbage.pcap"), "{code} {words}");
    let (code, _, words) = replay("empty.pcap", b"");
    assert!(code != 0 && words.contains("empty.pcap"), "{code} {words}");
}
