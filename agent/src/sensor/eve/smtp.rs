//! `smtp` and `email` objects.

use net::app::mime::{Mail, Status};
use net::app::smtp::Smtp;
use serde_json::Value;

use super::fields::Fields;
use super::file::hex;
use super::{Object, text};
use crate::sensor::settings::MailOptions;

/// Adds `smtp` and, when there is a mail, `email`.
pub(crate) fn both<F: Fields>(record: &mut F, smtp: &Smtp, options: &MailOptions) {
    record.value("smtp", envelope(smtp).into());
    if let Some(mail) = &smtp.mail {
        record.value("email", email(mail, options).into());
    }
}

fn envelope(smtp: &Smtp) -> Object {
    let mut out = Object::new();
    for (name, value) in [("helo", &smtp.helo), ("mail_from", &smtp.mail_from)] {
        if !value.is_empty() {
            out.insert(name.into(), text(value));
        }
    }
    if !smtp.rcpt_to.is_empty() {
        let list: Vec<Value> = smtp.rcpt_to.iter().map(|name| text(name)).collect();
        out.insert("rcpt_to".into(), list.into());
    }
    out
}

fn email(mail: &Mail, options: &MailOptions) -> Object {
    let mut out = Object::new();
    let status = match mail.status {
        Status::Empty => "NONE",
        Status::Header => "HEADER_STARTED",
        Status::Body => "BODY_STARTED",
        Status::Done => "PARSE_DONE",
    };
    out.insert("status".into(), status.into());
    if let Some(from) = mail.first("from") {
        out.insert("from".into(), text(from));
    }
    for name in ["to", "cc"] {
        list(&mut out, name, mail.first(name).map(addresses));
    }
    list(&mut out, "attachment", Some(mail.attachments.iter().map(|name| text(name)).collect()));
    // The newest first, as Suricata has them.
    list(&mut out, "url", Some(mail.urls.iter().rev().map(|url| text(url)).collect()));
    for field in FIELDS {
        let wanted = options.extended && field.extended
            || options.custom.iter().any(|name| name.eq_ignore_ascii_case(field.header));
        if wanted {
            insert(&mut out, field, mail);
        }
    }
    if let (true, Some(digest)) = (options.body_md5, mail.body_md5) {
        out.insert("body_md5".into(), hex(&digest).into());
    }
    if let (true, Some(digest)) = (options.subject_md5, mail.subject_md5()) {
        out.insert("subject_md5".into(), hex(&digest).into());
    }
    out
}

fn list(out: &mut Object, name: &str, values: Option<Vec<Value>>) {
    if let Some(values) = values.filter(|values| !values.is_empty()) {
        out.insert(name.into(), values.into());
    }
}

/// How a field is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// The first of its name.
    One,
    /// Every one of its name.
    Each,
    /// The addresses of the first.
    Addresses,
}

struct Field {
    key: &'static str,
    header: &'static str,
    extended: bool,
    shape: Shape,
}

const fn field(key: &'static str, header: &'static str, extended: bool, shape: Shape) -> Field {
    Field { key, header, extended, shape }
}

const FIELDS: &[Field] = &[
    field("reply_to", "reply-to", false, Shape::One),
    field("bcc", "bcc", true, Shape::Addresses),
    field("message_id", "message-id", true, Shape::One),
    field("subject", "subject", true, Shape::One),
    field("x_mailer", "x-mailer", true, Shape::One),
    field("user_agent", "user-agent", true, Shape::One),
    field("received", "received", false, Shape::Each),
    field("x_originating_ip", "x-originating-ip", false, Shape::One),
    field("in_reply_to", "in-reply-to", false, Shape::One),
    field("references", "references", false, Shape::One),
    field("importance", "importance", false, Shape::One),
    field("priority", "priority", false, Shape::One),
    field("sensitivity", "sensitivity", false, Shape::One),
    field("organization", "organization", false, Shape::One),
    field("content_md5", "content-md5", false, Shape::One),
    field("date", "date", false, Shape::One),
];

fn insert(out: &mut Object, field: &Field, mail: &Mail) {
    match field.shape {
        Shape::One => {
            if let Some(value) = mail.first(field.header) {
                out.insert(field.key.into(), text(value));
            }
        }
        Shape::Each => {
            list(out, field.key, Some(mail.all(field.header).map(text).collect()));
        }
        Shape::Addresses => list(out, field.key, mail.first(field.header).map(addresses)),
    }
}

/// The addresses of a field: between commas that are not in quotes (RFC 5322 section 3.4).
fn addresses(value: &[u8]) -> Vec<Value> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = value.split(|byte| {
        let literal = std::mem::take(&mut escaped);
        match byte {
            b'\\' if quoted && !literal => escaped = true,
            b'"' if !literal => quoted = !quoted,
            _ => {}
        }
        *byte == b',' && !quoted
    });
    parts.map(<[u8]>::trim_ascii).filter(|part| !part.is_empty()).map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_between_commas_outside_of_quotes() {
        for (value, expected) in [
            (r#"a@b, "c, d" <e@f>,g@h"#, &["a@b", r#""c, d" <e@f>"#, "g@h"][..]),
            (r#""a\", b" <c@d>"#, &[r#""a\", b" <c@d>"#]),
            (" , ,", &[]),
            ("one", &["one"]),
        ] {
            assert_eq!(addresses(value.as_bytes()), expected, "{value}");
        }
    }
}
