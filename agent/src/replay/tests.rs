//! Captures made here, replayed whole: what is written and how it ends.

use clap::Parser as _;
use etherparse::PacketBuilder;
use serde_json::Value;

use super::*;
use crate::sensor::signatures::files::{self, AddressPaths};

#[derive(Debug, clap::Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 7];

/// A TCP conversation as frames: from the client (`true`), flags, payload.
fn conversation(parts: &[(bool, &str, &[u8])]) -> Vec<Vec<u8>> {
    let mut next = [100u32, 900];
    let mut frames = Vec::new();
    for (from_client, flags, payload) in parts {
        let (us, them) = if *from_client { (0, 1) } else { (1, 0) };
        let (src, dst, sport, dport) =
            if *from_client { (CLIENT, SERVER, 4000, 80) } else { (SERVER, CLIENT, 80, 4000) };
        let ip = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(src, dst, 64);
        let mut tcp = ip.tcp(sport, dport, next[us], 64_000);
        for flag in flags.chars() {
            tcp = match flag {
                'S' => tcp.syn(),
                'F' => tcp.fin(),
                _ => tcp.ack(next[them]),
            };
        }
        let control = u32::from(flags.contains(['S', 'F']));
        next[us] += u32::try_from(payload.len()).unwrap() + control;
        let mut frame = Vec::new();
        tcp.write(&mut frame, payload).unwrap();
        frames.push(frame);
    }
    frames
}

fn web() -> Vec<Vec<u8>> {
    conversation(&[
        (true, "S", b""),
        (false, "SA", b""),
        (true, "A", b""),
        (true, "A", b"GET /evil.php?x=1 HTTP/1.1\r\nHost: Bad.Example\r\nUser-Agent: t\r\n\r\n"),
        (
            false,
            "A",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; x\r\nContent-Length: 4\r\n\r\ngone",
        ),
        (true, "FA", b""),
        (false, "FA", b""),
        (true, "A", b""),
    ])
}

fn dns() -> Vec<Vec<u8>> {
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03bad\x07example\0\0\x01\0\x01";
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(CLIENT, SERVER, 64)
        .udp(5000, 53)
        .write(&mut frame, query)
        .unwrap();
    vec![frame]
}

fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    out.extend([0; 8]);
    out.extend(65_535u32.to_le_bytes());
    out.extend(1u32.to_le_bytes());
    for (n, frame) in frames.iter().enumerate() {
        let len = u32::try_from(frame.len()).unwrap();
        for word in [1_700_000_000, u32::try_from(n).unwrap(), len, len] {
            out.extend(word.to_le_bytes());
        }
        out.extend(frame);
    }
    out
}

const RULES: &str = r#"
alert http any any -> any any (msg:"evil page"; flow:established,to_server; http.uri; content:"/evil.php"; classtype:bad-unknown; sid:1; rev:3; metadata:key value;)
alert http any any -> any any (msg:"gone"; flow:established,to_client; file.data; content:"gone"; sid:2;)
alert tcp any any -> any 80 (msg:"raw"; flow:established,to_server; content:"Bad.Example|0d 0a|User"; sid:3;)
alert dns any any -> any any (msg:"bad name"; dns.query; content:"bad.example"; sid:4;)
alert tcp any any -> any any (msg:"broken"; no_such_keyword:1; sid:5;)
"#;

struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("web.pcap"), pcap(&web())).unwrap();
        std::fs::write(folder.path().join("dns.pcap"), pcap(&dns())).unwrap();
        std::fs::write(folder.path().join("test.rules"), RULES).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run(&self, options: &[&str], captures: &[&str]) -> ExitCode {
        let out = self.path("out");
        let mut line = vec!["replay".to_owned(), "--out".to_owned(), out];
        line.extend(options.iter().map(|o| (*o).to_owned()));
        line.extend(captures.iter().map(|name| self.path(name)));
        run(&Command::try_parse_from(line).unwrap().args)
    }

    fn records(&self, file: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("out").join(file)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn kinds(records: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<_> = records.iter().filter_map(|r| r["event_type"].as_str()).collect();
    kinds.sort_unstable();
    kinds
}

fn sids(records: &[Value]) -> Vec<u64> {
    let mut sids: Vec<_> =
        records.iter().filter_map(|r| r["alert"]["signature_id"].as_u64()).collect();
    sids.sort_unstable();
    sids
}

#[test]
fn records_of_a_web_request() {
    let case = Case::new();
    assert_eq!(case.run(&["--no-rules"], &["web.pcap"]), ExitCode::SUCCESS);
    let records = case.records("eve.json");
    assert_eq!(kinds(&records), ["fileinfo", "flow", "http", "stats"]);
    let http = records.iter().find(|r| r["event_type"] == "http").unwrap();
    expect_test::expect![[r#"{"hostname":"bad.example","url":"/evil.php?x=1","http_user_agent":"t","http_content_type":"text/plain","http_method":"GET","protocol":"HTTP/1.1","status":200,"length":4}"#]]
        .assert_eq(&http["http"].to_string());
    let flow = records.iter().find(|r| r["event_type"] == "flow").unwrap();
    assert_eq!((&flow["app_proto"], &flow["tcp"]["state"]), (&"http".into(), &"closed".into()));
    assert!(flow["community_id"].as_str().unwrap().starts_with("1:"));
    let stats: Value =
        serde_json::from_slice(&std::fs::read(case.path("out/stats.json")).unwrap()).unwrap();
    assert_eq!((&stats["packets"], &stats["flows"]), (&8.into(), &1.into()));
}

#[test]
fn files_are_kept_when_rules_want_them() {
    let case = Case::new();
    let rule = "alert http any any -> any any (http.uri; content:\"/evil\"; filestore:both,flow; noalert; sid:1;)\n";
    std::fs::write(case.path("store.rules"), rule).unwrap();
    let rules = case.path("store.rules");
    let options = ["--rules", &rules, "--set", "files.store=yes"];
    assert_eq!(case.run(&options, &["web.pcap"]), ExitCode::SUCCESS);
    let records = case.records("eve.json");
    let file = &records.iter().find(|r| r["event_type"] == "fileinfo").unwrap()["fileinfo"];
    assert_eq!(file["stored"], true);
    let name = file["sha256"].as_str().unwrap();
    let kept =
        std::fs::read(case.path(&format!("out/filestore/{}/{name}", name.get(..2).unwrap())))
            .unwrap();
    assert_eq!(kept, b"gone");
}

#[test]
fn rules_alert_and_a_broken_one_is_counted() {
    let case = Case::new();
    let rules = case.path("test.rules");
    assert_eq!(case.run(&["--rules", &rules], &["web.pcap", "dns.pcap"]), ExitCode::SUCCESS);
    let records = case.records("eve.json");
    assert_eq!(sids(&records), [1, 2, 3, 4]);
    let evil = records.iter().find(|r| r["alert"]["signature_id"] == 1).unwrap();
    assert_eq!(evil["src_ip"], "10.0.0.1");
    assert_eq!(evil["http"]["hostname"], "bad.example");
    assert_eq!(evil["alert"]["metadata"]["key"][0], "value");
    let gone = records.iter().find(|r| r["alert"]["signature_id"] == 2).unwrap();
    assert_eq!(gone["src_ip"], "192.0.2.7", "the alert goes the way of its data");
    let stats: Value =
        serde_json::from_slice(&std::fs::read(case.path("out/stats.json")).unwrap()).unwrap();
    assert_eq!(stats["rules"], serde_json::json!({"loaded": 4, "rejected": 1}));
    assert_eq!(stats["alerts"], 4);
}

#[test]
fn captures_can_be_kept_apart() {
    let case = Case::new();
    let code = case.run(&["--no-rules", "--separate"], &["web.pcap", "dns.pcap"]);
    assert_eq!(code, ExitCode::SUCCESS);
    assert!(kinds(&case.records("web.pcap/eve.json")).contains(&"http"));
    assert_eq!(kinds(&case.records("dns.pcap/eve.json")), ["dns", "flow", "stats"]);
}

#[test]
fn several_workers_find_the_same() {
    let case = Case::new();
    let rules = case.path("test.rules");
    let code = case.run(&["--rules", &rules, "--workers", "3"], &["web.pcap", "dns.pcap"]);
    assert_eq!(code, ExitCode::SUCCESS);
    assert_eq!(sids(&case.records("eve.json")), [1, 2, 3, 4]);
    let left = std::fs::read_dir(case.folder.path().join("out")).unwrap().count();
    assert_eq!(left, 2, "the workers' own files are gone");
}

#[test]
fn a_cut_capture_is_read_as_far_as_it_goes() {
    let case = Case::new();
    let whole = pcap(&web());
    std::fs::write(case.folder.path().join("cut.pcap"), &whole[..whole.len() - 3]).unwrap();
    assert_eq!(case.run(&["--no-rules"], &["cut.pcap"]), ExitCode::from(1));
    assert!(kinds(&case.records("eve.json")).contains(&"http"));
    assert_eq!(case.run(&["--no-rules"], &["missing.pcap"]), ExitCode::from(1));
}

#[test]
fn an_unknown_setting_ends_the_run() {
    let case = Case::new();
    assert_eq!(case.run(&["--set", "no.such=1"], &["web.pcap"]), ExitCode::from(2));
    let suricata =
        ["--set", "stream.midstream=true", "--set", "app-layer.protocols.tls.enabled=no"];
    assert_eq!(case.run(&suricata, &["web.pcap"]), ExitCode::from(2), "without --compat");
    let compat = [&["--compat", "suricata"][..], &suricata].concat();
    assert_eq!(case.run(&compat, &["web.pcap"]), ExitCode::SUCCESS);
    assert_eq!(case.run(&["--rules", "/nonexistent.rules"], &["web.pcap"]), ExitCode::from(2));
}

#[test]
fn the_same_captures_give_the_same_bytes() {
    let case = Case::new();
    let rules = case.path("test.rules");
    let eve = || std::fs::read(case.path("out/eve.json")).unwrap();
    case.run(&["--rules", &rules], &["web.pcap", "dns.pcap"]);
    let first = eve();
    case.run(&["--rules", &rules], &["web.pcap", "dns.pcap"]);
    assert!(first == eve() && !first.is_empty());
}

#[test]
fn a_gzipped_capture_is_the_capture() {
    let case = Case::new();
    assert_eq!(case.run(&["--no-rules"], &["web.pcap"]), ExitCode::SUCCESS);
    let plain = case.records("eve.json");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, &pcap(&web())).unwrap();
    let gz = gz.finish().unwrap();
    std::fs::write(case.folder.path().join("web.pcap.gz"), &gz).unwrap();
    assert_eq!(case.run(&["--no-rules"], &["web.pcap.gz"]), ExitCode::SUCCESS);
    assert_eq!(case.records("eve.json"), plain);
    std::fs::write(case.folder.path().join("cut.pcap.gz"), &gz[..gz.len() / 2]).unwrap();
    assert_eq!(case.run(&["--no-rules"], &["cut.pcap.gz"]), ExitCode::from(1));
}

#[test]
fn variables_decide_whom_a_rule_is_about() {
    let case = Case::new();
    let rule = "alert http $HOME_NET any -> $EXTERNAL_NET any (msg:\"out\"; flow:to_server; http.uri; content:\"/evil\"; sid:9;)\n";
    std::fs::write(case.folder.path().join("v.rules"), rule).unwrap();
    let rules = case.path("v.rules");
    for (vars, wanted) in [
        (&[][..], &[9][..]),
        (&["--var", "HOME_NET=192.0.2.0/24"], &[]),
        (&["--var", "HOME_NET=[10.0.0.1]", "--var", "EXTERNAL_NET=any"], &[9]),
        (&["--var", "EXTERNAL_NET=[198.51.100.0/24]"], &[]),
    ] {
        let options = [&["--rules", &rules][..], vars].concat();
        assert_eq!(case.run(&options, &["web.pcap"]), ExitCode::SUCCESS);
        assert_eq!(sids(&case.records("eve.json")), wanted, "{vars:?}");
    }
}

#[test]
fn rule_folders_are_searched_to_their_bottom_for_rules_only() {
    let case = Case::new();
    let folder = case.folder.path().join("rules/deep");
    std::fs::create_dir_all(&folder).unwrap();
    let rule = |sid: u32| {
        format!("alert dns any any -> any any (dns.query; content:\"bad\"; sid:{sid};)\n")
    };
    std::fs::write(folder.join("a.rules"), rule(21)).unwrap();
    std::fs::write(case.folder.path().join("rules/b.rules"), rule(22)).unwrap();
    std::fs::write(case.folder.path().join("rules/c.rules.bak"), rule(23)).unwrap();
    // A file named itself counts whatever its ending; bytes that are no UTF-8 stay what they are.
    let named =
        b"alert dns any any -> any any (msg:\"\xe9\"; dns.query; content:\"bad\"; sid:24;)\n";
    std::fs::write(case.folder.path().join("own.txt"), named).unwrap();
    let (folder, own) = (case.path("rules"), case.path("own.txt"));
    case.run(&["--rules", &folder, "--rules", &own], &["dns.pcap"]);
    assert_eq!(sids(&case.records("eve.json")), [21, 22, 24]);
}

#[test]
fn a_rule_folder_without_rules_is_an_error() {
    let case = Case::new();
    let folder = case.folder.path().join("empty");
    std::fs::create_dir_all(folder.join("deep")).unwrap();
    std::fs::write(folder.join("deep/a.rules.gz"), b"").unwrap();
    let error = files::load(std::slice::from_ref(&folder), &[], &AddressPaths::default())
        .unwrap_err()
        .to_string();
    assert_eq!(error, format!("no *.rules file in {} or below", folder.display()));
    let (empty, rules) = (case.path("empty"), case.path("test.rules"));
    let code = case.run(&["--rules", &rules, "--rules", &empty], &["dns.pcap"]);
    assert_ne!(code, ExitCode::SUCCESS);
}

#[test]
fn alerts_show_what_raised_them_when_asked() {
    let case = Case::new();
    let rules = case.path("test.rules");
    let alert = |options: &[&str]| {
        let all = [&["--rules", &rules, "--compat", "suricata"][..], options].concat();
        assert_eq!(case.run(&all, &["dns.pcap"]), ExitCode::SUCCESS);
        case.records("eve.json").into_iter().find(|r| r["alert"]["signature_id"] == 4).unwrap()
    };
    let plain = alert(&[]);
    for name in ["payload", "payload_printable", "packet", "stream"] {
        assert!(plain.get(name).is_none(), "{name}");
    }
    let key = |name: &str| format!("outputs.eve-log.types.alert.{name}=yes");
    let (payload, packet, print) = (key("payload"), key("packet"), key("payload-printable"));
    let full = alert(&["--set", &payload, "--set", &packet, "--set", &print]);
    let decode = |name: &str| {
        base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            full[name].as_str().unwrap(),
        )
        .unwrap()
    };
    let frame = dns().remove(0);
    assert_eq!(decode("packet"), frame);
    assert_eq!(decode("payload"), &frame[42..], "behind Ethernet, IPv4 and UDP");
    assert!(full["payload_printable"].as_str().unwrap().ends_with(".bad.example....."));
    assert_eq!(full["stream"], 0);
}

#[test]
fn every_counter_of_detection_is_in_the_stats_record() {
    let case = Case::new();
    let rules = case.path("test.rules");
    for workers in ["1", "3"] {
        case.run(&["--rules", &rules, "--workers", workers], &["web.pcap", "dns.pcap"]);
        let records = case.records("eve.json");
        let stats = &records.last().unwrap()["stats"];
        assert_eq!(stats["detect"]["alert"], 4, "{workers} workers");
        assert!(stats["detect"]["inspections"].as_u64().unwrap() >= 4);
        for loss in [
            "alert_queue_overflow",
            "inspection_budget",
            "pcre_limit",
            "half_matched",
            "instances_beyond",
            "flow_state_full",
        ] {
            assert_eq!(stats["detect"][loss], 0, "{loss}");
        }
        assert_eq!((&stats["decoder"]["pkts"], &stats["flow"]["total"]), (&9.into(), &2.into()));
    }
}

#[test]
fn what_rules_name_is_read_beside_them_and_written_to_the_output() {
    let case = Case::new();
    let write = |name: &str, text: &str| {
        std::fs::write(case.folder.path().join(name), text).unwrap();
    };
    write(
        "files.rules",
        r#"
alert http any any -> any any (http.host; dataset:isset,bad,type string,load hosts.json,format ndjson,value_key h,context_key why; sid:1;)
alert http any any -> any any (http.user_agent; dataset:set,agents,type string,save agents.csv; sid:2;)
alert http any any -> any any (http.host; content:"bad"; tag:session,2,packets; sid:3;)
alert http any any -> any any (http.host; content:"bad"; sid:4;)
config http any any -> any any (http.host; content:"bad"; config:logging disable, type tx, scope tx; sid:5;)
reject http any any -> any any (http.host; content:"bad"; sid:6;)
alert http any any -> any any (requires: version >= 99; sid:7;)
"#,
    );
    write("hosts.json", "{\"h\":\"bad.example\",\"since\":2020}\n");
    write("threshold.config", "suppress gen_id 1, sig_id 4, track by_src, ip 10.0.0.0/8\n");
    assert_eq!(case.run(&["--rules", &case.path("files.rules")], &["web.pcap"]), ExitCode::SUCCESS);
    let records = case.records("eve.json");
    assert_eq!(sids(&records), [1, 2, 3, 6]);
    let of = |sid: u64| records.iter().find(|r| r["alert"]["signature_id"] == sid).unwrap();
    assert_eq!(of(1)["alert"]["context"]["why"]["since"], 2020);
    assert_eq!(of(6)["alert"]["action"], "blocked");
    assert_eq!(std::fs::read_to_string(case.path("out/agents.csv")).unwrap(), "dA==\n");
    // The packet with the alert counts as the first of the two.
    let kinds = kinds(&records);
    assert_eq!(kinds.iter().filter(|kind| **kind == "packet").count(), 1);
    assert!(!kinds.contains(&"http"), "kept out of the records");
    let stats = records.iter().find(|r| r["event_type"] == "stats").unwrap();
    assert_eq!(stats["stats"]["detect"]["engines"][0]["rules_skipped"], 1);
}

/// A MaxMind DB in which 128.0.0.0/1 is a country and the other half none.
fn half_of_the_world(code: &str) -> Vec<u8> {
    let string = |text: &str| {
        let mut out = vec![0x40 | u8::try_from(text.len()).unwrap()];
        out.extend_from_slice(text.as_bytes());
        out
    };
    // One node of two records of 24 bits: nothing, and the first byte of the data.
    let mut out = vec![0, 0, 1, 0, 0, 17];
    out.extend([0; 16]);
    let inner = [vec![0xe1], string("iso_code"), string(code)].concat();
    out.extend([vec![0xe1], string("country"), inner].concat());
    out.extend(b"\xab\xcd\xefMaxMind.com\xe9");
    let field = |name: &str, value: &[u8]| [string(name), value.to_vec()].concat();
    for part in [
        field("node_count", &[0xc1, 1]),
        field("record_size", &[0xa1, 24]),
        field("ip_version", &[0xa1, 4]),
        field("database_type", &string("Test")),
        field("languages", &[0x00, 0x04]),
        field("binary_format_major_version", &[0xa1, 2]),
        field("binary_format_minor_version", &[0xa0]),
        field("build_epoch", &[0x01, 0x02, 1]),
        field("description", &[0xe0]),
    ] {
        out.extend(part);
    }
    out
}

#[test]
fn rules_on_reputations_and_countries_find_their_files() {
    let case = Case::new();
    let write = |name: &str, bytes: &[u8]| {
        let path = case.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    write(
        "a.rules",
        br#"
alert ip any any -> any any (iprep:src,CnC,>,30; sid:1;)
alert ip any any -> any any (iprep:dst,CnC,>,30; sid:2;)
alert http any any -> any any (http.host; content:"bad"; iprep:dst,CnC,=,90; geoip:dst,CH; sid:3;)
alert http any any -> any any (http.host; content:"bad"; geoip:any,US; sid:4;)
alert dns any any -> any any (dns.query; content:"bad"; geoip:dst,!US; sid:5;)
"#,
    );
    write("iprep/categories.txt", b"1,CnC,servers of malware\n");
    write("iprep/hosts.list", b"192.0.2.7,1,90\n");
    write("iprep/nets.list", b"# all of them\n192.0.2.0/24,1,20\n");
    write("c.mmdb", &half_of_the_world("CH"));
    let rules = case.path("a.rules");
    let set = |key: &str, value: String| ["--set".to_owned(), format!("{key}={value}")];
    let both = format!("{},{}", case.path("iprep/hosts.list"), case.path("iprep/nets.list"));
    let own = [
        set("rules.reputation.categories", case.path("iprep/categories.txt")),
        set("rules.reputation.files", both),
        set("rules.geoip_database", case.path("c.mmdb")),
    ];
    let other = [
        set("reputation-categories-file", case.path("iprep/categories.txt")),
        set("reputation-files", "hosts.list,nets.list".to_owned()),
        set("default-reputation-path", case.path("iprep")),
        set("geoip-database", case.path("c.mmdb")),
    ];
    let run = |extra: &[&str], given: &[[String; 2]]| {
        let given: Vec<&str> = given.iter().flatten().map(String::as_str).collect();
        let options = [&["--rules", rules.as_str()][..], extra, &given].concat();
        let code = case.run(&options, &["web.pcap", "dns.pcap"]);
        let mut found = sids(&case.records("eve.json"));
        found.sort_unstable();
        (code, found)
    };
    // Twice sid 2: the web server is asked for a page and for a name.
    let expected = vec![1, 2, 2, 3, 5];
    assert_eq!(run(&[], &own), (ExitCode::SUCCESS, expected.clone()));
    assert_eq!(run(&["--compat", "suricata"], &other), (ExitCode::SUCCESS, expected));
    assert_eq!(run(&[], &own[..2]), (ExitCode::SUCCESS, vec![1, 2, 2]), "geoip is refused");
    let stats = case.records("eve.json");
    let stats = stats.iter().find(|record| record["event_type"] == "stats").unwrap();
    assert_eq!(stats["stats"]["detect"]["engines"][0]["rules_failed"], 3);
    let missing = [set("rules.geoip_database", case.path("no.mmdb"))];
    assert_eq!(run(&[], &missing).0, ExitCode::from(2));
}
