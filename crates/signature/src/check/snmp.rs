//! Keywords on SNMP that are no buffers: `snmp.version`, `snmp.pdu_type`.

use crate::{
    AppProto, Number,
    check::{
        builder::{Builder, text},
        number,
        rule::TxTest,
    },
    error::RuleError,
};

/// Kinds of PDU by name, in the order of their numbers.
const PDUS: [&str; 9] = [
    "get_request",
    "get_next_request",
    "response",
    "set_request",
    "trap_v1",
    "get_bulk_request",
    "inform_request",
    "trap_v2",
    "report",
];

impl Builder<'_, '_> {
    /// Handles the keywords of this module.
    pub(super) fn snmp_option(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<bool, RuleError> {
        let (number, given) = match name {
            "snmp.version" => (Number::SnmpVersion, text(name, value)?.to_owned()),
            "snmp.pdu_type" => (Number::SnmpPduType, by_number(text(name, value)?)),
            _ => return Ok(false),
        };
        let cmp = number::compare(&given, 255)
            .ok_or_else(|| RuleError::value(name, value.unwrap_or_default(), "not a comparison"))?;
        self.imply(name, AppProto::Snmp)?;
        self.tx_tests.push(TxTest::Number { number, cmp });
        Ok(true)
    }
}

/// A name, perhaps negated, becomes its number.
fn by_number(given: &str) -> String {
    let trimmed = given.trim();
    let (sign, name) = trimmed.strip_prefix('!').map_or(("", trimmed), |rest| ("!", rest.trim()));
    match PDUS.iter().position(|pdu| pdu.eq_ignore_ascii_case(name)) {
        Some(at) => format!("{sign}{at}"),
        None => given.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_numbers() {
        for (given, expected) in
            [("get_request", "0"), (" !report", "!8"), ("TRAP_V1", "4"), ("5", "5"), ("x", "x")]
        {
            assert_eq!(by_number(given), expected);
        }
    }
}
