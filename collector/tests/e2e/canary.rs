//! Nothing of what the product keeps can be read from the disk: strings are written into events, state, spool, audit
//! log and an export, and looked for in every file of both data folders, in its name and its bytes, also as UTF-16,
//! base64 and hexadecimal digits. The same look at an export in plain text finds them.
//!
//! `PIKETT_CANARY_EVENTS` says how many events carry them (2,000).

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::system::{Options, System, binary, output};

/// What is looked for: in no file of the product, nor in its programs.
const CANARIES: [&str; 14] = [
    "kanarienmessage7",
    "kanarienuser7",
    "203.0.113.177",
    "kanarienfield7",
    "kanarienvalue7",
    "kanariennote7",
    "kanarienreason7",
    "kanariensearch7",
    "kanarienadmin7",
    "kanarientoken7",
    "kanariencontact7",
    "kanarienaudit7",
    "kanarienspool7",
    "kanarienkill7",
];

fn events() -> u32 {
    std::env::var("PIKETT_CANARY_EVENTS").map_or(2_000, |text| text.parse().unwrap())
}

/// The ways a text may stand in a file without being sealed.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let wide: Vec<u16> = text.encode_utf16().collect();
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![
        text.as_bytes().to_vec(),
        wide.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        wide.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
    ];
    // In base64 it looks different by its place; what depends on its neighbours is left out.
    for skip in 0..3 {
        let bytes = [&vec![0; skip][..], text.as_bytes()].concat();
        let whole = bytes.len() / 3 * 4;
        let from = if skip == 0 { 0 } else { skip + 1 };
        for engine in [&STANDARD, &URL_SAFE_NO_PAD] {
            forms.push(engine.encode(&bytes).as_bytes()[from..whole].to_vec());
        }
    }
    forms
}

/// Looks for all of them, in any form.
struct Look {
    forms: Vec<(&'static str, Vec<u8>)>,
    /// Letters of either case are the same here, as they are to whoever looks.
    finder: AhoCorasick,
    files: u64,
    bytes: u64,
    found: Vec<String>,
}

impl Look {
    fn new() -> Self {
        let each = |text: &'static str| forms(text).into_iter().map(move |form| (text, form));
        let forms: Vec<_> = CANARIES.into_iter().flat_map(each).collect();
        let mut finder = AhoCorasick::builder();
        finder.ascii_case_insensitive(true);
        let finder = finder.build(forms.iter().map(|(_, form)| form)).unwrap();
        Self { forms, finder, files: 0, bytes: 0, found: Vec::new() }
    }

    fn at(&mut self, bytes: &[u8], place: &str) {
        for found in self.finder.find_iter(bytes) {
            let (text, _) = &self.forms[found.pattern().as_usize()];
            self.found.push(format!("{text} at byte {} of {place}", found.start()));
        }
    }

    fn folder(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // A file may go while it is looked for.
            if path.is_dir() {
                self.name(&path);
                self.folder(&path);
            } else if path.exists() {
                self.file(&path);
            }
        }
    }

    fn name(&mut self, path: &Path) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        self.at(name.as_bytes(), &format!("the name of {}", path.display()));
    }

    fn file(&mut self, path: &Path) {
        self.name(path);
        let bytes = std::fs::read(path).unwrap();
        self.files += 1;
        self.bytes += bytes.len() as u64;
        self.at(&bytes, &path.display().to_string());
    }

    /// Which of the texts were found.
    fn texts(&self) -> Vec<&'static str> {
        let seen = |text: &&str| self.found.iter().any(|found| found.starts_with(*text));
        CANARIES.into_iter().filter(seen).collect()
    }
}

/// An administrator's session, with curl.
struct Administrator<'a> {
    system: &'a System,
    csrf: String,
}

impl<'a> Administrator<'a> {
    fn login(system: &'a System) -> Self {
        let password = system.made.lines().find_map(|line| line.strip_prefix("password ")).unwrap();
        let mut it = Self { system, csrf: String::new() };
        let login =
            it.ask("POST", "/api/v1/login", &json!({"name": "admin", "password": password}));
        it.csrf = login["csrf"].as_str().unwrap().to_owned();
        let change = json!({"old": password, "new": "Lighthouse-keeper-9"});
        it.ask("POST", "/api/v1/password", &change);
        it
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail-with-body", "--cacert"]);
        curl.arg(self.system.at("authority.pem"));
        let jar = self.system.at("jar");
        curl.arg("--cookie").arg(&jar).arg("--cookie-jar").arg(&jar);
        curl.args(["--header", &format!("x-csrf-token: {}", self.csrf)]);
        curl.args(["--json", &body.to_string(), "--request", method]);
        curl.arg(format!("https://127.0.0.1:{}{path}", self.system.ports.0));
        serde_json::from_str(&output(&mut curl)).unwrap()
    }

    /// Canaries of people: users and whom to call, tokens, kept searches, exceptions.
    fn fill(&self) {
        let user = json!({"name": "kanarienadmin7", "role": "responder", "mail": "kanariencontact7@example.com"});
        self.ask("POST", "/api/v1/users/add", &user);
        let mut schedule = self.ask("GET", "/api/v1/oncall", &json!({}))["schedule"].clone();
        schedule["members"] = json!(["kanarienadmin7"]);
        self.ask("PUT", "/api/v1/oncall/schedule", &schedule);
        let token = json!({"name": "kanarientoken7", "scopes": ["read"]});
        self.ask("POST", "/api/v1/tokens/add", &token);
        let search =
            json!({"name": "kanariensearch7", "query": "message:kanariensearch7", "shared": true});
        self.ask("POST", "/api/v1/searches/save", &search);
        let exception = json!({"engine": "sigma", "rule_id": RULE, "reason": "kanarienreason7",
                               "conditions": [{"field": "user.name", "values": ["nobody"]}]});
        self.ask("POST", "/api/v1/exceptions/add", &exception);
    }
}

const RULE: &str = "8f1b2c9e-0000-4000-8000-000000000007";

fn log(system: &System, lines: impl Iterator<Item = String>) {
    let path = system.at("logs/app.log");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    let text: String = lines.map(|line| line + "\n").collect();
    file.write_all(text.as_bytes()).unwrap();
}

/// Lines of JSON with canaries where events have their own words.
fn line(number: u32, word: &str) -> String {
    json!({
        "timestamp": "2026-11-22T15:04:05Z", "event_type": "log", "host": {"name": "web1"},
        "message": format!("{word} number {number}"), "user": {"name": "kanarienuser7"},
        "src_ip": "203.0.113.177", "kanarienfield7": format!("kanarienvalue7 {number}"),
    })
    .to_string()
}

/// Puts an export into a file with the command line; its exit code.
fn export(system: &System, name: &str, how: &[&str]) -> PathBuf {
    let path = system.at(name);
    let mut command = Command::new(binary("pikett"));
    command.args(["search", "*", "--from", "2026-11-01T00:00:00Z", "--output"]).arg(&path);
    command.args(how).args(["--url", &format!("https://127.0.0.1:{}", system.ports.0)]);
    command.arg("--authority").arg(system.at("authority.pem"));
    command.arg("--token-file").arg(system.at("token"));
    let done = command.output().unwrap();
    let words = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{words}");
    path
}

/// The look finds what is there to be found, and the sealed export holds all of the plain one.
fn compare(sealed: &Path, plain: &Path, words: &str, count: u32) {
    let mut control = Look::new();
    control.file(plain);
    let stored = ["message7", "user7", "field7", "value7", "spool7", "kill7"];
    for text in stored.iter().map(|end| format!("kanarien{end}")) {
        assert!(control.texts().contains(&text.as_str()), "{text}: {:?}", control.texts());
    }
    let mut open = Command::new(binary("pikett"));
    open.arg("open").arg(sealed).args(["--passphrase", words]);
    let opened = open.output().unwrap();
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    let events = |bytes: &[u8]| {
        let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.retain(|line| line.windows(8).any(|part| part == b"kanarien"));
        lines.sort();
        lines
    };
    let (opened, plain) = (events(&opened.stdout), events(&std::fs::read(plain).unwrap()));
    assert!(opened.len() >= usize::try_from(count).unwrap() * 3);
    assert!(opened == plain, "{} and {} events", opened.len(), plain.len());
}

#[test]
fn nothing_that_is_kept_can_be_read_from_the_disk() {
    if !binary("pikett").exists() {
        return println!("skipped: pikett is not built (run the tests of the whole workspace)");
    }
    let rules = tempfile::tempdir().unwrap();
    let rule = format!(
        "title: Canary\nid: {RULE}\nlevel: high\nlogsource: {{product: linux}}\n\
         detection:\n  a:\n    message: 'kanarienmessage7 number 1'\n  condition: a\n"
    );
    std::fs::write(rules.path().join("r.yml"), rule).unwrap();
    let agent = format!("[rules]\nsigma = [{:?}]\n", rules.path());
    let options = Options { agent, cable: true, ..Options::default() };
    let Some(mut system) = System::start(options) else { return };
    let count = events();
    log(&system, (0..count).map(|number| line(number, "kanarienmessage7")));
    let total = |system: &System, query: &str| {
        system.total(&format!("event_type:log AND {query}")).unwrap_or(0)
    };
    let arrived = |system: &System| total(system, "message:kanarienmessage7") == u64::from(count);
    system.wait("all is found", arrived);
    // By its field, its value and its address: the words mean what they say in the events.
    for query in
        ["kanarienfield7:kanarienvalue7*", "user.name:kanarienuser7", "src_ip:203.0.113.177"]
    {
        assert_eq!(total(&system, query), u64::from(count), "{query}");
    }
    assert_eq!(system.total("message:kanarienaudit7"), Some(0));
    Administrator::login(&system).fill();
    system.wait("an alert", |system| !system.alerts().is_empty());
    let id = system.alerts()[0]["id"].as_str().unwrap().to_owned();
    let note = json!({"action": "acknowledge", "note": "kanariennote7"});
    let _: Value = system.client.post(&format!("/api/v1/alerts/{id}/action"), &note).unwrap();

    // Half of what is spooled is shipped when the collector is killed, the rest stays at the agent.
    system.proxy.as_ref().unwrap().cut();
    log(&system, (0..count).map(|number| line(number, "kanarienspool7")));
    std::thread::sleep(std::time::Duration::from_millis(500));
    system.proxy.as_ref().unwrap().mend();
    system.wait("some is shipped", |system| system.total("message:kanarienspool7") > Some(0));
    log(&system, (0..count).map(|number| line(number, "kanarienkill7")));
    system.kill("collector");
    system.wait("the spool has something", |system| {
        let files = std::fs::read_dir(system.at("a/spool")).unwrap().flatten();
        files.map(|file| file.metadata().map_or(0, |meta| meta.len())).sum::<u64>() > 2_000
    });
    system.kill("agent");
    let mut look = Look::new();
    ["a", "c"].iter().for_each(|folder| look.folder(&system.at(folder)));
    assert!(look.found.is_empty(), "after the kill: {:#?}", look.found);

    system.run("collector");
    system.run("agent");
    for word in ["kanarienspool7", "kanarienkill7"] {
        let query = format!("message:{word}");
        system.wait(word, |system| system.total(&query) == Some(u64::from(count)));
    }
    std::fs::write(system.at("words"), "correct horse battery").unwrap();
    let words = format!("file:{}", system.at("words").display());
    let sealed = export(&system, "sealed.pkx", &["--passphrase", &words]);
    let plain = export(&system, "plain.ndjson", &["--plain"]);
    system.stop("agent");
    system.stop("collector");
    let mut look = Look::new();
    ["a", "c"].iter().for_each(|folder| look.folder(&system.at(folder)));
    look.file(&sealed);
    assert!(look.found.is_empty(), "{:#?}", look.found);
    println!("{} files, {} bytes: none of {} canaries", look.files, look.bytes, CANARIES.len());
    compare(&sealed, &plain, &words, count);
}

#[test]
fn the_look_finds_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept");
    let text = "kanarienmessage7";
    let around = format!("xy{text}z");
    let wide: Vec<u8> = around.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [
        around.clone().into_bytes(),
        around.to_uppercase().into_bytes(),
        wide,
        STANDARD.encode(&around).into_bytes(),
        STANDARD.encode(&around.as_bytes()[1..]).into_bytes(),
        URL_SAFE_NO_PAD.encode(&around.as_bytes()[2..]).into_bytes(),
        around.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect(),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        let mut look = Look::new();
        look.folder(folder.path());
        assert_eq!(look.texts(), [text], "{}", String::from_utf8_lossy(&bytes));
    }
    std::fs::rename(&path, folder.path().join(around)).unwrap();
    std::fs::write(folder.path().join(format!("xy{text}z")), "").unwrap();
    let mut look = Look::new();
    look.folder(folder.path());
    assert_eq!(look.found.len(), 1);
}
