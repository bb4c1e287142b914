//! The records of one event into its fields.
//!
//! What records say stays under the audit system's own names below `auditd.`; a name that stands in several records
//! with different values has a list of them, in their order. What several records mean together has ECS names.
//! Numbers get the names of what they stand for: call, architecture, error. Names of users are those that auditd has
//! written (`log_format = ENRICHED`); none are looked up.

use std::collections::BTreeMap;

use event::Object;
use serde_json::Value;

use super::address::Address;
use super::names;
use super::record::{self, Head, Pairs, Raw, decoded};
use crate::parse::entry::text;
use crate::parse::library::raw::MAX_PAIRS;
use crate::parse::{Entry, MAX_FIELD};

/// Most arguments of a command.
const MAX_ARGUMENTS: usize = 256;
/// Arguments that have a field of their own, as rules name them.
const OWN_ARGUMENTS: usize = 16;
/// Most values of one name.
const MAX_VALUES: usize = 64;
/// An id that nobody has: -1 as the kernel writes it.
const UNSET: &str = "4294967295";
/// What is kept of a PATH record beside its name, and under which name.
const OF_PATHS: [(&str, &str); 10] = [
    ("item", "item"),
    ("name", "name"),
    ("nametype", "nametype"),
    ("inode", "inode"),
    ("dev", "dev"),
    ("mode", "mode"),
    ("ouid", "uid"),
    ("ogid", "gid"),
    ("OUID", "owner"),
    ("OGID", "group"),
];
/// What has a name in ECS too. Later ones do not replace earlier ones.
const COMMON: [(&str, &str); 17] = [
    ("exe", "process.executable"),
    ("comm", "process.name"),
    ("cwd", "process.working_directory"),
    ("proctitle", "process.title"),
    ("acct", "user.name"),
    ("UID", "user.name"),
    ("uid", "user.id"),
    ("gid", "user.group.id"),
    ("GID", "user.group.name"),
    ("euid", "user.effective.id"),
    ("EUID", "user.effective.name"),
    ("auid", "user.audit.id"),
    ("AUID", "user.audit.name"),
    ("ses", "auditd.session"),
    ("hostname", "source.domain"),
    ("ARCH", "host.architecture"),
    ("cmd", "process.command_line"),
];

/// Puts the fields of an event together.
#[derive(Debug)]
pub(super) struct Builder<'e> {
    entry: &'e mut Entry,
    /// What is below `auditd.`.
    own: Object,
    /// Whether the event has more than one record.
    joined: bool,
    arguments: BTreeMap<usize, Vec<u8>>,
    /// Arguments of the system call, as it has them.
    call: Vec<(String, String)>,
    paths: Vec<Object>,
    address: Option<Address>,
}

impl<'e> Builder<'e> {
    pub(super) fn new(entry: &'e mut Entry, head: &Head<'_>, joined: bool) -> Self {
        entry.time = head.time;
        if let Some(node) = head.node {
            entry.text("host.name", node);
        }
        entry.text("event.module", "auditd");
        let mut own = Object::new();
        own.insert("type".into(), Value::from(""));
        own.insert("serial".into(), head.serial.into());
        let (arguments, call, paths, address) = Default::default();
        Self { entry, own, joined, arguments, call, paths, address }
    }

    /// Takes a further record.
    pub(super) fn record(&mut self, head: &Head<'_>) {
        self.add("type", head.kind);
        if self.joined && head.kind == "PATH" {
            self.path(head);
        } else {
            self.pairs(head.kind, head.body, false);
        }
    }

    fn pairs(&mut self, kind: &str, body: &str, nested: bool) {
        for (count, (key, raw)) in Pairs::of(body).enumerate() {
            if count >= MAX_PAIRS {
                self.entry.flag("too_many_fields");
                return;
            }
            match (kind, key, raw) {
                // User records nest: msg='op=login acct="root" ...'
                (_, "msg", Raw::Quoted(inner)) if !nested => self.pairs(kind, inner, true),
                ("EXECVE", _, _) if self.argument(key, raw) => {}
                ("SYSCALL", "a0" | "a1" | "a2" | "a3", Raw::Bare(word)) => {
                    self.call.push((key.to_owned(), word.to_owned()));
                }
                ("SOCKADDR", "saddr", Raw::Bare(word)) => {
                    self.address = record::bytes(word).and_then(|bytes| Address::read(&bytes));
                    self.add(key, word);
                }
                // What auditd makes of the same bytes.
                ("SOCKADDR", "SADDR", _) => {}
                _ if key.contains('[') || key.contains(']') => {}
                _ => self.add(key, &decoded(key, raw)),
            }
        }
    }

    /// An argument of a command, `a1="x"`, or a piece of a long one, `a1[0]=78`; false when it is something else.
    fn argument(&mut self, key: &str, raw: Raw<'_>) -> bool {
        let Some(rest) = key.strip_prefix('a') else { return false };
        let (number, piece) = rest.split_once('[').unwrap_or((rest, ""));
        // How long a long one is.
        if rest.strip_suffix("_len").is_some_and(|number| number.parse::<usize>().is_ok()) {
            return true;
        }
        let Ok(number) = number.parse::<usize>() else { return false };
        if !piece.is_empty() && !piece.ends_with(']') {
            return false;
        }
        if number >= MAX_ARGUMENTS {
            self.entry.flag("too_many_fields");
            return true;
        }
        let bytes = match raw {
            Raw::Quoted(text) => text.as_bytes().to_vec(),
            Raw::Bare(word) => record::bytes(word).unwrap_or_else(|| word.as_bytes().to_vec()),
        };
        self.arguments.entry(number).or_default().extend(bytes);
        true
    }

    /// A record of a path among others: its names go with those of others, the rest stays together.
    fn path(&mut self, head: &Head<'_>) {
        let mut path = Object::new();
        for (key, raw) in Pairs::of(head.body).take(MAX_PAIRS) {
            let Some((_, to)) = OF_PATHS.iter().find(|(from, _)| *from == key) else { continue };
            let value = decoded(key, raw);
            if let (false, Some(value)) = (value == "(null)", text(&value)) {
                path.insert((*to).to_owned(), value);
            }
        }
        if self.paths.len() < MAX_VALUES {
            self.paths.push(path);
        } else {
            self.entry.flag("too_many_fields");
        }
    }

    /// Adds a value under a name of the audit system.
    fn add(&mut self, key: &str, value: &str) {
        let Some(value) = text(value) else { return };
        let full = self.own.len() >= MAX_PAIRS;
        match self.own.get_mut(key) {
            None if full => self.entry.flag("too_many_fields"),
            None => drop(self.own.insert(key.to_owned(), value)),
            Some(slot) if slot.as_str() == Some("") => *slot = value,
            Some(Value::Array(values)) if values.contains(&value) => {}
            Some(Value::Array(values)) if values.len() >= MAX_VALUES => {
                self.entry.flag("too_many_fields");
            }
            Some(Value::Array(values)) => values.push(value),
            Some(slot) if *slot == value => {}
            Some(slot) => *slot = Value::Array(vec![slot.take(), value]),
        }
    }

    /// The first value of a name, when it says something.
    fn first(&self, key: &str) -> Option<&str> {
        let value = match self.own.get(key)? {
            Value::Array(values) => values.first()?,
            value => value,
        };
        value.as_str().filter(|text| !["?", "(null)", "(none)", "unset", UNSET].contains(text))
    }

    fn has(&self, kind: &str) -> bool {
        match self.own.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
            one => one.is_some_and(|one| one == kind),
        }
    }

    /// Sets the fields.
    pub(super) fn finish(mut self) {
        self.system_call();
        let arguments = self.arguments();
        let files = self.files();
        for (from, to) in COMMON {
            if event::get(&self.entry.fields, to).is_none()
                && let Some(value) = self.first(from).map(str::to_owned)
            {
                self.entry.text(to, &value);
            }
        }
        for (from, to) in [("pid", "process.pid"), ("ppid", "process.parent.pid")] {
            if let Some(number) = self.first(from).map(str::to_owned) {
                self.entry.number(to, &number);
            }
        }
        if let Some(address) = self.first("addr").map(str::to_owned) {
            self.entry.address("src_ip", &address);
        }
        let command = arguments.join(" ");
        if !arguments.is_empty() {
            self.entry.text("process.command_line", &command);
            self.entry.put_static(&["process", "args"], Value::from(arguments));
        } else if let (true, Some(title)) = (self.joined, self.first("proctitle")) {
            let title = title.to_owned();
            self.entry.text("process.command_line", &title);
        }
        self.outcome();
        self.category();
        self.socket();
        if self.joined {
            let summary = self.summary(&command, &files);
            self.entry.text("auditd.summary", &summary);
            self.entry.text("message", &summary);
        }
        // Below what is there already: session and summary.
        let own = std::mem::take(&mut self.own);
        self.entry.merge("auditd", &Value::Object(own));
    }

    /// Names of the architecture and the call, and its arguments where a command has none of the same names.
    fn system_call(&mut self) {
        let arch = self.first("arch").and_then(names::architecture);
        if let Some(arch) = arch
            && !self.own.contains_key("ARCH")
        {
            self.add("ARCH", arch);
        }
        let call = arch.zip(self.first("syscall"));
        if let Some(name) = call.and_then(|(arch, number)| names::system_call(arch, number))
            && !self.own.contains_key("SYSCALL")
        {
            self.add("SYSCALL", name);
        }
        let call = std::mem::take(&mut self.call);
        if self.arguments.is_empty() {
            call.iter().for_each(|(key, value)| self.add(key, value));
        } else if !call.is_empty() {
            let values: Vec<String> = call.into_iter().map(|(_, value)| value).collect();
            self.own.insert("call_args".to_owned(), Value::from(values));
        }
    }

    /// The arguments of a command, each of the first with a field of its own too.
    fn arguments(&mut self) -> Vec<String> {
        let mut out = Vec::new();
        for (number, bytes) in std::mem::take(&mut self.arguments) {
            let mut argument = String::from_utf8_lossy(&bytes).into_owned();
            argument.truncate(argument.floor_char_boundary(MAX_FIELD));
            if number < OWN_ARGUMENTS {
                self.add(&format!("a{number}"), &argument);
            }
            out.push(argument);
        }
        out
    }

    /// Names of files: as they were given and, where that is known, from the root on.
    fn files(&mut self) -> Vec<String> {
        let mut files: Vec<String> = Vec::new();
        let folder = self.first("cwd").map(str::to_owned);
        if !self.joined && self.has("PATH") {
            let parent = self.first("nametype") == Some("PARENT");
            files.extend(
                self.first("name")
                    .filter(|name| name.starts_with('/') && !parent)
                    .map(str::to_owned),
            );
        }
        for path in std::mem::take(&mut self.paths) {
            let get = |name: &str| path.get(name).and_then(Value::as_str).unwrap_or_default();
            let (name, kind) = (get("name").to_owned(), get("nametype").to_owned());
            let whole = absolute(folder.as_deref(), &name);
            self.add("name", &name);
            self.add("name", &whole);
            self.add("nametype", &kind);
            if kind != "PARENT" && !whole.is_empty() && !files.contains(&whole) {
                files.push(whole);
            }
            if let Value::Array(list) =
                self.own.entry("paths").or_insert_with(|| Value::Array(Vec::new()))
            {
                list.push(Value::Object(path));
            }
        }
        match files.as_slice() {
            [] => {}
            [one] => self.entry.text("file.path", one),
            all => self.entry.put_static(&["file", "path"], Value::from(all.to_vec())),
        }
        files
    }

    fn outcome(&mut self) {
        if let Some(result) = self.first("success").or_else(|| self.first("res")) {
            let good = matches!(result, "success" | "yes" | "1");
            self.entry.text("event.outcome", if good { "success" } else { "failure" });
        }
        if let Some(error) = self.first("exit").and_then(names::error) {
            self.entry.text("error.code", &error);
        }
        let kind = self.first("type").unwrap_or_default().to_ascii_lowercase();
        let call = self.first("SYSCALL").filter(|_| self.joined);
        let action = call.map_or(kind, str::to_owned);
        self.entry.text("event.action", &action);
    }

    /// What it is to those who do not know the audit system: a process that began, a connection, a file.
    fn category(&mut self) {
        if !self.joined || self.first("success") == Some("no") {
            return;
        }
        let created = |value: &Value| match value {
            Value::Array(all) => all.iter().any(|one| one == "CREATE"),
            one => one == "CREATE",
        };
        let (category, kind) = if self.has("EXECVE") {
            ("process", "start")
        } else if self.own.get("nametype").is_some_and(created) {
            ("file", "creation")
        } else {
            return;
        };
        self.entry.text("event.category", category);
        self.entry.text("event.type", kind);
    }

    fn socket(&mut self) {
        let Some(address) = self.address.take() else { return };
        let mut socket = Object::new();
        socket.insert("family".into(), address.family().into());
        match &address {
            Address::Ip(ip, port) => {
                socket.insert("address".into(), ip.to_string().into());
                socket.insert("port".into(), (*port).into());
                let names = match self.first("SYSCALL").unwrap_or_default() {
                    "connect" | "sendto" | "sendmsg" | "sendmmsg" => Some(["dest_ip", "dest_port"]),
                    "accept" | "accept4" | "recvfrom" | "recvmsg" => Some(["src_ip", "src_port"]),
                    "bind" => Some(["server.ip", "server.port"]),
                    _ => None,
                };
                if let Some([host, number]) = names {
                    self.entry.address(host, &ip.to_string());
                    self.entry.number(number, &port.to_string());
                }
                // A connection that is still being made has not failed.
                let begun = matches!(self.first("exit"), Some("0" | "-115"));
                if self.first("SYSCALL") == Some("connect") && begun && *port > 0 {
                    self.entry.text("event.category", "network");
                    self.entry.text("event.type", "connection");
                    self.entry.text("network.initiated", "true");
                }
            }
            Address::Unix(path) => {
                socket.extend(text(path).map(|path| ("path".to_owned(), path)));
            }
            Address::Other(_) => {}
        }
        self.own.insert("socket".to_owned(), Value::Object(socket));
    }

    /// A sentence: who did what to what, and what came of it.
    fn summary(&self, command: &str, files: &[String]) -> String {
        let who = self.first("AUID").or_else(|| self.first("UID")).map(str::to_owned);
        let who = who.or_else(|| self.first("uid").map(|uid| format!("uid {uid}")));
        let action = event::get(&self.entry.fields, "event.action").and_then(Value::as_str);
        let mut out =
            format!("{} {}", who.as_deref().unwrap_or("kernel"), action.unwrap_or("event"));
        let socket = self.own.get("socket").map(|socket| {
            let get = |name: &str| {
                socket
                    .get(name)
                    .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            };
            let place =
                get("path").or_else(|| Some(format!("{} port {}", get("address")?, get("port")?)));
            place.unwrap_or_else(|| get("family").unwrap_or_default())
        });
        let what = if !command.is_empty() {
            command.to_owned()
        } else if let Some(socket) = socket {
            socket
        } else {
            files.join(", ")
        };
        let by = self.first("exe").filter(|_| command.is_empty()).map(|exe| format!("by {exe}"));
        let failed = self.first("success") == Some("no");
        let error = self.first("exit").and_then(names::error).unwrap_or_default();
        let failed = failed.then(|| format!("failed: {error}"));
        for part in [Some(what), by, failed].into_iter().flatten().filter(|part| !part.is_empty()) {
            out.push(' ');
            out.push_str(&part);
        }
        out
    }
}

/// A name from the root on, without `.` and `..`; as it is when the folder is not known.
fn absolute(folder: Option<&str>, name: &str) -> String {
    let whole = match (name.starts_with('/'), folder) {
        (false, Some(folder)) if !name.is_empty() => format!("{folder}/{name}"),
        _ => name.to_owned(),
    };
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    if !whole.starts_with('/') || !whole.split('/').skip(1).any(odd) {
        return whole;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let end = if whole.len() > 1 && whole.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    format!("/{}{end}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::absolute;

    #[test]
    fn names_from_the_root_on() {
        for (folder, name, whole) in [
            (Some("/etc"), "shadow", "/etc/shadow"),
            (Some("/"), "x", "/x"),
            (Some("/a/b"), "../c/./d", "/a/c/d"),
            (Some("/a"), "../../..", "/"),
            (Some("/a"), "/etc//passwd", "/etc/passwd"),
            (None, "x", "x"),
            (Some("/a"), "", ""),
            (Some("/tmp"), "/etc/", "/etc/"),
        ] {
            assert_eq!(absolute(folder, name), whole, "{folder:?} {name}");
        }
    }
}
