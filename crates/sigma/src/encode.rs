//! Encodings of values: UTF-16, Base64 at every offset, dashes.
//!
//! Pure functions on text and bytes; which of them apply and in what order is decided in `modifiers`.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::pattern::Piece;

/// Byte order of UTF-16.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Utf16 {
    /// Little endian (`wide`, `utf16le`).
    Little,
    /// Big endian (`utf16be`).
    Big,
    /// Little endian behind a byte order mark (`utf16`).
    Marked,
}

pub(crate) fn utf16(text: &str, order: Utf16) -> Vec<u8> {
    let units = text.encode_utf16();
    match order {
        Utf16::Little => units.flat_map(u16::to_le_bytes).collect(),
        Utf16::Big => units.flat_map(u16::to_be_bytes).collect(),
        Utf16::Marked => std::iter::once(0xfeff).chain(units).flat_map(u16::to_le_bytes).collect(),
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// What stays the same of the Base64 text when the bytes stand at offset 0, 1 or 2 of a triple.
/// `None` when an offset leaves nothing.
pub(crate) fn base64_offsets(bytes: &[u8]) -> Option<Vec<String>> {
    let mut texts = Vec::with_capacity(3);
    for (offset, skip) in [0_usize, 2, 3].into_iter().enumerate() {
        let mut padded = vec![b' '; offset];
        padded.extend_from_slice(bytes);
        // Characters that also depend on what follows are cut off, padding with them.
        let cut = [0, 3, 2][padded.len() % 3];
        let text = STANDARD.encode(&padded);
        let stable =
            text.get(skip..text.len().checked_sub(cut)?).filter(|text| !text.is_empty())?;
        texts.push(stable.to_owned());
    }
    Some(texts)
}

/// Makes a dash or slash that begins an option stand for all dashes (`\B[-/]\b`).
pub(crate) fn windash(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let Piece::Literal(text) = piece else {
            out.push(piece);
            continue;
        };
        let mut literal = String::new();
        let mut before: Option<char> = None;
        let mut chars = text.chars().peekable();
        while let Some(here) = chars.next() {
            let word_before = before.is_some_and(is_word);
            let word_after = chars.peek().copied().is_some_and(is_word);
            if matches!(here, '-' | '/') && !word_before && word_after {
                out.push(Piece::Literal(std::mem::take(&mut literal)));
                out.push(Piece::Dash);
            } else {
                literal.push(here);
            }
            before = Some(here);
        }
        out.push(Piece::Literal(literal));
    }
    out
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}
