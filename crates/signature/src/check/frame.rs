//! `frame`: what follows is looked for in the units that a protocol sends.

use crate::{
    AppProto, Buffer,
    check::builder::{Builder, text},
    error::RuleError,
};

/// Kinds of frames by protocol. Streams as a whole are none.
const KINDS: &[(AppProto, &[&str])] = &[
    (AppProto::Http, &["request", "response"]),
    (AppProto::Dns, &["pdu"]),
    (AppProto::Mdns, &["pdu"]),
    (AppProto::Llmnr, &["pdu"]),
    (AppProto::Smtp, &["command_line", "response_line", "data"]),
    (AppProto::Dcerpc, &["pdu", "hdr", "data"]),
    (AppProto::Ssh, &["record.pdu", "record.hdr", "record.data"]),
    (AppProto::Tls, &["pdu", "hdr", "data", "alert_data", "hb_data"]),
    (AppProto::Websocket, &["pdu", "header", "data"]),
    (AppProto::Ldap, &["pdu"]),
    (AppProto::Http2, &["pdu", "hdr", "data"]),
    (
        AppProto::Smb,
        &[
            "nbss.pdu",
            "nbss.hdr",
            "nbss.data",
            "smb1.pdu",
            "smb1.hdr",
            "smb1.data",
            "smb2.pdu",
            "smb2.hdr",
            "smb2.data",
            "smb3.pdu",
            "smb3.hdr",
            "smb3.data",
        ],
    ),
    (
        AppProto::Sip,
        &[
            "pdu",
            "request.line",
            "request.headers",
            "request.body",
            "response.line",
            "response.headers",
            "response.body",
        ],
    ),
];

impl Builder<'_, '_> {
    /// `frame:dns.pdu`, or without the protocol when the header names it.
    pub(super) fn frame(&mut self, value: Option<&[u8]>) -> Result<(), RuleError> {
        let given = text("frame", value)?.trim().to_ascii_lowercase();
        let bad = |why: &str| RuleError::value("frame", given.as_bytes(), why);
        let (proto, kind) = match self.protocol.app.and_then(|app| kind_of(app, &given)) {
            Some(found) => found,
            None => {
                let (proto, kind) =
                    given.split_once('.').ok_or_else(|| bad("names no protocol"))?;
                let proto = AppProto::from_name(proto).ok_or_else(|| bad("unknown protocol"))?;
                kind_of(proto, kind)
                    .ok_or_else(|| RuleError::unsupported("frame", format!("frames {given}")))?
            }
        };
        if self.frame.as_deref().is_some_and(|before| before != kind) {
            return Err(RuleError::unsupported("frame", "several kinds of frames in one rule"));
        }
        self.imply("frame", proto)?;
        self.frame = Some(kind.into());
        self.in_base64 = None;
        self.current = Some(self.open(Buffer::Frame));
        Ok(())
    }
}

/// A kind of frame of a protocol; HTTP/1 is HTTP.
fn kind_of(app: AppProto, given: &str) -> Option<(AppProto, &'static str)> {
    let app = if app == AppProto::Http1 { AppProto::Http } else { app };
    let (_, kinds) = KINDS.iter().find(|(proto, _)| *proto == app)?;
    kinds.iter().find(|kind| **kind == given).map(|kind| (app, *kind))
}

#[cfg(test)]
mod tests {
    use crate::{LoadOptions, RuleSet, Source};

    #[test]
    fn frames_are_known_or_refused() {
        for (proto, options, fits) in [
            ("tcp", "frame:dns.pdu; content:\"a\";", true),
            ("ssh", "frame:ssh.record.hdr; content:\"a\";", true),
            ("ssh", "frame:record.hdr; content:\"a\";", true),
            ("http", "frame:http1.request; content:\"a\";", true),
            ("http1", "frame:request; content:\"a\";", true),
            ("smb", "frame:smb1.hdr; content:\"a\";", true),
            ("smb", "frame:dns.pdu; content:\"a\";", false),
            ("tcp", "frame:pdu; content:\"a\";", false),
            ("tcp", "frame:nonsense.pdu; content:\"a\";", false),
            ("smtp", "frame:smtp.stream; content:\"a\";", false),
            ("tcp", "frame; content:\"a\";", false),
            ("dcerpc", "frame:pdu; content:\"a\"; frame:hdr; content:\"b\";", false),
            ("dcerpc", "frame:pdu; content:\"a\"; frame:pdu; content:\"b\";", true),
        ] {
            let text = format!("alert {proto} any any -> any any ({options} sid:1;)").into_bytes();
            let source = Source { name: "t".into(), text };
            let (_, report) = RuleSet::load(vec![source], &LoadOptions::default());
            assert_eq!(report.rejected.is_empty(), fits, "{proto}: {options} {report:?}");
        }
    }
}
