//! `name:value;` options between the parentheses.

use crate::error::{Located, RuleError};

/// One option as written.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) struct RawOption<'a> {
    /// Keyword, trimmed.
    pub(crate) name: &'a str,
    /// Text after the colon, trimmed; `None` without a colon.
    pub(crate) value: Option<&'a [u8]>,
    /// Byte offset of the keyword within the rule.
    pub(crate) offset: usize,
}

/// Most options one rule may have; the language's largest real rules have below 100.
const MAX_OPTIONS: usize = 4_096;

/// Splits at every `;` that no backslash precedes. `base` is the offset of `text` within the rule.
pub(super) fn split(text: &[u8], base: usize) -> Result<Vec<RawOption<'_>>, Located> {
    let mut options = Vec::new();
    let mut start = 0;
    for end in memchr::memchr_iter(b';', text) {
        if end.checked_sub(1).and_then(|before| text.get(before)) == Some(&b'\\') {
            continue;
        }
        let piece = text.get(start..end).unwrap_or_default();
        options.push(one(piece, base.saturating_add(start))?);
        start = end.saturating_add(1);
        if options.len() > MAX_OPTIONS {
            return Err(RuleError::header(format!("more than {MAX_OPTIONS} options")).at(base));
        }
    }
    let rest = text.get(start..).unwrap_or_default();
    if rest.trim_ascii().is_empty() {
        return Ok(options);
    }
    let shown: String = String::from_utf8_lossy(rest.trim_ascii()).chars().take(40).collect();
    Err(RuleError::header(format!("option without closing \";\": \"{shown}\""))
        .at(base.saturating_add(start)))
}

fn one(piece: &[u8], offset: usize) -> Result<RawOption<'_>, Located> {
    let lead = piece.len().saturating_sub(piece.trim_ascii_start().len());
    let offset = offset.saturating_add(lead);
    let piece = piece.trim_ascii();
    let (name, value) = match memchr::memchr(b':', piece) {
        Some(colon) => (
            piece.get(..colon).unwrap_or_default().trim_ascii(),
            piece.get(colon.saturating_add(1)..).map(<[u8]>::trim_ascii),
        ),
        None => (piece, None),
    };
    let name = str::from_utf8(name)
        .ok()
        .filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()))
        .ok_or_else(|| {
            let shown: String = String::from_utf8_lossy(name).chars().take(40).collect();
            RuleError::UnknownKeyword { name: shown, hint: String::new() }.at(offset)
        })?;
    Ok(RawOption { name, value, offset })
}
