//! Templates: the shape of a text as literals and typed fields, matched without backtracking.
//!
//! `Failed %{sshd.method} for %{user.name:rest} from %{src_ip:ip} port %{src_port:port}%{*}`. A field ends at the
//! next literal; `rest` takes the last place where what follows fits, since attackers choose names that look like
//! what follows. `%[ ... %]` may be absent. The cost of one match is bounded by the number of pieces times the
//! length of the text: each piece searches forward once, and what follows a `rest` is tried at most
//! [`TRIES`] times.

use std::borrow::Cow;

use memchr::memmem::{Finder, FinderRev};

use super::map::Target;
use crate::parse::{times, work};

/// Most places at which what follows a `rest` is tried, from the last.
const TRIES: usize = 8;
/// Most pieces of a template.
const MAX_PIECES: usize = 128;

/// A compiled template.
#[derive(Debug)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    /// Where captures go; a capture names its place here.
    pub(super) targets: Vec<Target>,
}

#[derive(Debug)]
enum Piece {
    Literal(Box<str>),
    Field(Box<Field>),
    Optional(Vec<Self>),
}

impl Piece {
    fn is_rest_with_more(&self) -> bool {
        matches!(self, Self::Field(field) if field.shape == Shape::Rest && !field.stops.is_empty())
    }
}

#[derive(Debug)]
struct Field {
    shape: Shape,
    target: usize,
    /// What ends it: the literals that may follow.
    stops: Vec<Stop>,
    /// Whether the text may end with it.
    open: bool,
}

#[derive(Debug)]
struct Stop {
    text: Box<str>,
    forward: Finder<'static>,
    backward: FinderRev<'static>,
}

impl Stop {
    fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            forward: Finder::new(text).into_owned(),
            backward: FinderRev::new(text).into_owned(),
        }
    }
}

/// How far a field reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// At least one byte, no blank.
    Word,
    /// No blank, perhaps nothing.
    Token,
    /// Anything up to the next literal.
    Text,
    /// Anything up to the last place where what follows fits.
    Rest,
    /// An address.
    Ip,
    /// Digits, perhaps with a sign.
    Integer,
    /// Digits, perhaps with a sign and a dot.
    Number,
    /// A text in double quotes, with escapes undone.
    Quoted,
    /// A time, of as many words as it has.
    Stamp,
    /// Blanks, also none.
    Blanks,
}

/// Captured texts: number of the target, text.
pub(super) type Captures<'a> = Vec<(usize, Cow<'a, str>)>;

impl Template {
    /// Compiles a template; says what is wrong with it.
    pub(super) fn new(
        text: &str,
        target: &mut dyn FnMut(&str) -> Result<Target, String>,
    ) -> Result<Self, String> {
        let mut reader = Reader { rest: text, targets: Vec::new(), count: 0, target };
        let mut pieces = reader.pieces(false)?;
        let targets = reader.targets;
        let mut rests = 0;
        link(&mut pieces, &[], true, &mut rests)?;
        if rests > 1 {
            return Err("more than one `rest` before the end".to_owned());
        }
        Ok(Self { pieces, targets })
    }

    /// The literal it begins with; empty when it begins with a field.
    pub(super) fn head(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Literal(text)) => text,
            _ => "",
        }
    }

    /// Whether the whole text fits; what was captured is added to `out`.
    pub(super) fn matches<'a>(&self, text: &'a str, out: &mut Captures<'a>) -> bool {
        let before = out.len();
        let done = walk(&self.pieces, text, 0, true, out).is_some();
        if !done {
            out.truncate(before);
        }
        done
    }

    /// Whether the text begins so; where what follows begins.
    pub(super) fn begins<'a>(&self, text: &'a str, out: &mut Captures<'a>) -> Option<usize> {
        let before = out.len();
        let end = walk(&self.pieces, text, 0, false, out);
        if end.is_none() {
            out.truncate(before);
        }
        end
    }
}

/// Matches pieces from `at`; the end of what they took. With `whole` they must take everything.
fn walk<'a>(
    pieces: &[Piece],
    text: &'a str,
    at: usize,
    whole: bool,
    out: &mut Captures<'a>,
) -> Option<usize> {
    let mut at = at;
    for (number, piece) in pieces.iter().enumerate() {
        let tail = text.get(at..)?;
        match piece {
            Piece::Literal(literal) => {
                if !tail.starts_with(&**literal) {
                    return None;
                }
                at = at.checked_add(literal.len())?;
            }
            Piece::Optional(inner) => {
                let before = out.len();
                match walk(inner, text, at, false, out) {
                    Some(end) => at = end,
                    None => out.truncate(before),
                }
            }
            Piece::Field(field) if field.shape == Shape::Rest && !field.stops.is_empty() => {
                let after = pieces.get(number.checked_add(1)?..)?;
                return rest(field, after, (text, at), whole, out);
            }
            Piece::Field(field) => {
                let (value, end) = field.take(tail)?;
                out.push((field.target, value));
                at = at.checked_add(end)?;
            }
        }
    }
    (!whole || at == text.len()).then_some(at)
}

/// A `rest` with something behind it: the last place where that fits.
fn rest<'a>(
    field: &Field,
    after: &[Piece],
    (text, at): (&'a str, usize),
    whole: bool,
    out: &mut Captures<'a>,
) -> Option<usize> {
    let before = out.len();
    let mut limit = text.len();
    for _ in 0..TRIES {
        let window = text.as_bytes().get(at..limit)?;
        let last = field.stops.iter().filter_map(|stop| {
            let found = stop.backward.rfind(window);
            work::spend(window.len().saturating_sub(found.unwrap_or(0)));
            Some((found?, stop.text.len()))
        });
        let Some((found, length)) = last.max() else { break };
        let place = at.checked_add(found)?;
        out.truncate(before);
        out.push((field.target, Cow::Borrowed(text.get(at..place)?)));
        if let Some(end) = walk(after, text, place, whole, out)
            && end > place
        {
            return Some(end);
        }
        limit = place.checked_add(length)?.checked_sub(1)?;
    }
    out.truncate(before);
    if field.open {
        out.push((field.target, Cow::Borrowed(text.get(at..)?)));
        return Some(text.len());
    }
    None
}

impl Field {
    /// Its text at the head of `tail`, and how long it is there.
    fn take<'a>(&self, tail: &'a str) -> Option<(Cow<'a, str>, usize)> {
        let plain = |end: usize| Some((Cow::Borrowed(tail.get(..end)?), end));
        match self.shape {
            Shape::Word => plain(self.word(tail).filter(|end| *end > 0)?),
            Shape::Token => plain(self.word(tail)?),
            Shape::Text => match self.stop(tail.as_bytes()) {
                Some(end) => plain(end),
                None => plain(self.open.then_some(tail.len())?),
            },
            Shape::Rest => plain(tail.len()),
            Shape::Ip => plain(self.address(tail)?),
            Shape::Integer => plain(number(tail, |byte| byte.is_ascii_digit())?),
            Shape::Number => plain(number(tail, |byte| byte.is_ascii_digit() || byte == b'.')?),
            Shape::Blanks => plain(tail.len().checked_sub(tail.trim_start_matches(' ').len())?),
            Shape::Stamp => plain(stamp(tail)?),
            Shape::Quoted => quoted(tail),
        }
    }

    /// The first place of anything that may follow.
    fn stop(&self, window: &[u8]) -> Option<usize> {
        let find = |stop: &Stop| {
            let found = stop.forward.find(window);
            work::spend(found.unwrap_or(window.len()));
            found
        };
        self.stops.iter().filter_map(find).min()
    }

    fn word(&self, tail: &str) -> Option<usize> {
        let bytes = tail.as_bytes();
        let blank = memchr::memchr(b' ', bytes).unwrap_or(bytes.len());
        work::spend(blank);
        let longest = self.stops.iter().map(|stop| stop.text.len()).max().unwrap_or(0);
        // What follows may itself hold blanks, but must begin within the word or at its end.
        let window = bytes.get(..blank.saturating_add(longest).min(bytes.len()))?;
        let found = self.stop(window).filter(|found| *found <= blank);
        found.or_else(|| self.open.then_some(blank))
    }

    /// The length of an address at the head; one in brackets with them.
    fn address(&self, tail: &str) -> Option<usize> {
        if tail.starts_with('[') {
            let end = tail.bytes().take(64).position(|byte| byte == b']')?.checked_add(1)?;
            return super::convert::address(tail.get(..end)?).map(|_| end);
        }
        let part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        let run = tail.bytes().take(64).take_while(part).count();
        let four = tail.bytes().take(16).take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let fits = |end: usize| {
            let text = tail.get(..end)?;
            text.parse::<std::net::IpAddr>().ok().map(|_| end)
        };
        let without_dot = |end: usize| {
            let text = tail.get(..end)?;
            Some(text.trim_end_matches('.').len())
        };
        // A colon that divides address and port looks like one inside the address: the last one divides.
        let divides = |stop: &Stop| stop.text.starts_with(':') || stop.text.starts_with('.');
        let text = tail.get(..run)?;
        let split = || {
            let mark = self.stops.iter().find(|stop| divides(stop))?.text.chars().next()?;
            text.rfind(mark).and_then(fits)
        };
        let end = (four == run || tail.as_bytes().get(four) == Some(&b':'))
            .then(|| fits(without_dot(four)?))
            .flatten()
            .or_else(split)
            .or_else(|| fits(run))
            .or_else(|| fits(without_dot(run)?))
            .or_else(|| fits(without_dot(four)?))?;
        let Some(zone) = tail.get(end..).and_then(|rest| rest.strip_prefix('%')) else {
            return Some(end);
        };
        let name = zone.bytes().take(16).take_while(u8::is_ascii_alphanumeric).count();
        end.checked_add(name)?.checked_add(1)
    }
}

/// The length of a number at the head.
fn number(tail: &str, part: impl Fn(u8) -> bool) -> Option<usize> {
    let sign = usize::from(tail.starts_with(['-', '+']));
    let digits = tail.bytes().skip(sign).take(64).take_while(|byte| part(*byte)).count();
    if digits == 0 { None } else { sign.checked_add(digits) }
}

/// The length of a time at the head; zone and year do not matter for that.
fn stamp(tail: &str) -> Option<usize> {
    let (_, rest) = times::lead(tail, &times::Zone::utc(), event::Timestamp::EPOCH)?;
    tail.len().checked_sub(rest.len())
}

/// A text in double quotes at the head, with its escapes undone, and its length there.
fn quoted(tail: &str) -> Option<(Cow<'_, str>, usize)> {
    let inner = tail.strip_prefix('"')?;
    let bytes = inner.as_bytes();
    let mut at = 0_usize;
    let mut escaped = false;
    loop {
        let next = memchr::memchr2(b'"', b'\\', bytes.get(at..)?);
        work::spend(next.unwrap_or(bytes.len()));
        at = at.checked_add(next?)?;
        if bytes.get(at) == Some(&b'"') {
            break;
        }
        escaped = true;
        at = at.checked_add(2)?;
    }
    let text = inner.get(..at)?;
    let value = if escaped {
        let bytes = super::convert::unescape(text);
        Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
    } else {
        Cow::Borrowed(text)
    };
    Some((value, at.checked_add(2)?))
}

/// Reads the text of a template.
struct Reader<'t, 'f> {
    rest: &'t str,
    targets: Vec<Target>,
    count: usize,
    target: &'f mut dyn FnMut(&str) -> Result<Target, String>,
}

impl Reader<'_, '_> {
    fn pieces(&mut self, inside: bool) -> Result<Vec<Piece>, String> {
        let mut pieces = Vec::new();
        loop {
            self.count = self.count.saturating_add(1);
            if self.count > MAX_PIECES {
                return Err(format!("more than {MAX_PIECES} pieces"));
            }
            let marks = ["%{", "%[", "%]"];
            let next = marks.iter().filter_map(|mark| self.rest.find(mark)).min();
            let (literal, rest) =
                self.rest.split_at_checked(next.unwrap_or(self.rest.len())).unwrap_or_default();
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.into()));
            }
            self.rest = rest;
            if let Some(rest) = self.rest.strip_prefix("%{") {
                let (spec, rest) = rest.split_once('}').ok_or("a `%{` without its `}`")?;
                self.rest = rest;
                pieces.push(Piece::Field(Box::new(self.field(spec)?)));
            } else if let Some(rest) = self.rest.strip_prefix("%[") {
                if inside {
                    return Err("an optional part inside another".to_owned());
                }
                self.rest = rest;
                let inner = self.pieces(true)?;
                if !matches!(inner.first(), Some(Piece::Literal(_))) {
                    return Err("an optional part must begin with a text".to_owned());
                }
                pieces.push(Piece::Optional(inner));
            } else if let Some(rest) = self.rest.strip_prefix("%]") {
                self.rest = rest;
                return if inside { Ok(pieces) } else { Err("a `%]` without its `%[`".to_owned()) };
            } else {
                return if inside { Err("a `%[` without its `%]`".to_owned()) } else { Ok(pieces) };
            }
        }
    }

    fn field(&mut self, spec: &str) -> Result<Field, String> {
        let target = (self.target)(spec).map_err(|error| format!("%{{{spec}}}: {error}"))?;
        let shape = target.shape;
        self.targets.push(target);
        let target = self.targets.len().saturating_sub(1);
        Ok(Field { shape, target, stops: Vec::new(), open: false })
    }
}

/// Tells every field what may follow it.
fn link(
    pieces: &mut [Piece],
    outer: &[Box<str>],
    end: bool,
    rests: &mut usize,
) -> Result<(), String> {
    for at in 0..pieces.len() {
        let after = pieces.get(at.saturating_add(1)..).unwrap_or_default();
        let (stops, open, bare) = follow(after, outer, end);
        match pieces.get_mut(at) {
            Some(Piece::Field(field)) => {
                let alone = matches!(
                    field.shape,
                    Shape::Ip
                        | Shape::Integer
                        | Shape::Number
                        | Shape::Quoted
                        | Shape::Stamp
                        | Shape::Blanks
                );
                if bare && !alone {
                    return Err("two fields need a text between them".to_owned());
                }
                field.open = open;
                field.stops = stops.iter().map(|stop| Stop::new(stop)).collect();
                *rests = rests.saturating_add(usize::from(
                    field.shape == Shape::Rest && !field.stops.is_empty(),
                ));
            }
            Some(Piece::Optional(inner)) => {
                link(inner, &stops, open, rests)?;
                if inner.iter().any(Piece::is_rest_with_more) {
                    return Err("a `rest` in an optional part must end the text".to_owned());
                }
            }
            Some(Piece::Literal(_)) | None => {}
        }
    }
    Ok(())
}

/// The literals that may come next, whether the end may, and whether a field may.
fn follow(after: &[Piece], outer: &[Box<str>], end: bool) -> (Vec<Box<str>>, bool, bool) {
    let mut stops = Vec::new();
    for (at, piece) in after.iter().enumerate() {
        match piece {
            Piece::Literal(text) => {
                stops.push(text.clone());
                return (stops, false, false);
            }
            Piece::Optional(inner) => {
                if let Some(Piece::Literal(text)) = inner.first() {
                    stops.push(text.clone());
                }
            }
            // `%{*}` at the end of a text takes what is there, also nothing.
            Piece::Field(field) => {
                let last = field.shape == Shape::Rest && at.saturating_add(1) == after.len();
                let blank = field.shape == Shape::Blanks;
                stops.extend(blank.then(|| " ".into()));
                return (stops, last || blank, !last && !blank);
            }
        }
    }
    stops.extend(outer.iter().cloned());
    (stops, end, false)
}
