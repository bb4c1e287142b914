//! What is there: processes and sockets from `/proc`, users and groups from their files.

use std::collections::BTreeMap;
use std::io::Read;

use event::{Object, set};
use procfs::net::{TcpState, UdpState};
use procfs::process::{FDTarget, Process};
use serde_json::Value;

use super::state::{Facts, Kind, Look, MAX_FACTS};
use crate::config::InventoryConfig;

/// Most bytes read of a file of users or groups.
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// Most bytes kept of a text.
const MAX_TEXT: usize = 4096;
/// Most members kept of a group.
const MAX_MEMBERS: usize = 256;

/// What went wrong on the way, by what could not be read.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub(super) errors: Vec<String>,
    /// Facts without room.
    pub(super) left_out: u64,
}

/// Looks at what is configured.
pub(super) fn look(config: &InventoryConfig, problems: &mut Problems) -> Look {
    let boot = procfs::boot_time_secs().unwrap_or(0);
    let mut look = Look { boot, ..Look::default() };
    let names = if config.users { users(problems, &mut look) } else { Default::default() };
    if !config.processes && !config.listeners {
        return look;
    }
    let mut sockets = BTreeMap::new();
    match processes(config.listeners, &names, &mut sockets) {
        Ok(found) if config.processes => keep(Kind::Process, found, &mut look, problems),
        Ok(_) => {}
        Err(error) => problems.errors.push(format!("processes: {error}")),
    }
    if config.listeners {
        match listeners(&names, &sockets) {
            Ok(found) => keep(Kind::Listener, found, &mut look, problems),
            Err(error) => problems.errors.push(format!("sockets: {error}")),
        }
    }
    look
}

fn keep(kind: Kind, mut found: Facts, look: &mut Look, problems: &mut Problems) {
    while found.len() > MAX_FACTS && found.pop_last().is_some() {
        problems.left_out = problems.left_out.saturating_add(1);
    }
    look.found.insert(kind, found);
}

fn put(fields: &mut Object, name: &str, value: &str) {
    let value = value.get(..value.floor_char_boundary(MAX_TEXT)).unwrap_or_default();
    if !value.is_empty() {
        set(fields, name, Value::from(value));
    }
}

/// Names of users by their id.
type Names = BTreeMap<u32, String>;
/// Processes by the inodes of their sockets.
type Sockets = BTreeMap<u64, Object>;

fn processes(
    with_sockets: bool,
    names: &Names,
    sockets: &mut Sockets,
) -> procfs::ProcResult<Facts> {
    let mut found = Facts::new();
    // Processes that end meanwhile are no errors.
    for process in procfs::process::all_processes()?.flatten() {
        let Ok(stat) = process.stat() else { continue };
        let mut fields = Object::new();
        set(&mut fields, "process.pid", stat.pid.into());
        set(&mut fields, "process.parent.pid", stat.ppid.into());
        put(&mut fields, "process.name", &stat.comm);
        if let Ok(path) = process.exe() {
            put(&mut fields, "process.executable", &path.display().to_string());
        }
        let arguments = process.cmdline().unwrap_or_default();
        put(&mut fields, "process.command_line", &arguments.join(" "));
        if let Ok(uid) = process.uid() {
            user(&mut fields, uid, names);
        }
        if with_sockets {
            sockets_of(&process, &fields, sockets);
        }
        found.insert(format!("{}/{}", stat.pid, stat.starttime), fields);
    }
    Ok(found)
}

fn user(fields: &mut Object, uid: u32, names: &Names) {
    set(fields, "user.id", Value::from(uid.to_string()));
    if let Some(name) = names.get(&uid) {
        put(fields, "user.name", name);
    }
}

/// The sockets of a process; those of others only tracers are told of.
fn sockets_of(process: &Process, fields: &Object, sockets: &mut Sockets) {
    let Ok(all) = process.fd() else { return };
    for open in all.flatten() {
        if let FDTarget::Socket(inode) = open.target
            && sockets.len() < MAX_FACTS
        {
            sockets.entry(inode).or_insert_with(|| fields.clone());
        }
    }
}

fn listeners(names: &Names, sockets: &Sockets) -> procfs::ProcResult<Facts> {
    let mut found = Facts::new();
    let mut add = |transport: &str, address: std::net::SocketAddr, uid: u32, inode: u64| {
        let mut fields = sockets.get(&inode).cloned().unwrap_or_default();
        // The process is there by its number as long as the socket is; who began it does not matter.
        set(&mut fields, "server.ip", Value::from(address.ip().to_string()));
        set(&mut fields, "server.port", address.port().into());
        put(&mut fields, "network.transport", transport);
        user(&mut fields, uid, names);
        found.insert(format!("{transport} {address}"), fields);
    };
    let tables = [procfs::net::tcp()?, procfs::net::tcp6().unwrap_or_default()];
    for entry in tables.into_iter().flatten().filter(|entry| entry.state == TcpState::Listen) {
        add("tcp", entry.local_address, entry.uid, entry.inode);
    }
    let tables = [procfs::net::udp()?, procfs::net::udp6().unwrap_or_default()];
    for entry in tables.into_iter().flatten().filter(|entry| entry.state == UdpState::Close) {
        add("udp", entry.local_address, entry.uid, entry.inode);
    }
    Ok(found)
}

/// Users and groups; gives names of users by their id.
fn users(problems: &mut Problems, look: &mut Look) -> Names {
    let mut names = Names::new();
    let mut read = |path: &str| match text(path) {
        Ok(text) => Some(text),
        Err(error) => {
            problems.errors.push(format!("{path}: {error}"));
            None
        }
    };
    let (passwd, group) = (read("/etc/passwd"), read("/etc/group"));
    if let Some(text) = passwd {
        keep(Kind::User, users_in(&text, &mut names), look, problems);
    }
    if let Some(text) = group {
        keep(Kind::Group, groups_in(&text), look, problems);
    }
    names
}

fn text(path: &str) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `name:password:uid:gid:comment:folder:shell` (passwd(5)); what is no such line is passed over, of two lines of one
/// name the first counts, as it does for the system.
fn users_in(text: &str, names: &mut Names) -> Facts {
    let mut found = Facts::new();
    for line in text.lines() {
        let parts: Vec<&str> = line.splitn(7, ':').collect();
        let [name, _, uid, gid, comment, home, shell] = parts.as_slice() else { continue };
        let (Ok(uid), Ok(gid), false) = (uid.parse::<u32>(), gid.parse::<u32>(), name.is_empty())
        else {
            continue;
        };
        names.entry(uid).or_insert_with(|| (*name).to_owned());
        let mut fields = Object::new();
        put(&mut fields, "user.name", name);
        put(&mut fields, "user.id", &uid.to_string());
        put(&mut fields, "user.group.id", &gid.to_string());
        put(&mut fields, "user.full_name", comment);
        put(&mut fields, "user.home", home);
        put(&mut fields, "user.shell", shell);
        found.entry((*name).to_owned()).or_insert(fields);
    }
    found
}

/// `name:password:gid:members` (group(5)).
fn groups_in(text: &str) -> Facts {
    let mut found = Facts::new();
    for line in text.lines() {
        let parts: Vec<&str> = line.splitn(4, ':').collect();
        let [name, _, gid, members] = parts.as_slice() else { continue };
        if name.is_empty() || gid.parse::<u32>().is_err() {
            continue;
        }
        let mut fields = Object::new();
        put(&mut fields, "group.name", name);
        put(&mut fields, "group.id", gid);
        let members: Vec<&str> =
            members.split(',').filter(|one| !one.is_empty()).take(MAX_MEMBERS).collect();
        if !members.is_empty() {
            set(&mut fields, "group.members", Value::from(members));
        }
        found.entry((*name).to_owned()).or_insert(fields);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn users_and_groups_as_the_system_reads_them() {
        let mut names = Names::new();
        let text = "root:x:0:0:root:/root:/bin/bash\n# remark\n:x:0:0:::\nbroken\ntoor:x:0:0:::\nroot:x:5:5:::\n+::::::\nbig:x:4294967295:1:a,b:/:/a:b\n";
        let users = serde_json::to_string_pretty(&users_in(text, &mut names)).unwrap();
        expect![[r#"
            {
              "big": {
                "user": {
                  "name": "big",
                  "id": "4294967295",
                  "group": {
                    "id": "1"
                  },
                  "full_name": "a,b",
                  "home": "/",
                  "shell": "/a:b"
                }
              },
              "root": {
                "user": {
                  "name": "root",
                  "id": "0",
                  "group": {
                    "id": "0"
                  },
                  "full_name": "root",
                  "home": "/root",
                  "shell": "/bin/bash"
                }
              },
              "toor": {
                "user": {
                  "name": "toor",
                  "id": "0",
                  "group": {
                    "id": "0"
                  }
                }
              }
            }"#]]
        .assert_eq(&users);
        assert_eq!(names.get(&0).map(String::as_str), Some("root"));
        let groups = groups_in("sudo:x:27:alice,bob\nempty:x:28:\nbad:x:-1:\n::1:\nshort:x:1\n");
        expect![[r#"{"empty":{"group":{"name":"empty","id":"28"}},"sudo":{"group":{"name":"sudo","id":"27","members":["alice","bob"]}}}"#]].assert_eq(&serde_json::to_string(&groups).unwrap());
        let long = format!("x:x:1:1::{}:\n", "\u{e9}".repeat(10_000));
        let kept = users_in(&long, &mut names)["x"]["user"]["home"].as_str().unwrap().len();
        assert_eq!(kept, MAX_TEXT);
    }

    #[test]
    fn this_process_and_its_sockets_are_found() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = std::net::UdpSocket::bind("[::1]:0").unwrap();
        let mut problems = Problems::default();
        let look = look(&InventoryConfig::default(), &mut problems);
        assert!(problems.errors.is_empty(), "{problems:?}");
        let own = |fields: &&Object| fields["process"]["pid"] == std::process::id();
        let process = look.found[&Kind::Process].values().find(own).unwrap();
        assert!(process["process"]["executable"].as_str().unwrap().contains("logs"));
        for (transport, address) in
            [("tcp", tcp.local_addr().unwrap()), ("udp", udp.local_addr().unwrap())]
        {
            let fields = &look.found[&Kind::Listener][&format!("{transport} {address}")];
            assert_eq!(fields["server"]["port"], address.port());
            assert_eq!(fields["process"]["pid"], std::process::id());
        }
        assert!(look.found[&Kind::User].contains_key("root") && look.boot > 0);
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let mut problems = Problems::default();
        let mut look = Look::default();
        let many = (0..MAX_FACTS + 7).map(|number| (number.to_string(), Object::new())).collect();
        keep(Kind::Process, many, &mut look, &mut problems);
        assert_eq!((look.found[&Kind::Process].len(), problems.left_out), (MAX_FACTS, 7));
    }
}
