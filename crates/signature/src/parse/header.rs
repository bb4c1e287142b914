//! The seven fields of a rule header.

use crate::error::{Located, RuleError, shown};

/// Header fields as written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawHeader<'a> {
    pub(crate) action: &'a [u8],
    pub(crate) protocol: &'a [u8],
    pub(crate) src: &'a [u8],
    pub(crate) src_port: &'a [u8],
    pub(crate) direction: &'a [u8],
    pub(crate) dst: &'a [u8],
    pub(crate) dst_port: &'a [u8],
}

/// Splits at blanks that stand outside of brackets.
fn fields(text: &[u8]) -> Result<Vec<&[u8]>, Located> {
    let mut found = Vec::with_capacity(7);
    let mut depth = 0_usize;
    let mut start = None;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'[' => depth = depth.saturating_add(1),
            b']' => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| RuleError::header("\"]\" without \"[\"").at(at))?;
            }
            b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => {
                if let Some(from) = start.take() {
                    found.push(text.get(from..at).unwrap_or_default());
                }
                continue;
            }
            _ => {}
        }
        start.get_or_insert(at);
    }
    if depth > 0 {
        return Err(RuleError::header("\"[\" without \"]\"").at(text.len()));
    }
    if let Some(from) = start {
        found.push(text.get(from..).unwrap_or_default());
    }
    Ok(found)
}

/// Parses everything before the opening parenthesis.
pub(super) fn parse(text: &[u8]) -> Result<RawHeader<'_>, Located> {
    let fields = fields(text)?;
    match fields.as_slice() {
        &[action, protocol, src, src_port, direction, dst, dst_port] => {
            if !matches!(direction, b"->" | b"<>" | b"=>") {
                return Err(RuleError::header(format!(
                    "direction must be ->, <> or =>, not \"{}\"",
                    shown(direction)
                ))
                .at(0));
            }
            Ok(RawHeader { action, protocol, src, src_port, direction, dst, dst_port })
        }
        other => Err(RuleError::header(format!(
            "expected 7 fields before \"(\" (action protocol address port direction address port), found {}",
            other.len()
        ))
        .at(0)),
    }
}
