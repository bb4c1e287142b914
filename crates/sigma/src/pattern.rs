//! Text patterns of Sigma values: literals, `*`, `?`, and the dash class of `windash`.
//!
//! Without the `cased` modifier both sides are compared in lower case: patterns are lowered when they
//! are made, the caller lowers the value (once per event). No regular expressions here.

use crate::test;

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Piece {
    /// These characters.
    Literal(String),
    /// One character, whatever it is.
    One,
    /// Any number of characters.
    Many,
    /// One of the characters Windows programs accept before an option (modifier `windash`).
    Dash,
}

/// What `windash` makes interchangeable (Sigma modifiers appendix).
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pattern {
    /// Any value, also the empty one.
    Any,
    /// The whole value.
    Exact(Box<str>),
    /// Its beginning.
    Prefix(Box<str>),
    /// Its end.
    Suffix(Box<str>),
    /// Anywhere in it.
    Contains(Box<str>),
    /// Anything else; neighbours are merged.
    Pieces(Box<[Piece]>),
}

impl Pattern {
    /// From pieces; `lower` for comparison without case.
    pub(crate) fn new(pieces: Vec<Piece>, lower: bool) -> Self {
        let merged = merge(pieces, lower);
        match merged.as_slice() {
            [] => Self::Exact("".into()),
            [Piece::Many] => Self::Any,
            [Piece::Literal(text)] => Self::Exact(text.as_str().into()),
            [Piece::Literal(text), Piece::Many] => Self::Prefix(text.as_str().into()),
            [Piece::Many, Piece::Literal(text)] => Self::Suffix(text.as_str().into()),
            [Piece::Many, Piece::Literal(text), Piece::Many] => {
                Self::Contains(text.as_str().into())
            }
            _ => Self::Pieces(merged.into_boxed_slice()),
        }
    }

    /// Whether the whole of `text` fits (already lowered when the pattern is).
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(literal) => **literal == *text,
            Self::Prefix(literal) => text.starts_with(&**literal),
            Self::Suffix(literal) => text.ends_with(&**literal),
            Self::Contains(literal) => {
                memchr::memmem::find(text.as_bytes(), literal.as_bytes()).is_some()
            }
            Self::Pieces(pieces) => match_pieces(pieces, text),
        }
    }

    /// The longest text every matching value contains; empty when there is none.
    pub(crate) fn literal(&self) -> &str {
        match self {
            Self::Any => "",
            Self::Exact(text) | Self::Prefix(text) | Self::Suffix(text) | Self::Contains(text) => {
                text
            }
            Self::Pieces(pieces) => pieces
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Literal(text) => Some(text.as_str()),
                    Piece::One | Piece::Many | Piece::Dash => None,
                })
                .max_by_key(|text| text.len())
                .unwrap_or_default(),
        }
    }

    /// In words, for explanations.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Any => "has any value".to_owned(),
            Self::Exact(text) => format!("is {text:?}"),
            Self::Prefix(text) => format!("starts with {text:?}"),
            Self::Suffix(text) => format!("ends with {text:?}"),
            Self::Contains(text) => format!("contains {text:?}"),
            Self::Pieces(pieces) => {
                let mut shown = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Literal(text) => shown.push_str(text),
                        Piece::One => shown.push('?'),
                        Piece::Many => shown.push('*'),
                        Piece::Dash => shown.push('-'),
                    }
                }
                format!("fits {shown:?}")
            }
        }
    }
}

fn merge(pieces: Vec<Piece>, lower: bool) -> Vec<Piece> {
    let mut merged: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match (merged.last_mut(), piece) {
            (_, Piece::Literal(text)) if text.is_empty() => {}
            (Some(Piece::Literal(before)), Piece::Literal(text)) => {
                before.push_str(&if lower { test::lower(&text) } else { text });
            }
            (_, Piece::Literal(text)) => {
                merged.push(Piece::Literal(if lower { test::lower(&text) } else { text }));
            }
            (Some(Piece::Many), Piece::Many) => {}
            (_, other) => merged.push(other),
        }
    }
    merged
}

/// Glob matching: between two `*` the leftmost place will do, only the last run is tied to the end.
/// Time is bounded by pieces times length.
fn match_pieces(pieces: &[Piece], text: &str) -> bool {
    let mut runs = pieces.split(|piece| *piece == Piece::Many);
    let Some(first) = runs.next() else { return text.is_empty() };
    let Some(mut rest) = match_run(first, text) else { return false };
    let mut last: Option<&[Piece]> = None;
    for run in runs {
        if let Some(middle) = last.replace(run) {
            let Some(after) = find_run(middle, rest) else { return false };
            rest = after;
        }
    }
    match last {
        None => rest.is_empty(),
        Some(run) => ends_with_run(run, rest),
    }
}

/// What follows when `text` begins with the run.
fn match_run<'a>(run: &[Piece], mut text: &'a str) -> Option<&'a str> {
    for piece in run {
        text = match piece {
            Piece::Literal(literal) => text.strip_prefix(literal.as_str())?,
            Piece::One => {
                let mut chars = text.chars();
                chars.next()?;
                chars.as_str()
            }
            Piece::Dash => text.strip_prefix(DASHES)?,
            Piece::Many => return None,
        };
    }
    Some(text)
}

/// What follows the leftmost place of the run.
fn find_run<'a>(run: &[Piece], text: &'a str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        if let Some(Piece::Literal(literal)) = run.first() {
            let at = memchr::memmem::find(rest.as_bytes(), literal.as_bytes())?;
            rest = rest.get(at..)?;
        }
        if let Some(after) = match_run(run, rest) {
            return Some(after);
        }
        let mut chars = rest.chars();
        chars.next()?;
        rest = chars.as_str();
    }
}

/// Whether the run fits exactly up to the end, at whatever place.
fn ends_with_run(run: &[Piece], text: &str) -> bool {
    if run.is_empty() {
        return true;
    }
    let mut end = text;
    for piece in run.iter().rev() {
        let shorter = match piece {
            Piece::Literal(literal) => end.strip_suffix(literal.as_str()),
            Piece::One => {
                let mut chars = end.chars();
                chars.next_back().map(|_| chars.as_str())
            }
            Piece::Dash => end.strip_suffix(DASHES),
            Piece::Many => None,
        };
        match shorter {
            Some(text) => end = text,
            None => return false,
        }
    }
    true
}
