//! `krb5` objects.

use net::app::krb5::{Message, Principal, encryption_name, error_name, is_weak, kind, kind_name};

use super::fields::Fields;

/// The `krb5` object of a message.
pub(crate) fn message<F: Fields>(out: &mut F, message: &Message) {
    out.text("msg_type", kind_name(message.kind));
    if message.kind == kind::ERROR {
        if let Some(asked) = message.failed_request {
            out.text("failed_request", kind_name(asked));
        }
        if let Some(code) = message.error {
            out.text("error_code", &named(error_name(code), code));
        }
    }
    out.bytes("cname", &name(message.client.as_ref()));
    out.bytes("realm", message.realm.as_deref().unwrap_or(EMPTY));
    out.bytes("sname", &name(message.service.as_ref()));
    match message.encryption {
        Some(cipher) => out.text("encryption", &named(encryption_name(cipher), cipher)),
        None => out.text("encryption", "<none>"),
    }
    out.boolean("weak_encryption", message.encryption.is_some_and(is_weak));
    if let Some(cipher) = message.ticket_encryption {
        out.text("ticket_encryption", &named(encryption_name(cipher), cipher));
        out.boolean("ticket_weak_encryption", is_weak(cipher));
    }
}

/// What stands for a name or realm that a message does not have.
const EMPTY: &[u8] = b"<empty>";

fn name(principal: Option<&Principal>) -> Vec<u8> {
    principal.map_or_else(|| EMPTY.to_vec(), |principal| principal.components.join(&b'/'))
}

fn named(name: Option<&str>, number: i32) -> String {
    name.map_or_else(|| number.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::Object;
    use super::*;

    fn shown(message_: &Message) -> serde_json::Value {
        let mut out = Object::new();
        message(&mut out, message_);
        out.into()
    }

    #[test]
    fn an_answer_says_its_ciphers() {
        let service = Principal { components: vec![b"ldap".to_vec(), b"dc".to_vec()] };
        let answer = Message {
            kind: kind::TGS_REP,
            client: Some(Principal { components: vec![b"ann".to_vec()] }),
            realm: Some(b"EXAMPLE".to_vec()),
            service: Some(service),
            encryption: Some(18),
            ticket_encryption: Some(23),
            ..Message::default()
        };
        let expected = serde_json::json!({
            "msg_type": "KRB_TGS_REP", "cname": "ann", "realm": "EXAMPLE", "sname": "ldap/dc",
            "encryption": "aes256-cts-hmac-sha1-96", "weak_encryption": false,
            "ticket_encryption": "rc4-hmac", "ticket_weak_encryption": true,
        });
        assert_eq!(shown(&answer), expected);
    }

    #[test]
    fn an_error_says_what_failed() {
        let error = Message {
            kind: kind::ERROR,
            error: Some(25),
            failed_request: Some(kind::AS_REQ),
            ..Message::default()
        };
        let expected = serde_json::json!({
            "msg_type": "KRB_ERROR", "failed_request": "KRB_AS_REQ",
            "error_code": "KDC_ERR_PREAUTH_REQUIRED", "cname": "<empty>", "realm": "<empty>",
            "sname": "<empty>", "encryption": "<none>", "weak_encryption": false,
        });
        assert_eq!(shown(&error), expected);
        let strange = Message { error: Some(999), failed_request: None, ..error };
        assert_eq!(shown(&strange)["error_code"], "999");
    }
}
