//! Which log sources an event belongs to.
//!
//! Windows records by channel and event id, our own events by what they tell of, foreign events by
//! what they say of themselves (`logsource.*`, or ECS `event.module` and `event.dataset`). A rule is
//! for an event when every part of its `logsource` is a part of one of the event's sources.

use std::borrow::Cow;

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

/// The sources of an event, without order or repetition; empty when nothing is known of it.
#[must_use]
pub fn sources(record: &Record<'_>) -> Vec<Source> {
    if record.is_windows() {
        return windows::sources(record);
    }
    let text = |name: &str| match record.get(name) {
        Some(Scalar::Text(text)) => text.to_ascii_lowercase(),
        _ => String::new(),
    };
    let mut found = Vec::new();
    let mut add = |more: &[Source]| {
        for one in more {
            if !found.contains(one) {
                found.push(one.clone());
            }
        }
    };
    let given = ["logsource.product", "logsource.category", "logsource.service"].map(text);
    if given.iter().any(|part| !part.is_empty()) {
        let [product, category, service] = given.map(Cow::Owned);
        add(&[Source { product, category, service }]);
    }
    let kind = text("event_type");
    for (name, more) in BY_TYPE {
        if *name == kind {
            add(more);
        }
    }
    let host = ["event.module", "process.name", "log.syslog.appname", "service.name"];
    if kind.is_empty() || kind == "log" {
        for program in host.map(text) {
            for (name, more) in BY_PROGRAM {
                if *name == program {
                    add(more);
                }
            }
        }
        add_host(record, &mut add);
    }
    let dataset = text("event.dataset");
    for name in [&dataset, &kind] {
        for (known, one) in BY_DATASET {
            if known == name {
                add(std::slice::from_ref(one));
            }
        }
    }
    found
}

/// Categories of host records by what was done, and the product by the kind of host.
fn add_host(record: &Record<'_>, add: &mut impl FnMut(&[Source])) {
    const PRODUCTS: [&str; 2] = ["linux", "macos"];
    let product = record
        .text("host.os.type")
        .map_or("linux", |kind| if kind.eq_ignore_ascii_case("macos") { "macos" } else { "linux" });
    let Some(product) = PRODUCTS.into_iter().find(|known| *known == product) else { return };
    let action = record.text("event.action").unwrap_or_default();
    let category = record.text("event.category").unwrap_or_default();
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
    if record.get("event.module").is_some() || record.get("log.syslog.appname").is_some() {
        add(&[source(product, "", "")]);
    }
}
