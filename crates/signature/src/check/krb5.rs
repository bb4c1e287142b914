//! Keywords on Kerberos that are no buffers: `krb5_msg_type`, `krb5_err_code`, `krb5.ticket_encryption`.

use crate::{
    AppProto, Number,
    check::{
        builder::{Builder, text},
        number,
        rule::{Cmp, TxTest},
    },
    error::RuleError,
};

/// Message types by name (RFC 4120 section 7.5.7).
const KINDS: [(&str, u8); 10] = [
    ("AS_REQ", 10),
    ("AS_REP", 11),
    ("TGS_REQ", 12),
    ("TGS_REP", 13),
    ("AP_REQ", 14),
    ("AP_REP", 15),
    ("SAFE", 20),
    ("PRIV", 21),
    ("CRED", 22),
    ("ERROR", 30),
];

/// Ciphers by name (RFC 3961 section 8, RFC 8009, RFC 6803, and those of Microsoft below zero).
const CIPHERS: [(&str, i32); 32] = [
    ("des-cbc-crc", 1),
    ("des-cbc-md4", 2),
    ("des-cbc-md5", 3),
    ("des3-cbc-md5", 5),
    ("des3-cbc-sha1", 7),
    ("dsaWithSHA1-CmsOID", 9),
    ("md5WithRSAEncryption-CmsOID", 10),
    ("sha1WithRSAEncryption-CmsOID", 11),
    ("rc2CBC-EnvOID", 12),
    ("rsaEncryption-EnvOID", 13),
    ("rsaES-OAEP-ENV-OID", 14),
    ("des-ede3-cbc-Env-OID", 15),
    ("des3-cbc-sha1-kd", 16),
    ("aes128-cts-hmac-sha1-96", 17),
    ("aes256-cts-hmac-sha1-96", 18),
    ("aes128-cts-hmac-sha256-128", 19),
    ("aes256-cts-hmac-sha384-192", 20),
    ("rc4-hmac", 23),
    ("rc4-hmac-exp", 24),
    ("camellia128-cts-cmac", 25),
    ("camellia256-cts-cmac", 26),
    ("subkey-keymaterial", 65),
    ("rc4-md4", -128),
    ("rc4-plain2", -129),
    ("rc4-lm", -130),
    ("rc4-sha", -131),
    ("des-plain", -132),
    ("rc4-hmac-OLD", -133),
    ("rc4-plain-OLD", -134),
    ("rc4-hmac-OLD-exp", -135),
    ("rc4-plain", -140),
    ("rc4-plain-exp", -141),
];

/// Most ciphers in one `krb5.ticket_encryption`.
const MAX_CIPHERS: usize = 64;

impl Builder<'_, '_> {
    /// Handles the keywords of this module.
    pub(super) fn krb5_option(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<bool, RuleError> {
        let bad = |why: &str| RuleError::value(name, value.unwrap_or_default(), why);
        let test = match name {
            "krb5_msg_type" | "krb5.msg_type" => {
                let cmp = number::compare(&by_number(text(name, value)?), 255);
                let cmp = cmp.ok_or_else(|| bad("not a message type or comparison"))?;
                TxTest::Number { number: Number::Krb5MsgType, cmp }
            }
            "krb5_err_code" | "krb5.err_code" => {
                let cmp = number::compare(text(name, value)?, 0x7fff_ffff);
                let cmp = cmp.ok_or_else(|| bad("not a comparison or out of range"))?;
                TxTest::Number { number: Number::Krb5ErrCode, cmp }
            }
            "krb5.ticket_encryption" => {
                ciphers(text(name, value)?).ok_or_else(|| bad("expected \"weak\" or ciphers"))?
            }
            _ => return Ok(false),
        };
        self.imply(name, AppProto::Krb5)?;
        self.tx_tests.push(test);
        Ok(true)
    }
}

/// A name of a message type, perhaps negated, becomes its number.
fn by_number(given: &str) -> String {
    let trimmed = given.trim();
    let (sign, name) = trimmed.strip_prefix('!').map_or(("", trimmed), |rest| ("!", rest.trim()));
    let bare = match name.split_at_checked(4) {
        Some((prefix, bare)) if prefix.eq_ignore_ascii_case("krb_") => bare,
        _ => name,
    };
    match KINDS.iter().find(|(kind, _)| kind.eq_ignore_ascii_case(bare)) {
        Some((_, number)) => format!("{sign}{number}"),
        None => given.to_owned(),
    }
}

/// `weak`, or names and numbers of which the cipher is one.
fn ciphers(given: &str) -> Option<TxTest> {
    let weak = |value| TxTest::Number { number: Number::Krb5TicketWeak, cmp: Cmp::Eq(value) };
    let given = given.trim();
    match given.strip_prefix('!').map(str::trim) {
        Some("weak") => return Some(weak(0)),
        Some(_) => return None,
        None if given == "weak" => return Some(weak(1)),
        None => {}
    }
    let split = |c: char| c == ',' || c.is_ascii_whitespace();
    let parts = given.split(split).filter(|part| !part.is_empty());
    let values: Option<Vec<u64>> = parts.map(cipher).collect();
    let values = values.filter(|list| !list.is_empty() && list.len() <= MAX_CIPHERS)?;
    Some(TxTest::OneOf { number: Number::Krb5TicketEncryption, values: values.into() })
}

fn cipher(given: &str) -> Option<u64> {
    let named = CIPHERS.iter().find(|(name, _)| name.eq_ignore_ascii_case(given));
    let number = named.map(|(_, number)| *number).or_else(|| given.parse::<i32>().ok())?;
    Some(number.cast_unsigned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_numbers() {
        let cases = [
            ("AS_REQ", "10"),
            (" !tgs_rep", "!13"),
            ("KRB_ERROR", "30"),
            ("!30", "!30"),
            ("x", "x"),
        ];
        for (given, expected) in cases {
            assert_eq!(by_number(given), expected);
        }
    }

    #[test]
    fn ciphers_by_name_and_number() {
        let one_of = |values: &[u64]| {
            Some(TxTest::OneOf { number: Number::Krb5TicketEncryption, values: values.into() })
        };
        let weak =
            |value| Some(TxTest::Number { number: Number::Krb5TicketWeak, cmp: Cmp::Eq(value) });
        let cases = [
            ("weak", weak(1)),
            ("! weak", weak(0)),
            ("rc4-hmac", one_of(&[23])),
            ("23, des-cbc-md5 -128", one_of(&[23, 3, 0xffff_ff80])),
            ("", None),
            ("rc5", None),
            ("!23", None),
        ];
        for (given, expected) in cases {
            assert_eq!(ciphers(given), expected, "{given}");
        }
    }
}
