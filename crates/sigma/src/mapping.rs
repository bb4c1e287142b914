//! Field names: what the fields of the Sigma taxonomy are called in our own events.
//!
//! Data, one table. A rule's field is looked up under its own name first, then under the names here,
//! then under the other convention's name (EVE or ECS); the first that is present in the event counts.

use rsigma_parser::LogSource;

/// Names for the fields of one family of log sources; empty parts fit any.
struct Family {
    product: &'static str,
    category: &'static str,
    service: &'static str,
    /// Sigma's name and ours, by preference.
    names: &'static [(&'static str, &'static [&'static str])],
}

const PROCESS: &[(&str, &[&str])] = &[
    ("Image", &["process.executable", "process.name"]),
    ("CommandLine", &["process.command_line"]),
    ("ParentImage", &["process.parent.executable", "process.parent.name"]),
    ("ParentCommandLine", &["process.parent.command_line"]),
    ("CurrentDirectory", &["process.working_directory"]),
    ("ProcessId", &["process.pid"]),
    ("ParentProcessId", &["process.parent.pid"]),
    ("User", &["user.name"]),
    ("LogonId", &["process.session.id"]),
];

const FILES: &[(&str, &[&str])] = &[
    ("TargetFilename", &["file.path", "file.name"]),
    ("SourceFilename", &["file.origin_path"]),
    ("Image", &["process.executable", "process.name"]),
    ("User", &["user.name"]),
];

const NETWORK: &[(&str, &[&str])] = &[
    ("SourceIp", &["src_ip"]),
    ("SourcePort", &["src_port"]),
    ("DestinationIp", &["dest_ip"]),
    ("DestinationPort", &["dest_port"]),
    ("DestinationHostname", &["tls.sni", "http.hostname", "destination.domain"]),
    ("Protocol", &["proto"]),
    ("Initiated", &["network.initiated"]),
    ("Image", &["process.executable", "process.name"]),
    ("User", &["user.name"]),
    ("src_ip", &["src_ip"]),
    ("src_port", &["src_port"]),
    ("dst_ip", &["dest_ip"]),
    ("dst_port", &["dest_port"]),
    ("action", &["event.action"]),
    ("blocked", &["event.blocked"]),
];

const WEB: &[(&str, &[&str])] = &[
    ("c-ip", &["src_ip"]),
    ("c-uri", &["http.url"]),
    ("c-uri-query", &["url.query", "http.url"]),
    ("c-uri-stem", &["url.path", "http.url"]),
    ("c-uri-extension", &["url.extension"]),
    ("c-useragent", &["http.http_user_agent"]),
    ("cs-user-agent", &["http.http_user_agent"]),
    ("cs-uri", &["http.url"]),
    ("cs-uri-query", &["url.query", "http.url"]),
    ("cs-uri-stem", &["url.path", "http.url"]),
    ("cs-uri-extension", &["url.extension"]),
    ("cs-host", &["http.hostname"]),
    ("cs-method", &["http.http_method"]),
    ("cs-referer", &["http.http_refer"]),
    ("cs-referrer", &["http.http_refer"]),
    ("cs-cookie", &["http.cookie"]),
    ("cs-username", &["user.name"]),
    ("cs-ip", &["dest_ip"]),
    ("s-ip", &["dest_ip"]),
    ("s-port", &["dest_port"]),
    ("sc-status", &["http.status"]),
    ("sc-bytes", &["http.length"]),
    ("dst_ip", &["dest_ip"]),
    ("r-dns", &["http.hostname", "tls.sni"]),
    ("src_ip", &["src_ip"]),
];

const DNS: &[(&str, &[&str])] = &[
    ("query", &["dns.rrname", "dns.queries.rrname"]),
    ("QueryName", &["dns.rrname", "dns.queries.rrname"]),
    ("record_type", &["dns.rrtype", "dns.queries.rrtype"]),
    ("QueryType", &["dns.rrtype", "dns.queries.rrtype"]),
    ("QueryStatus", &["dns.rcode"]),
    ("QueryResults", &["dns.answers.rdata"]),
    ("answer", &["dns.answers.rdata"]),
    ("answers", &["dns.answers.rdata"]),
    ("parent_domain", &["dns.question.registered_domain"]),
    ("src_ip", &["src_ip"]),
    ("dst_ip", &["dest_ip"]),
    ("Image", &["process.executable", "process.name"]),
];

const ZEEK: &[(&str, &[&str])] = &[
    ("id.orig_h", &["src_ip"]),
    ("id.orig_p", &["src_port"]),
    ("id.resp_h", &["dest_ip"]),
    ("id.resp_p", &["dest_port"]),
    ("proto", &["proto"]),
    ("service", &["app_proto"]),
    ("query", &["dns.rrname", "dns.queries.rrname"]),
    ("qtype_name", &["dns.rrtype", "dns.queries.rrtype"]),
    ("rcode_name", &["dns.rcode"]),
    ("answers", &["dns.answers.rdata"]),
    ("host", &["http.hostname"]),
    ("uri", &["http.url"]),
    ("c-uri", &["http.url"]),
    ("method", &["http.http_method"]),
    ("referrer", &["http.http_refer"]),
    ("user_agent", &["http.http_user_agent"]),
    ("c-useragent", &["http.http_user_agent"]),
    ("status_code", &["http.status"]),
    ("resp_mime_types", &["http.http_content_type"]),
    ("server_name", &["tls.sni"]),
    ("subject", &["tls.subject"]),
    ("issuer", &["tls.issuerdn"]),
    ("certificate.subject", &["tls.subject"]),
    ("certificate.issuer", &["tls.issuerdn"]),
    ("certificate.serial", &["tls.serial"]),
    ("path", &["smb.share", "smb.filename"]),
    ("name", &["smb.filename", "fileinfo.filename"]),
    ("operation", &["dcerpc.req.opnum_name"]),
    ("endpoint", &["dcerpc.interfaces.name"]),
];

const LINUX_LOG: &[(&str, &[&str])] = &[
    ("USER", &["user.target.name", "user.name"]),
    ("COMMAND", &["process.command_line"]),
    ("User", &["user.name"]),
    ("Image", &["process.executable"]),
    ("CommandLine", &["process.command_line"]),
    ("exe", &["process.executable"]),
    ("comm", &["process.name"]),
    ("pid", &["process.pid"]),
    ("uid", &["user.id"]),
    ("name", &["file.path"]),
    ("type", &["auditd.type", "event.action"]),
];

const fn family(
    product: &'static str,
    category: &'static str,
    service: &'static str,
    names: &'static [(&'static str, &'static [&'static str])],
) -> Family {
    Family { product, category, service, names }
}

/// First fit counts.
const FAMILIES: &[Family] = &[
    family(
        "windows",
        "process_creation",
        "",
        &[("Image", &["NewProcessName"]), ("ParentImage", &["ParentProcessName"])],
    ),
    family("windows", "", "", &[]),
    family("zeek", "", "", ZEEK),
    family("", "process_creation", "", PROCESS),
    family("", "file_event", "", FILES),
    family("", "file_change", "", FILES),
    family("", "file_delete", "", FILES),
    family("", "network_connection", "", NETWORK),
    family("", "firewall", "", NETWORK),
    family("", "", "netflow", NETWORK),
    family("", "webserver", "", WEB),
    family("", "proxy", "", WEB),
    family("", "", "apache", WEB),
    family("", "", "nginx", WEB),
    family("", "dns", "", DNS),
    family("", "dns_query", "", DNS),
    family("linux", "", "", LINUX_LOG),
];

/// Names under which a rule's field is looked for, by preference.
pub(crate) fn names(source: &LogSource, field: &str) -> Vec<String> {
    let fits = |wanted: &str, given: Option<&str>| {
        wanted.is_empty() || given.is_some_and(|given| given.eq_ignore_ascii_case(wanted))
    };
    let mut names = vec![field.to_owned()];
    let found = FAMILIES.iter().find(|family| {
        fits(family.product, source.product.as_deref())
            && fits(family.category, source.category.as_deref())
            && fits(family.service, source.service.as_deref())
    });
    for (name, ours) in found.map_or(&[][..], |family| family.names) {
        if *name == field {
            names.extend(ours.iter().map(|&name| name.to_owned()));
        }
    }
    for at in 0..names.len() {
        if let Some(known) = names.get(at).and_then(|name| event::by_name(name)) {
            for other in [known.name, known.alias] {
                if !other.is_empty() && !names.iter().any(|name| name == other) {
                    names.push(other.to_owned());
                }
            }
        }
    }
    names
}
