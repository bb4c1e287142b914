//! Which log sources an event belongs to.
//!
//! Windows records by channel and event id, our own events by what they tell of, foreign events by
//! what they say of themselves (`logsource.*`, or ECS `event.module` and `event.dataset`). A rule is
//! for an event when every part of its `logsource` is a part of one of the event's sources.

use std::{borrow::Cow, fmt::Write as _};

use crate::record::{Record, Scalar};

mod windows;

/// One log source an event belongs to; a part that is not known fits only rules that do not ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// Product, such as `windows`.
    pub product: Cow<'static, str>,
    /// Category, such as `process_creation`.
    pub category: Cow<'static, str>,
    /// Service, such as `sysmon`.
    pub service: Cow<'static, str>,
}

/// A source with these parts; empty means not known.
const fn source(product: &'static str, category: &'static str, service: &'static str) -> Source {
    Source {
        product: Cow::Borrowed(product),
        category: Cow::Borrowed(category),
        service: Cow::Borrowed(service),
    }
}

impl Source {
    /// Whether a rule with this log source is meant for events of this source.
    #[must_use]
    pub fn fits(&self, rule: &rsigma_parser::LogSource) -> bool {
        let part = |wanted: Option<&str>, given: &str| {
            wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(given))
        };
        part(rule.product.as_deref(), &self.product)
            && part(rule.category.as_deref(), &self.category)
            && part(rule.service.as_deref(), &self.service)
    }
}

/// Events by their EVE type.
const BY_TYPE: &[(&str, &[Source])] = &[
    ("dns", &[source("", "dns", ""), source("zeek", "", "dns")]),
    ("http", &[source("", "proxy", ""), source("", "webserver", ""), source("zeek", "", "http")]),
    ("tls", &[source("", "proxy", ""), source("zeek", "", "ssl"), source("zeek", "", "x509")]),
    (
        "flow",
        &[
            source("", "firewall", ""),
            source("", "network_connection", ""),
            source("", "", "netflow"),
            source("zeek", "", "conn"),
        ],
    ),
    ("netflow", &[source("", "firewall", ""), source("", "", "netflow")]),
    ("smb", &[source("zeek", "", "smb_files")]),
    ("dcerpc", &[source("zeek", "", "dce_rpc")]),
    ("rdp", &[source("zeek", "", "rdp")]),
    ("krb5", &[source("zeek", "", "kerberos")]),
    ("fileinfo", &[source("zeek", "", "files")]),
];

/// Log records by parser (`event.module`) or program (`process.name`, `log.syslog.appname`).
const BY_PROGRAM: &[(&str, &[Source])] = &[
    ("sshd", &[source("linux", "", "sshd"), source("linux", "", "auth")]),
    ("sshd-session", &[source("linux", "", "sshd"), source("linux", "", "auth")]),
    ("sudo", &[source("linux", "", "sudo"), source("linux", "", "auth")]),
    ("su", &[source("linux", "", "auth")]),
    ("login", &[source("linux", "", "auth")]),
    ("pam", &[source("linux", "", "auth")]),
    ("auditd", &[source("linux", "", "auditd")]),
    ("audit", &[source("linux", "", "auditd")]),
    ("inventory", &[source("linux", "", "inventory")]),
    ("cron", &[source("linux", "", "cron")]),
    ("crond", &[source("linux", "", "cron")]),
    ("clamd", &[source("linux", "", "clamav"), source("", "antivirus", "")]),
    ("freshclam", &[source("linux", "", "clamav")]),
    ("vsftpd", &[source("linux", "", "vsftpd")]),
    ("guacd", &[source("linux", "", "guacamole")]),
    ("access", &[source("", "webserver", ""), source("", "", "apache"), source("", "", "nginx")]),
    ("apache", &[source("", "webserver", ""), source("", "", "apache")]),
    ("apache2", &[source("", "webserver", ""), source("", "", "apache")]),
    ("httpd", &[source("", "webserver", ""), source("", "", "apache")]),
    ("nginx", &[source("", "webserver", ""), source("", "", "nginx")]),
    ("haproxy", &[source("", "webserver", ""), source("", "proxy", "")]),
    ("postfix", &[source("linux", "", "postfix"), source("", "mail", "")]),
    ("dovecot", &[source("linux", "", "dovecot"), source("", "mail", "")]),
    ("openvpn", &[source("linux", "", "openvpn"), source("", "vpn", "")]),
    ("squid", &[source("", "proxy", "")]),
    ("netfilter", &[source("", "firewall", "")]),
    ("iptables", &[source("", "firewall", "")]),
    ("dnsmasq", &[source("", "dns", "")]),
    ("named", &[source("", "dns", "")]),
    ("unbound", &[source("", "dns", "")]),
    ("syslog", &[source("linux", "", "syslog")]),
];

/// ECS `event.dataset` (or the module alone) of cloud and appliance logs.
const BY_DATASET: &[(&str, Source)] = &[
    ("aws.cloudtrail", source("aws", "", "cloudtrail")),
    ("azure.activitylogs", source("azure", "", "activitylogs")),
    ("azure.auditlogs", source("azure", "", "auditlogs")),
    ("azure.signinlogs", source("azure", "", "signinlogs")),
    ("azure.identity_protection", source("azure", "", "riskdetection")),
    ("gcp.audit", source("gcp", "", "gcp.audit")),
    ("google_workspace.admin", source("gcp", "", "google_workspace.admin")),
    ("google_workspace.login", source("gcp", "", "google_workspace.login")),
    ("o365.audit", source("m365", "", "audit")),
    ("okta.system", source("okta", "", "okta")),
    ("github.audit", source("github", "", "audit")),
    ("bitbucket.audit", source("bitbucket", "", "audit")),
    ("kubernetes.audit_logs", source("kubernetes", "application", "audit")),
    ("fortinet_fortigate.log", source("fortigate", "", "event")),
    ("panw.panos", source("paloalto", "", "")),
    ("cisco_ios.log", source("cisco", "", "syslog")),
    ("cisco_asa.log", source("cisco", "firewall", "asa")),
    ("juniper_srx.log", source("juniper", "firewall", "srx")),
];

/// What log sources follow from.
const TRAITS: [&str; 13] = [
    "Channel",
    "EventID",
    "logsource.product",
    "logsource.category",
    "logsource.service",
    "event_type",
    "event.module",
    "process.name",
    "log.syslog.appname",
    "service.name",
    "event.dataset",
    "event.action",
    "event.category",
];
/// Place of the kind of a host's system behind them.
const OS: &str = "host.os.type";

/// What an event says of itself, as far as log sources follow from it.
#[derive(Clone, Debug)]
pub(crate) struct Traits<'r> {
    windows: bool,
    values: [Option<&'r Scalar<'r>>; TRAITS.len() + 1],
}

impl<'r> Traits<'r> {
    pub(crate) fn of(record: &'r Record<'_>) -> Self {
        let mut values = [None; TRAITS.len() + 1];
        // Those of Windows stand first, and only they count there.
        let wanted = if record.is_windows() { 2 } else { TRAITS.len() + 1 };
        for entry in record.entries() {
            let mut names = TRAITS.iter().chain([&OS]).take(wanted);
            let place = names.position(|name| *name == entry.name);
            if let Some(slot) = place.and_then(|at| values.get_mut(at)) {
                *slot = slot.or(Some(&entry.value));
            }
        }
        Self { windows: record.is_windows(), values }
    }

    fn get(&self, name: &str) -> Option<&'r Scalar<'r>> {
        let at = TRAITS.iter().chain([&OS]).position(|known| *known == name)?;
        self.values.get(at).copied().flatten()
    }

    /// The text of a trait in lower case; empty when it has none.
    fn lower(&self, name: &str) -> String {
        match self.get(name) {
            Some(Scalar::Text(text)) => text.to_ascii_lowercase(),
            _ => String::new(),
        }
    }

    fn text(&self, name: &str) -> Option<Cow<'r, str>> {
        self.get(name).and_then(Scalar::text)
    }

    /// Writes down all of it; false when it is too long to be kept.
    pub(crate) fn key(&self, out: &mut String) -> bool {
        out.clear();
        out.push(if self.windows { 'w' } else { 'o' });
        for value in self.values {
            match value {
                Some(Scalar::Text(text)) if text.len() > 128 => return false,
                // The length comes first, so that no two say the same.
                Some(Scalar::Text(text)) => {
                    out.push(char::from(u8::try_from(text.len()).unwrap_or(u8::MAX)));
                    out.push_str(text);
                }
                Some(other) => {
                    // Writing to a string cannot fail.
                    let _infallible = write!(out, "\u{fffe}{other:?}\u{ffff}");
                }
                None => out.push('\u{ffff}'),
            }
        }
        true
    }

    /// The sources of the event, without order or repetition; empty when nothing is known of it.
    pub(crate) fn sources(&self) -> Vec<Source> {
        if self.windows {
            return windows::sources(self.get("Channel"), self.get("EventID"));
        }
        let mut found = Vec::new();
        let mut add = |more: &[Source]| {
            for one in more {
                if !found.contains(one) {
                    found.push(one.clone());
                }
            }
        };
        let given = ["logsource.product", "logsource.category", "logsource.service"];
        let given = given.map(|name| self.lower(name));
        if given.iter().any(|part| !part.is_empty()) {
            let [product, category, service] = given.map(Cow::Owned);
            add(&[Source { product, category, service }]);
        }
        let kind = self.lower("event_type");
        for (name, more) in BY_TYPE {
            if *name == kind {
                add(more);
            }
        }
        if kind.is_empty() || kind == "log" {
            let host = ["event.module", "process.name", "log.syslog.appname", "service.name"];
            for program in host.map(|name| self.lower(name)) {
                for (name, more) in BY_PROGRAM {
                    if *name == program {
                        add(more);
                    }
                }
            }
            add_host(self, &mut add);
        }
        let dataset = self.lower("event.dataset");
        for name in [&dataset, &kind] {
            for (known, one) in BY_DATASET {
                if known == name {
                    add(std::slice::from_ref(one));
                }
            }
        }
        found
    }
}

/// The sources of an event, without order or repetition; empty when nothing is known of it.
#[must_use]
pub fn sources(record: &Record<'_>) -> Vec<Source> {
    Traits::of(record).sources()
}

/// Categories of host records by what was done, and the product by the kind of host.
fn add_host(traits: &Traits<'_>, add: &mut impl FnMut(&[Source])) {
    const PRODUCTS: [&str; 2] = ["linux", "macos"];
    let product = traits
        .text(OS)
        .map_or("linux", |kind| if kind.eq_ignore_ascii_case("macos") { "macos" } else { "linux" });
    let Some(product) = PRODUCTS.into_iter().find(|known| *known == product) else { return };
    let action = traits.text("event.action").unwrap_or_default();
    let category = traits.text("event.category").unwrap_or_default();
    match (category.as_ref(), action.as_ref()) {
        ("process", _) | (_, "process_started" | "exec" | "executed" | "process_creation") => {
            add(&[source(product, "process_creation", "")]);
        }
        ("file", _) | (_, "opened-file" | "file_created") => {
            add(&[source(product, "file_event", "")]);
        }
        ("network", _) | (_, "connected-to" | "network_connection") => {
            add(&[source(product, "network_connection", "")]);
        }
        _ => {}
    }
    if traits.get("event.module").is_some() || traits.get("log.syslog.appname").is_some() {
        add(&[source(product, "", "")]);
    }
}
