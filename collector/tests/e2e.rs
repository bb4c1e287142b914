//! The whole system with the real binaries over loopback: every line of a log becomes exactly one
//! event, whatever is killed meanwhile. Nothing here needs privileges.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use api::client::Client;
use serde_json::{Value, json};
use service::Secret;

/// Polls before a test gives up, 100 ms each: generous, because machines are shared.
const POLLS: u32 = 1200;

fn agent_binary() -> Option<PathBuf> {
    let own = PathBuf::from(env!("CARGO_BIN_EXE_pikett-collector"));
    let path = own.with_file_name("pikett-agent");
    path.exists().then_some(path)
}

struct System {
    folder: tempfile::TempDir,
    ports: (u16, u16),
    client: Client,
    agent: PathBuf,
    running: Vec<(&'static str, Child)>,
    written: u32,
}

impl Drop for System {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            let _gone = child.kill().and_then(|()| child.wait());
        }
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl System {
    /// A collector and an enrolled agent that follows `logs/*.log`; `None` without the agent's binary.
    fn start() -> Option<Self> {
        let agent = agent_binary()?;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let ports = (free_port(), free_port());
        let (web, link) = ports;
        std::fs::create_dir(at("logs")).unwrap();
        let collector = format!(
            "data = {:?}\nweb = \"127.0.0.1:{web}\"\nlink = \"127.0.0.1:{link}\"\n\
             console_url = \"https://127.0.0.1:{web}\"\nlink_names = [\"127.0.0.1:{link}\"]\n",
            at("c")
        );
        std::fs::write(at("c.toml"), collector).unwrap();
        let text = format!(
            "data = {:?}\n[[logs.files]]\npaths = [\"{}/*.log\"]\n",
            at("a"),
            at("logs").display()
        );
        std::fs::write(at("a.toml"), text).unwrap();
        let binary = env!("CARGO_BIN_EXE_pikett-collector");
        let init = ["init", "--name", "127.0.0.1", "--data"];
        output(Command::new(binary).args(init).arg(at("c")));
        let token = ["token", "--name", "test", "--scope", "read", "--config"];
        let token = output(Command::new(binary).args(token).arg(at("c.toml")));
        let authority = std::fs::read_to_string(at("c/authority.pem")).unwrap();
        let url = format!("https://127.0.0.1:{web}");
        let client = Client::new(&url, &authority, Secret::new(token)).unwrap();
        let mut system = Self { folder, ports, client, agent, running: Vec::new(), written: 0 };
        system.run("collector");
        system.wait("the collector answers", |system| system.count().is_some());
        let at = |name: &str| system.folder.path().join(name);
        let enrolment = ["enrolment-token", "--config"];
        let enrolment = output(Command::new(binary).args(enrolment).arg(at("c.toml")));
        let address = format!("https://127.0.0.1:{}", system.ports.1);
        let enroll =
            ["enroll", "--collector", &address, "--token", &enrolment, "--name", "web1", "--data"];
        output(Command::new(&system.agent).args(enroll).arg(at("a")));
        // The token is used up.
        let again = Command::new(&system.agent).args(enroll).arg(at("other")).output().unwrap();
        assert!(!again.status.success());
        assert!(String::from_utf8_lossy(&again.stderr).contains("used up"));
        system.run("agent");
        Some(system)
    }

    fn run(&mut self, name: &'static str) {
        let binary = match name {
            "agent" => self.agent.clone(),
            _ => PathBuf::from(env!("CARGO_BIN_EXE_pikett-collector")),
        };
        let config = self.folder.path().join(if name == "agent" { "a.toml" } else { "c.toml" });
        let log = self.folder.path().join(format!("{name}.log"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let child = Command::new(binary)
            .args(["run", "--config"])
            .arg(config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running.push((name, child));
    }

    /// Kills with SIGKILL, as a crash would.
    fn kill(&mut self, name: &str) {
        let at = self.running.iter().position(|(one, _)| *one == name).unwrap();
        let (_, mut child) = self.running.remove(at);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn write(&mut self, lines: u32) {
        let path = self.folder.path().join("logs/app.log");
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        for number in self.written..self.written + lines {
            writeln!(file, "<13>1 2026-11-22T15:04:05Z web1 app {number} - - line-{number}")
                .unwrap();
        }
        self.written += lines;
    }

    /// Events of the log that are searchable; `None` when the collector does not answer.
    fn count(&self) -> Option<u64> {
        let request = json!({"query": "process.name:app", "limit": 0});
        let answer: Value = self.client.post("/api/v1/search", &request).ok()?;
        answer["total"].as_u64()
    }

    fn wait(&self, what: &str, mut reached: impl FnMut(&Self) -> bool) {
        for _ in 0..POLLS {
            if reached(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = |name: &str| {
            let text = std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
            text.lines().rev().take(15).collect::<Vec<_>>().join("\n")
        };
        panic!(
            "never: {what} ({:?})\n{}\n{}",
            self.count(),
            log("agent.log"),
            log("collector.log")
        );
    }

    /// Waits for every line, then looks that each is there once and the books balance.
    fn settle(&self) {
        let expected = u64::from(self.written);
        self.wait("every line is found", |system| system.count() >= Some(expected));
        let request = json!({
            "query": "process.name:app", "limit": 0,
            "aggregations": [{"type": "terms", "field": "log.syslog.procid", "size": 10_000}],
        });
        let answer: Value = self.client.post("/api/v1/search", &request).unwrap();
        let buckets = answer["aggregations"][0]["buckets"].as_array().unwrap();
        let repeated: Vec<_> = buckets.iter().filter(|bucket| bucket["count"] != 1).collect();
        assert!(repeated.is_empty(), "repeated: {repeated:?}");
        assert_eq!((answer["total"].as_u64(), buckets.len() as u64), (Some(expected), expected));
        self.wait("the books balance", |system| {
            let agents: Value = system.client.get("/api/v1/agents").unwrap();
            agents[0]["residue"] == 0 && agents[0]["agent"]["report"]["pending"] == 0
        });
    }
}

#[test]
fn nothing_is_lost_or_repeated_whatever_is_killed() {
    let Some(mut system) = System::start() else {
        return println!(
            "skipped: pikett-agent is not built (run the tests of the whole workspace)"
        );
    };
    system.write(500);
    system.settle();

    system.write(1_000);
    system.kill("collector");
    system.write(500);
    system.run("collector");
    system.settle();

    system.write(1_000);
    system.kill("agent");
    system.write(500);
    system.run("agent");
    system.settle();

    for _ in 0..3 {
        system.write(300);
        system.kill("agent");
        system.kill("collector");
        system.write(100);
        system.run("agent");
        system.run("collector");
    }
    system.settle();
}

#[test]
fn without_credentials_nothing_is_answered_and_plain_http_neither() {
    let Some(system) = System::start() else {
        return println!("skipped: pikett-agent is not built");
    };
    let authority = std::fs::read_to_string(system.folder.path().join("c/authority.pem")).unwrap();
    let url = format!("https://127.0.0.1:{}", system.ports.0);
    let stranger = Client::new(&url, &authority, Secret::new("pkt_wrong".into())).unwrap();
    for path in
        ["/api/v1/alerts", "/api/v1/agents", "/api/v1/users", "/metrics", "/api/v1/openapi.json"]
    {
        let error = stranger.get::<Value>(path).unwrap_err();
        assert_eq!(error.to_string(), "log in or send a token", "{path}");
    }
    let mut plain = std::net::TcpStream::connect(("127.0.0.1", system.ports.0)).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _closed = std::io::Read::read_to_end(&mut plain, &mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}
