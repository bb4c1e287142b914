//! Keywords of one protocol each that are not buffers: `ftp.mode`, `ftpbounce`, `ssh.protoversion`, ...

use crate::{
    AppProto, Buffer, Number,
    check::{
        builder::{Builder, none, text},
        content::compare,
        rule::Cmp,
    },
    error::RuleError,
};

impl Builder<'_, '_> {
    /// Handles the keywords of this module.
    pub(super) fn protocol_option(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<bool, RuleError> {
        let (number, cmp, proto) = match name {
            "ftp.mode" => {
                let active = word(name, value, &[("passive", 0), ("active", 1)])?;
                (Number::FtpMode, Cmp::Eq(active), AppProto::Ftp)
            }
            "ftp.dynamic_port" => {
                (Number::FtpDynamicPort, compare(name, value, 65_535)?, AppProto::Ftp)
            }
            "ftp.reply_received" => {
                let words = [
                    ("no", 0),
                    ("off", 0),
                    ("false", 0),
                    ("0", 0),
                    ("yes", 1),
                    ("on", 1),
                    ("true", 1),
                    ("1", 1),
                ];
                let received = word(name, value, &words)?;
                (Number::FtpReplyReceived, Cmp::Eq(received), AppProto::Ftp)
            }
            "ftpbounce" => {
                none(name, value)?;
                (Number::FtpBounce, Cmp::Eq(1), AppProto::Ftp)
            }
            "ftpdata_command" => {
                let command = word(name, value, &[("retr", 1), ("stor", 2)])?;
                (Number::FtpDataCommand, Cmp::Eq(command), AppProto::FtpData)
            }
            "ssh.protoversion" => {
                // SSH 2 is also spoken by who says 1.99 (RFC 4253 section 5.1).
                return self.by_expression(name, value, Buffer::SshProto, |text| match text {
                    "2_compat" => Some(r#""/^(2|1\.99)/""#.to_owned()),
                    other => Some(format!(r#""/^{}$/""#, escaped(other)?)),
                });
            }
            "ssh.softwareversion" => {
                return self.by_expression(name, value, Buffer::SshSoftware, |text| {
                    Some(format!(r#""/{}/""#, escaped(text)?))
                });
            }
            "tls.subject" => return self.by_content(name, value, Buffer::TlsCertSubject),
            "tls.issuerdn" => return self.by_content(name, value, Buffer::TlsCertIssuer),
            "tls.fingerprint" => {
                let lowered = text(name, value)?.to_ascii_lowercase();
                return self.by_content(name, Some(lowered.as_bytes()), Buffer::TlsCertFingerprint);
            }
            _ => return Ok(false),
        };
        self.number(name, number, cmp, proto)
    }

    /// A keyword from before sticky buffers: a content in a buffer of the server's certificate.
    fn by_content(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
        buffer: Buffer,
    ) -> Result<bool, RuleError> {
        let given = value.unwrap_or_default();
        let (not, quoted) = match given.strip_prefix(b"!") {
            Some(rest) => ("!", rest.trim_ascii()),
            None => ("", given),
        };
        let inner = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        let inner = inner.unwrap_or(quoted);
        if inner.is_empty() {
            return Err(RuleError::value(name, given, "nothing to look for"));
        }
        let content = [not.as_bytes(), b"\"", inner, b"\""].concat();
        self.flow.to_client = true;
        self.in_buffer(buffer, |rule| rule.content_option("content", Some(&content)))
    }

    /// What `add` adds goes into a buffer, what follows does not.
    fn in_buffer(
        &mut self,
        buffer: Buffer,
        add: impl FnOnce(&mut Self) -> Result<bool, RuleError>,
    ) -> Result<bool, RuleError> {
        self.usable(buffer)?;
        let before = (self.current, self.in_base64);
        self.in_base64 = None;
        self.current = Some(self.open(buffer));
        let known = add(self);
        (self.current, self.in_base64) = before;
        known
    }

    /// A keyword from before sticky buffers: an expression on a buffer of its own.
    fn by_expression(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
        buffer: Buffer,
        expression: impl FnOnce(&str) -> Option<String>,
    ) -> Result<bool, RuleError> {
        let given = text(name, value)?.trim().trim_matches('"');
        let expression = expression(given)
            .ok_or_else(|| RuleError::value(name, given.as_bytes(), "not a version"))?;
        self.in_buffer(buffer, |rule| rule.content_option("pcre", Some(expression.as_bytes())))
    }
}

/// One of these words.
fn word(name: &str, value: Option<&[u8]>, words: &[(&str, u64)]) -> Result<u64, RuleError> {
    let given = text(name, value)?.trim();
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(given));
    found.map(|(_, number)| *number).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        RuleError::value(name, given.as_bytes(), format!("expected {}", known.join(", ")))
    })
}

/// Text for an expression that matches just it; `None` when empty or more than letters, digits and
/// signs that banners have.
fn escaped(text: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-+ ".contains(c);
    if text.is_empty() || !text.chars().all(fits) {
        return None;
    }
    Some(text.replace('.', r"\.").replace('+', r"\+"))
}

#[cfg(test)]
mod tests {
    use crate::{LoadOptions, RuleSet, Source};

    fn load(options: &str, proto: &str) -> Result<(), String> {
        let text = format!("alert {proto} any any -> any any ({options} sid:1;)").into_bytes();
        let source = Source { name: "t".into(), text };
        let (_, report) = RuleSet::load(vec![source], &LoadOptions::default());
        match report.rejected.first() {
            None => Ok(()),
            Some(error) => Err(format!("{error:?}")),
        }
    }

    #[test]
    fn values_are_understood_or_refused() {
        for (proto, options, fits) in [
            ("ftp", "ftp.mode:active;", true),
            ("ftp", "ftp.mode:Passive;", true),
            ("ftp", "ftp.mode:both;", false),
            ("ftp", "ftp.dynamic_port:>1024;", true),
            ("ftp", "ftp.dynamic_port:70000;", false),
            ("ftp", "ftp.reply_received:yes;", true),
            ("ftp", "ftp.reply_received:perhaps;", false),
            ("tcp", "ftpbounce;", true),
            ("tcp", "ftpbounce:1;", false),
            ("http", "ftpbounce;", false),
            ("ftp-data", "ftpdata_command:retr;", true),
            ("ftp", "ftpdata_command:retr;", false),
            ("ssh", "ssh.protoversion:2_compat;", true),
            ("ssh", "ssh.softwareversion:\"OpenSSH_9\";", true),
            ("ssh", "ssh.softwareversion:\"a*b\";", false),
            ("tls", "tls.subject:\"CN=a\";", true),
            ("tls", "tls.issuerdn:!\"CN=a\";", true),
            ("tls", "tls.fingerprint:\"0A:1b\";", true),
            ("tls", "tls.fingerprint:\"\";", false),
            ("http", "tls.subject:\"CN=a\";", false),
            ("ssh", "ssh.hassh; content:\"a\";", true),
            ("smtp", "email.subject; content:\"a\";", true),
            ("ftp", "email.subject; content:\"a\";", false),
        ] {
            let found = load(options, proto);
            assert_eq!(found.is_ok(), fits, "{proto}: {options} {found:?}");
        }
    }
}
