//! Keywords on DCERPC and SMB that are no buffers: `dcerpc.iface`, `dcerpc.opnum`, `smb.version`.

use crate::{
    AppProto, Number,
    check::{
        builder::{Builder, text},
        number,
        rule::{Cmp, TxTest},
    },
    error::RuleError,
};

/// Most ranges in one `dcerpc.opnum`.
const MAX_OPNUMS: usize = 256;

/// `dcerpc.iface`: which interface a call is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) uuid: [u8; 16],
    /// Of its major version.
    pub(crate) version: Option<Cmp>,
    /// It need not have been bound in the first fragment.
    pub(crate) any_fragment: bool,
}

/// One part of `dcerpc.opnum`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opnums {
    /// From one number to another, both included.
    Range(u64, u64),
    /// A comparison.
    Compared(Cmp),
}

impl Opnums {
    pub(crate) const fn holds(self, opnum: u64) -> bool {
        match self {
            Self::Range(low, high) => opnum >= low && opnum <= high,
            Self::Compared(cmp) => cmp.holds(opnum),
        }
    }
}

impl Interface {
    /// Whether an interface that was bound is the one.
    pub(crate) fn holds(&self, (uuid, version, first): ([u8; 16], u16, bool)) -> bool {
        uuid == self.uuid
            && (first || self.any_fragment)
            && self.version.is_none_or(|cmp| cmp.holds(version.into()))
    }
}

impl Builder<'_, '_> {
    /// Handles the keywords of this module.
    pub(super) fn dcerpc_option(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<bool, RuleError> {
        let bad = |why: &str| RuleError::value(name, value.unwrap_or_default(), why);
        let test = match name {
            "dcerpc.iface" | "dce_iface" => TxTest::Interface(
                interface(text(name, value)?)
                    .ok_or_else(|| bad("expected UUID[,<=> version][,any_frag]"))?,
            ),
            "dcerpc.opnum" | "dce_opnum" => TxTest::Procedure(
                opnums(text(name, value)?)
                    .ok_or_else(|| bad("not numbers, ranges, comparisons"))?,
            ),
            "smb.version" => {
                let cmp = number::compare(text(name, value)?, 255)
                    .ok_or_else(|| bad("not a comparison or out of range"))?;
                TxTest::Number { number: Number::SmbVersion, cmp }
            }
            _ => return Ok(false),
        };
        match self.protocol.app {
            // What SMB carries is DCERPC as well.
            Some(AppProto::Smb) => {}
            _ if name == "smb.version" => self.imply(name, AppProto::Smb)?,
            _ => self.imply(name, AppProto::Dcerpc)?,
        }
        self.tx_tests.push(test);
        Ok(true)
    }
}

fn interface(given: &str) -> Option<Interface> {
    let mut parts = given.split(',').map(str::trim);
    let mut interface =
        Interface { uuid: uuid(parts.next()?)?, version: None, any_fragment: false };
    for part in parts {
        let before = if part == "any_frag" {
            std::mem::replace(&mut interface.any_fragment, true)
        } else {
            let cmp = number::compare(part, 0xffff)?;
            matches!(cmp, Cmp::Eq(_) | Cmp::Ne(_) | Cmp::Lt(_) | Cmp::Gt(_)).then_some(())?;
            part.starts_with(['=', '!', '<', '>']).then_some(())?;
            interface.version.replace(cmp).is_some()
        };
        if before {
            return None;
        }
    }
    Some(interface)
}

/// `8-4-4-4-12` hexadecimal digits.
fn uuid(given: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = given.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    if lengths != [8, 4, 4, 4, 12] || given.contains('+') {
        return None;
    }
    Some(u128::from_str_radix(&groups.concat(), 16).ok()?.to_be_bytes())
}

/// `12`, `12,14-17`, `>3`.
fn opnums(given: &str) -> Option<Box<[Opnums]>> {
    let plain = |text: &str| number::parse(text).filter(|number| *number <= 0xffff);
    let mut list = Vec::new();
    for part in given.split(',').map(str::trim) {
        let one = match part.split_once('-') {
            Some((low, high)) => {
                let (low, high) = (plain(low)?, plain(high)?);
                (low < high).then_some(Opnums::Range(low, high))?
            }
            None => Opnums::Compared(number::compare(part, 0xffff)?),
        };
        list.push(one);
    }
    (list.len() <= MAX_OPNUMS).then(|| list.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces() {
        const UUID: &str = "367abb81-9844-35f1-ad32-98f038001003";
        let read = |rest: &str| interface(&format!("{UUID}{rest}"));
        let plain = read("").unwrap();
        assert_eq!(plain.uuid[..4], [0x36, 0x7a, 0xbb, 0x81]);
        assert!(plain.holds((plain.uuid, 2, true)) && !plain.holds((plain.uuid, 2, false)));
        assert!(!plain.holds(([0; 16], 2, true)));
        let newer = read(", >1, any_frag").unwrap();
        assert!(newer.holds((plain.uuid, 2, false)) && !newer.holds((plain.uuid, 1, true)));
        for wrong in [",", ",2", ",>=2", ",=70000", ",=1,=2", ",any_frag,any_frag", "0"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(interface("367abb819844-35f1-ad32-98f038001003"), None);
        assert_eq!(interface("367abb8z-9844-35f1-ad32-98f038001003"), None);
    }

    #[test]
    fn procedures() {
        let holds = |given: &str, opnum| {
            opnums(given).map(|list| list.iter().any(|part| part.holds(opnum)))
        };
        for (given, opnum, expected) in [
            ("12", 12, Some(true)),
            ("12", 13, Some(false)),
            ("1, 4-6", 6, Some(true)),
            ("1,4-6", 7, Some(false)),
            (">3", 4, Some(true)),
            ("6-4", 5, None),
            ("65536", 5, None),
            ("x", 5, None),
            ("", 5, None),
        ] {
            assert_eq!(holds(given, opnum), expected, "{given}");
        }
    }
}
