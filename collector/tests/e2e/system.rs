//! A collector and an agent as processes, and the ways to hurt them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use api::ErrorCode;
use api::client::{Client, ClientError};
use serde_json::{Value, json};
use service::Secret;

use crate::proxy::Proxy;

/// Polls before a test gives up, 100 ms each: generous, because machines are shared.
const POLLS: u32 = 1800;
/// Time without a new line before a test gives up on the rest.
const STILL: Duration = Duration::from_secs(180);
/// Lines that share one `process.name`, so that each line can be counted by one aggregation.
const CHUNK: u32 = 5_000;

/// What differs from a plain pair.
#[derive(Default)]
pub(crate) struct Options {
    /// Further lines of the agent's configuration.
    pub(crate) agent: String,
    /// Further lines of the collector's configuration.
    pub(crate) collector: String,
    /// Lines at the head of the agent's configuration, before the first table.
    pub(crate) head: String,
    /// Names of the logs that the agent follows in `logs`; `*.log` when empty.
    pub(crate) pattern: String,
    /// Put a cable that can be cut between the two.
    pub(crate) cable: bool,
    /// Folder of the collector's data when it must lie elsewhere.
    pub(crate) data: Option<PathBuf>,
    /// Variables of the collector's process.
    pub(crate) environment: Vec<(String, String)>,
}

/// Both daemons, stopped when dropped.
pub(crate) struct System {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) client: Client,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) ports: (u16, u16),
    pub(crate) written: u32,
    /// What was said when the collector was made: its first user.
    pub(crate) made: String,
    environment: Vec<(String, String)>,
    running: Vec<(&'static str, Child)>,
}

impl Drop for System {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            let _gone = child.kill().and_then(|()| child.wait());
        }
    }
}

/// A binary of the product, from beside the collector's or from `PIKETT_E2E_BINARIES`.
pub(crate) fn binary(name: &str) -> PathBuf {
    let own = PathBuf::from(env!("CARGO_BIN_EXE_pikett-collector"));
    let folder = std::env::var_os("PIKETT_E2E_BINARIES").map(PathBuf::from);
    folder.map_or_else(|| own.with_file_name(name), |folder| folder.join(name))
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Standard output of a command that must succeed.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Standard error of a command that must fail.
pub(crate) fn refusal(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

impl System {
    /// Both running, the agent enrolled and following `logs/*.log`; `None`, said aloud, when the
    /// agent's binary was not built.
    pub(crate) fn start(options: Options) -> Option<Self> {
        if !binary("pikett-agent").exists() {
            println!("skipped: pikett-agent is not built (run the tests of the whole workspace)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let data = options.data.clone().unwrap_or_else(|| at("c"));
        let ports = (free_port(), free_port());
        let proxy = options.cable.then(|| Proxy::start(ports.1));
        let (web, link) = ports;
        let named = proxy.as_ref().map_or(link, |proxy| proxy.port);
        std::fs::create_dir(at("logs")).unwrap();
        let collector = format!(
            "data = {data:?}\nweb = \"127.0.0.1:{web}\"\nlink = \"127.0.0.1:{link}\"\n\
             console_url = \"https://127.0.0.1:{web}\"\nlink_names = [\"127.0.0.1:{named}\"]\n{}",
            options.collector
        );
        std::fs::write(at("c.toml"), collector).unwrap();
        let pattern = if options.pattern.is_empty() { "*.log" } else { &options.pattern };
        let text = format!(
            "data = {:?}\n{}\n[[logs.files]]\npaths = [\"{}/{pattern}\"]\n{}",
            at("a"),
            options.head,
            at("logs").display(),
            options.agent
        );
        std::fs::write(at("a.toml"), text).unwrap();
        let init = ["init", "--name", "127.0.0.1", "--mail", "oncall@example.com", "--data"];
        let made = output(Command::new(binary("pikett-collector")).args(init).arg(&data));
        let token = ["token", "--name", "test", "--scope", "read", "--scope", "respond"];
        let token =
            token.into_iter().chain(["--scope", "ingest", "--scope", "metrics", "--config"]);
        let mut command = Command::new(binary("pikett-collector"));
        let token = output(command.args(token).arg(at("c.toml")));
        let authority = std::fs::read_to_string(data.join("authority.pem")).unwrap();
        std::fs::write(at("token"), &token).unwrap();
        std::fs::write(at("authority.pem"), &authority).unwrap();
        let url = format!("https://127.0.0.1:{web}");
        let client = Client::new(&url, &authority, Secret::new(token)).unwrap();
        let environment = options.environment;
        let running = Vec::new();
        let mut system =
            Self { folder, client, proxy, ports, written: 0, made, environment, running };
        system.run("collector");
        system.wait("the collector answers", |system| system.count().is_some());
        let token = system.enrolment(&[]);
        output(&mut system.enroll(named, &token, "a"));
        system.run("agent");
        system.wait("the link is up", |system| system.log("agent").contains("link is up"));
        Some(system)
    }

    /// A path in the system's own folder.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new enrolment token.
    pub(crate) fn enrolment(&self, options: &[&str]) -> String {
        let mut command = Command::new(binary("pikett-collector"));
        command.arg("enrolment-token").args(options).arg("--config").arg(self.at("c.toml"));
        output(&mut command)
    }

    /// The command that enrols an agent into the folder `data`.
    pub(crate) fn enroll(&self, port: u16, token: &str, data: &str) -> Command {
        let mut command = Command::new(binary("pikett-agent"));
        let address = format!("https://127.0.0.1:{port}");
        command.args(["enroll", "--collector", &address, "--token", token, "--name", "web1"]);
        command.arg("--data").arg(self.at(data));
        command
    }

    /// Starts `collector` or `agent`.
    pub(crate) fn run(&mut self, name: &'static str) {
        let (program, config) = self.program(name);
        let log = self.at(&format!("{name}.log"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(program);
        if name == "collector" {
            command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        }
        let quiet = command.args(["run", "--config"]).arg(config).stdout(Stdio::null());
        self.running.push((name, quiet.stderr(log).spawn().unwrap()));
    }

    fn child(&mut self, name: &str) -> Child {
        let at = self.running.iter().position(|(one, _)| *one == name).unwrap();
        self.running.remove(at).1
    }

    /// Kills with SIGKILL, as a crash would.
    pub(crate) fn kill(&mut self, name: &str) {
        let mut child = self.child(name);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn stop(&mut self, name: &str) {
        let mut child = self.child(name);
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(child.wait().unwrap().success(), "{}", self.log(name));
    }

    /// The process of a daemon that runs.
    pub(crate) fn pid(&self, name: &str) -> u32 {
        let found = self.running.iter().find(|(one, _)| *one == name);
        found.map(|(_, child)| child.id()).unwrap()
    }

    /// Program and configuration of `collector` or `agent`.
    pub(crate) fn program(&self, name: &str) -> (PathBuf, PathBuf) {
        match name {
            "agent" => (binary("pikett-agent"), self.at("a.toml")),
            _ => (binary("pikett-collector"), self.at("c.toml")),
        }
    }

    /// Whether it is still running.
    pub(crate) fn lives(&mut self, name: &str) -> bool {
        let found = self.running.iter_mut().find(|(one, _)| *one == name);
        found.is_some_and(|(_, child)| child.try_wait().unwrap().is_none())
    }

    /// Seconds of processor time that it has used, and its resident bytes.
    pub(crate) fn usage(&self, name: &str) -> (f64, u64) {
        let found = self.running.iter().find(|(one, _)| *one == name);
        found.map_or((0.0, 0), |(_, child)| usage(child.id()))
    }

    /// What it wrote to its own log so far.
    pub(crate) fn log(&self, name: &str) -> String {
        let bytes = std::fs::read(self.at(&format!("{name}.log"))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Appends numbered lines to the log the agent follows.
    pub(crate) fn write(&mut self, lines: u32) {
        let range = self.written..self.written + lines;
        append(&self.at("logs/app.log"), range, 0);
        self.written += lines;
    }

    /// Appends numbered lines of more than a kilobyte that hardly compress.
    pub(crate) fn write_bulky(&mut self, lines: u32) {
        let range = self.written..self.written + lines;
        append(&self.at("logs/app.log"), range, 64);
        self.written += lines;
    }

    /// Asks the API; `None` when the collector does not answer.
    pub(crate) fn search(&self, request: &Value) -> Option<Value> {
        patient(|| self.client.post("/api/v1/search", request)).ok()
    }

    /// Events that match a query; `None` when the collector does not answer.
    pub(crate) fn total(&self, query: &str) -> Option<u64> {
        self.search(&json!({"query": query, "limit": 0}))?["total"].as_u64()
    }

    /// Asks until there is an answer.
    fn answer(&self, request: &Value) -> Value {
        for _ in 0..POLLS {
            if let Some(answer) = self.search(request) {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("no answer to {request}");
    }

    /// Numbered lines that are searchable; `None` when the collector does not answer.
    pub(crate) fn count(&self) -> Option<u64> {
        self.total("process.name:app*")
    }

    /// The live alerts.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        let path = "/api/v1/alerts?status=live&limit=1000";
        let alerts: Value = patient(|| self.client.get(path)).unwrap();
        alerts.as_array().or_else(|| alerts["alerts"].as_array()).cloned().unwrap_or_default()
    }

    /// The agent as the collector knows it.
    pub(crate) fn agent(&self) -> Value {
        patient(|| self.client.get::<Value>("/api/v1/agents")).unwrap()[0].clone()
    }

    /// Waits until something holds.
    pub(crate) fn wait(&self, what: &str, mut reached: impl FnMut(&Self) -> bool) {
        for _ in 0..POLLS {
            if reached(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.give_up(what);
    }

    /// Waits until so many lines are found, for as long as their number grows.
    ///
    /// The count is a search over everything: asking often takes from what is waited for.
    pub(crate) fn arrive(&self, expected: u64) {
        let pause = Duration::from_millis(if expected > 100_000 { 2000 } else { 100 });
        let (mut most, mut still) = (None, Duration::ZERO);
        while still < STILL {
            let count = self.count();
            if count >= Some(expected) {
                return;
            }
            still = if count > most { Duration::ZERO } else { still + pause };
            most = most.max(count);
            std::thread::sleep(pause);
        }
        self.give_up(&format!("{expected} lines are found"));
    }

    fn give_up(&self, what: &str) -> ! {
        let tail = |name: &str| {
            let text = self.log(name);
            text.lines().rev().take(15).collect::<Vec<_>>().join("\n")
        };
        let (agent, collector) = (tail("agent"), tail("collector"));
        let known = self.client.get::<Value>("/api/v1/agents").unwrap_or_default();
        panic!("never: {what} ({:?})\n{agent}\n{collector}\n{known}", self.count());
    }

    /// Waits for every line, then looks that each is there once and the books balance.
    pub(crate) fn settle(&self) {
        let expected = u64::from(self.written);
        self.arrive(expected);
        let found = self.count();
        assert_eq!(found, Some(expected), "more than was written: {}", self.surplus());
        self.each_once(0..self.written);
        self.balance();
    }

    /// What is found more often than it was written: chunks, and the places one line came from.
    fn surplus(&self) -> String {
        let mut out = String::new();
        for chunk in 0..=self.written / CHUNK {
            let query = format!("process.name:app{chunk}");
            let wanted = u64::from(CHUNK.min(self.written - chunk * CHUNK));
            let found = self.answer(&json!({"query": query, "limit": 0}))["total"].as_u64();
            let found = found.unwrap_or(0);
            if found > wanted {
                out.push_str(&format!("\n{query}: {found} of {wanted}"));
                let request = json!({"query": query, "limit": 10_000});
                let hits = self.answer(&request);
                let mut seen = std::collections::BTreeMap::<String, Vec<String>>::new();
                for hit in hits["hits"].as_array().into_iter().flatten() {
                    let document = &hit["document"];
                    let number = document["log"]["syslog"]["procid"].to_string();
                    let (id, file) = (&document["event"]["id"], &document["log"]);
                    let from = format!("{id} {} {}", file["file"]["path"], file["offset"]);
                    seen.entry(number).or_default().push(from);
                }
                seen.retain(|_, from| from.len() > 1);
                let (first, last) = (seen.first_key_value(), seen.last_key_value());
                out.push_str(&format!(" {first:?} {last:?}"));
            }
        }
        let said = self.log("agent");
        let told = |line: &&str| line.contains("rest of a file") || line.contains("truncated");
        let said: Vec<&str> = said.lines().filter(told).collect();
        format!("{out}\n{}", said.join("\n"))
    }

    /// Each numbered line of a range that begins with a chunk is found exactly once.
    pub(crate) fn each_once(&self, range: std::ops::Range<u32>) {
        for first in range.clone().step_by(usize::try_from(CHUNK).unwrap()) {
            let count = CHUNK.min(range.end - first);
            let terms = json!({"type": "terms", "field": "log.syslog.procid", "size": 10_000});
            let query = format!("process.name:app{}", first / CHUNK);
            let request = json!({"query": query, "limit": 0, "aggregations": [terms]});
            let answer = self.answer(&request);
            let buckets = answer["aggregations"][0]["buckets"].as_array().unwrap();
            let odd: Vec<_> = buckets.iter().filter(|bucket| bucket["count"] != 1).collect();
            assert!(odd.is_empty(), "repeated: {odd:?}");
            assert_eq!(buckets.len(), usize::try_from(count).unwrap(), "lines from {first} on");
        }
    }

    /// Waits until nothing is in flight, then the ledger has no residue.
    pub(crate) fn balance(&self) {
        self.wait("the books balance", |system| {
            let agent = system.agent();
            agent["residue"] == 0 && agent["agent"]["report"]["pending"] == 0
        });
    }
}

/// Asks again for as long as the collector says that this is asked too often.
fn patient<T>(mut ask: impl FnMut() -> Result<T, ClientError>) -> Result<T, ClientError> {
    loop {
        match ask() {
            Err(ClientError::Refused { code: ErrorCode::TooMany, .. }) => {
                std::thread::sleep(Duration::from_millis(200));
            }
            answer => return answer,
        }
    }
}

/// Seconds of processor time that a process has used, and its resident bytes (proc(5)).
pub(crate) fn usage(pid: u32) -> (f64, u64) {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}"));
    let stat = read("stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u32>().ok());
    let ticks = ticks(12).unwrap_or(0) + ticks(13).unwrap_or(0);
    let memory = read("statm").unwrap_or_default();
    let pages = memory.split(' ').nth(1).and_then(|text| text.parse::<u64>().ok());
    (f64::from(ticks) / 100.0, pages.unwrap_or(0) * 4096)
}

/// Appends syslog lines with these numbers to a file, each with this many words of noise.
pub(crate) fn append(path: &Path, numbers: std::ops::Range<u32>, noise: u64) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    let mut text = String::new();
    for number in numbers {
        text.push_str(&line(number, noise));
        text.push('\n');
    }
    file.write_all(text.as_bytes()).unwrap();
}

/// The syslog line of a number, with this many words of noise and without a line end.
pub(crate) fn line(number: u32, noise: u64) -> String {
    let chunk = number / CHUNK;
    let head = format!("<13>1 2026-11-22T15:04:05Z web1 app{chunk} {number} - -");
    let mut text = format!("{head} line-{number} ");
    for word in 0..noise {
        let mixed = (u64::from(number) << 8 | word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        text.push_str(&format!("{:016x}", mixed ^ (mixed >> 29)));
    }
    text
}
