//! Events to measure with: about 1 KB each, the same in every run, of the kinds a site has (flows,
//! DNS, HTTP, TLS, processes, logons, lines of syslog), with names that repeat as names do and
//! numbers that do not.

use event::{Document, Timestamp};
use serde_json::{Value, json};

/// Second of the first event.
pub(crate) const BEGIN: i64 = 1_795_305_600;

/// A small generator of numbers (splitmix64).
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    /// Few numbers often, many seldom.
    fn often(&mut self, most: u64) -> u64 {
        let limit = self.below(most).saturating_add(1);
        let limit = self.below(limit).saturating_add(1);
        self.below(limit)
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let count = u64::try_from(list.len()).unwrap_or(1);
        let at = usize::try_from(self.often(count)).unwrap_or(0);
        list.get(at).copied().unwrap_or_default()
    }

    fn hex(&mut self, words: usize) -> String {
        (0..words).map(|_| format!("{:016x}", self.next())).collect()
    }

    fn inside(&mut self) -> String {
        format!("10.{}.{}.{}", self.often(8), self.often(32), self.often(250) + 2)
    }

    fn outside(&mut self) -> String {
        format!("198.{}.{}.{}", 18 + self.below(2), self.often(256), self.below(256))
    }
}

const USERS: [&str; 12] = [
    "SYSTEM",
    "alice",
    "bob",
    "svc_backup",
    "carol",
    "dave",
    "svc_sql",
    "erin",
    "frank",
    "grace",
    "heidi",
    "mallory",
];
const IMAGES: [&str; 10] = [
    "C:\\Windows\\System32\\svchost.exe",
    "C:\\Windows\\System32\\cmd.exe",
    "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
    "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
    "C:\\Windows\\System32\\conhost.exe",
    "C:\\Program Files\\Microsoft Office\\root\\Office16\\OUTLOOK.EXE",
    "C:\\Windows\\System32\\taskhostw.exe",
    "C:\\Windows\\System32\\rundll32.exe",
    "C:\\Windows\\explorer.exe",
    "C:\\Windows\\System32\\whoami.exe",
];
const ZONES: [&str; 8] = [
    "example.com",
    "example.net",
    "cdn.example.org",
    "mail.example.com",
    "corp.example",
    "update.example.net",
    "ads.example.org",
    "api.example.com",
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "curl/7.88.1",
    "Microsoft-CryptoAPI/10.0",
];
const PROGRAMS: [&str; 6] = ["sshd", "CRON", "systemd", "kernel", "postfix/smtpd", "sudo"];

/// The event of a number, as a document.
pub(crate) fn document(seq: u64) -> Document {
    let mut random = Random(seq.wrapping_mul(0xd134_2543_de82_ef95));
    let jitter = i64::try_from(random.below(1_500_000)).unwrap_or(0);
    // 5,000 events a second, each up to a second and a half late.
    let offset = i64::try_from(seq).unwrap_or(0).saturating_mul(200).saturating_sub(jitter);
    let time = Timestamp::from_seconds(BEGIN).plus_micros(offset).to_string();
    let kind = random.below(10);
    let mut value = match kind {
        0..=2 => flow(&mut random),
        3 | 4 => dns(&mut random),
        5 => http(&mut random),
        6 => tls(&mut random),
        7 => process(&mut random),
        8 => logon(&mut random),
        _ => syslog(&mut random),
    };
    if let Some(map) = value.as_object_mut() {
        map.insert("timestamp".to_owned(), Value::String(time));
    }
    let mut out = match value {
        Value::Object(map) => map,
        _ => Document::default(),
    };
    event::set(&mut out, "event.id", json!(format!("bench/1/{seq}")));
    out
}

fn network(random: &mut Random, kind: &str, port: u64) -> Value {
    let (from, to) = (random.inside(), random.outside());
    json!({
        "event_type": kind, "flow_id": random.next() >> 2, "in_iface": "eth0", "src_ip": from,
        "src_port": 1024 + random.below(64_000), "dest_ip": to, "dest_port": port,
        "proto": if port == 53 { "UDP" } else { "TCP" }, "ip_v": 4,
        "community_id": format!("1:{}=", random.hex(2).get(..27).unwrap_or_default()),
        "host": {"name": format!("sensor-{}", random.often(4))},
        "agent": {"name": format!("sensor-{}", random.often(4)), "version": "0.4.0"},
        "network": {"zone": random.of(&["internal", "dmz", "office"])},
    })
}

fn with(mut value: Value, name: &str, part: Value) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.insert(name.to_owned(), part);
    }
    value
}

fn flow(random: &mut Random) -> Value {
    let port =
        [443, 80, 53, 22, 445, 3389, 25, 8080][usize::try_from(random.often(8)).unwrap_or(0)];
    let base = network(random, "flow", port);
    let (up, down) = (random.often(90_000), random.often(900_000));
    let flow = json!({
        "pkts_toserver": up / 700 + 1, "pkts_toclient": down / 1200 + 1, "bytes_toserver": up,
        "bytes_toclient": down, "age": random.often(300), "state": random.of(&["closed", "new", "established"]),
        "reason": random.of(&["timeout", "shutdown", "forced"]), "alerted": false,
        "start": format!("2026-11-22T15:{:02}:{:02}.{:06}Z", random.below(60), random.below(60), random.below(1_000_000)),
        "end": format!("2026-11-22T15:{:02}:{:02}.{:06}Z", random.below(60), random.below(60), random.below(1_000_000)),
    });
    let tcp = json!({
        "tcp_flags": "1b", "tcp_flags_ts": "1b", "tcp_flags_tc": "1a", "syn": true, "fin": true,
        "psh": true, "ack": true, "state": "closed", "ts_max_regions": 1, "tc_max_regions": 1,
    });
    with(
        with(with(base, "flow", flow), "tcp", tcp),
        "app_proto",
        json!(random.of(&["tls", "http", "dns", "ssh", "smb"])),
    )
}

fn name(random: &mut Random) -> String {
    format!(
        "{}{}.{}",
        random.of(&["www", "mx", "img", "a", "static", "edge"]),
        random.often(3000),
        random.of(&ZONES)
    )
}

fn dns(random: &mut Random) -> Value {
    let base = network(random, "dns", 53);
    let name = name(random);
    let answers: Vec<Value> = (0..=random.below(3))
        .map(|_| json!({"rrname": name, "rrtype": "A", "ttl": random.often(3600), "rdata": random.outside()}))
        .collect();
    with(
        base,
        "dns",
        json!({
            "version": 3, "type": "response", "tx_id": random.below(8), "id": random.below(65_536),
            "flags": "8180", "qr": true, "rd": true, "ra": true, "opcode": 0,
            "rrname": name, "rrtype": random.of(&["A", "AAAA", "PTR", "MX", "TXT"]),
            "rcode": random.of(&["NOERROR", "NXDOMAIN", "SERVFAIL"]), "answers": answers,
        }),
    )
}

fn http(random: &mut Random) -> Value {
    let base = network(random, "http", 80);
    let (name, path) = (name(random), random.hex(1));
    let status = [200, 304, 404, 302, 500][usize::try_from(random.often(5)).unwrap_or(0)];
    with(
        base,
        "http",
        json!({
            "hostname": name, "http_port": 80, "url": format!("/{}/{}?id={}&session={path}", random.of(&["api", "img", "login", "static"]), random.often(400), random.below(1_000_000)),
            "http_user_agent": random.of(&AGENTS), "http_content_type": random.of(&["text/html", "application/json", "image/png"]),
            "http_refer": format!("http://{name}/"), "http_method": random.of(&["GET", "POST", "HEAD"]),
            "protocol": "HTTP/1.1", "status": status,
            "length": random.often(200_000),
        }),
    )
}

fn tls(random: &mut Random) -> Value {
    let base = network(random, "tls", 443);
    let name = name(random);
    // A server shows the same certificate every time.
    let mut server = Random(u64::from(crc32fast::hash(name.as_bytes())));
    let print = server.hex(3);
    with(
        base,
        "tls",
        json!({
            "subject": format!("CN={name}"), "issuerdn": "C=CH, O=Example Trust, CN=Example Issuing CA 3",
            "serial": server.hex(1), "fingerprint": print.get(..40), "sni": name, "version": random.of(&["TLS 1.3", "TLS 1.2"]),
            "notbefore": "2026-09-01T00:00:00", "notafter": "2026-12-01T00:00:00",
            "ja3": {"hash": format!("{:032x}", u128::from(random.often(60)) * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834)},
            "ja4": format!("t13d1516h2_{:012x}_{:012x}", random.often(40), random.often(40)),
        }),
    )
}

fn windows(random: &mut Random, code: &str, provider: &str) -> Value {
    let computer = format!("WS-{:04}.corp.example", random.often(400));
    json!({
        "event": {"code": code, "provider": provider, "kind": "event", "dataset": "windows"},
        "host": {"name": computer, "os": {"type": "windows"}},
        "agent": {"name": computer, "version": "0.4.0"},
        "winlog": {"channel": provider, "record_id": random.below(100_000_000), "computer_name": computer},
        "log": {"level": "information"},
    })
}

fn process(random: &mut Random) -> Value {
    let base = windows(random, "1", "Microsoft-Windows-Sysmon/Operational");
    let (image, parent) = (random.of(&IMAGES), random.of(&IMAGES));
    let guid = random.hex(2);
    let line = format!(
        "{image} -k {} -p -s {} /arg:{}",
        random.of(&["netsvcs", "LocalService", "UnistackSvcGroup"]),
        random.of(&PROGRAMS),
        random.often(5_000)
    );
    let value = with(
        base,
        "process",
        json!({
            "executable": image, "command_line": line, "pid": 400 + random.below(20_000), "entity_id": guid,
            "parent": {"executable": parent, "pid": 400 + random.below(20_000), "command_line": parent},
            "working_directory": "C:\\Windows\\system32\\",
            "hash": {"sha256": format!("{:064x}", u128::from(random.often(4_000)) * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834)},
        }),
    );
    let value = with(
        value,
        "user",
        json!({"name": random.of(&USERS), "domain": "CORP", "id": format!("S-1-5-21-1004336348-1177238915-682003330-{}", 1000 + random.often(400))}),
    );
    with(value, "message", json!(format!("Process Create: {line}")))
}

fn logon(random: &mut Random) -> Value {
    let code = if random.below(20) == 0 { "4625" } else { "4624" };
    let base = windows(random, code, "Security");
    let user = random.of(&USERS);
    let value = with(
        base,
        "user",
        json!({"name": user, "domain": "CORP", "id": format!("S-1-5-21-1004336348-1177238915-682003330-{}", 1000 + random.often(400))}),
    );
    let value =
        with(value, "source", json!({"ip": random.inside(), "port": 1024 + random.below(64_000)}));
    let value = with(
        value,
        "winlog",
        json!({
            "channel": "Security", "record_id": random.below(100_000_000),
            "event_data": {"LogonType": random.of(&["3", "5", "2", "10"]), "AuthenticationPackageName": random.of(&["Kerberos", "NTLM"]),
                "LogonProcessName": "Kerberos", "TargetLogonId": format!("0x{:x}", random.below(100_000_000)),
                "SubjectUserSid": "S-1-0-0", "ElevatedToken": "%%1842", "ImpersonationLevel": "%%1833"},
        }),
    );
    with(
        value,
        "message",
        json!(format!(
            "An account was successfully logged on. Account Name: {user} Account Domain: CORP Logon Process: Kerberos"
        )),
    )
}

fn syslog(random: &mut Random) -> Value {
    let host = format!("srv-{:03}.corp.example", random.often(120));
    let program = random.of(&PROGRAMS);
    let user = random.of(&USERS);
    let address = random.outside();
    let text = match random.below(3) {
        0 => format!(
            "Failed password for invalid user {user} from {address} port {} ssh2",
            random.below(60_000)
        ),
        1 => format!(
            "pam_unix({program}:session): session opened for user {user}(uid={}) by (uid=0)",
            random.often(2_000)
        ),
        _ => format!(
            "Started session {} of user {user} after {} ms, unit session-{}.scope",
            random.below(100_000),
            random.often(9_000),
            random.below(100_000)
        ),
    };
    json!({
        "message": text, "host": {"name": host}, "process": {"name": program, "pid": random.below(30_000)},
        "event": {"dataset": "syslog", "original": format!("<38>Nov 22 15:04:05 {host} {program}[{}]: {text}", random.below(30_000))},
        "log": {"syslog": {"facility": {"code": 4}, "severity": {"code": 6}}, "file": {"path": "/var/log/auth.log"}},
        "agent": {"name": host, "version": "0.4.0"}, "user": {"name": user}, "source": {"ip": address},
    })
}
