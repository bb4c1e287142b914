//! From one detection item (field, modifiers, values) to tests on values.
//!
//! Modifiers are applied in the order they are written, as the Sigma modifiers appendix (2.1) says.
//! A combination without a meaning is refused: nothing is skipped. Knows neither events nor rules.

use rsigma_parser::{DetectionItem, Modifier, SigmaString, SigmaValue, SpecialChar, StringPart};

use crate::{
    RuleError,
    encode::{self, Utf16},
    pattern::{Pattern, Piece},
    test::{Flags, How, Order, Part, Test},
};

/// Values of placeholders (`%name%`) for the modifier `expand`.
pub type Placeholders = std::collections::BTreeMap<String, Vec<String>>;

/// An item as tests: which of them must hold, and whether the whole is turned round.
#[derive(Debug)]
pub(crate) struct Tests {
    pub(crate) tests: Vec<Vec<Test>>,
    pub(crate) all: bool,
    pub(crate) negated: bool,
}

/// A value on its way through the modifiers.
#[derive(Clone, Debug)]
enum Draft {
    Text(Vec<Piece>),
    Bytes(Vec<u8>),
    Number(String, f64),
    Bool(bool),
    Null,
    /// A finished test, which no further modifier may change.
    Done(Test),
}

/// What holds for all values of the item.
#[derive(Clone, Copy, Debug, Default)]
struct Context {
    cased: bool,
    flags: Flags,
    part: Option<Part>,
    keyword: bool,
    fieldref: Option<How>,
}

pub(crate) fn compile(
    item: &DetectionItem,
    placeholders: &Placeholders,
) -> Result<Tests, RuleError> {
    let modifiers = &item.field.modifiers;
    let keyword = item.field.name.is_none();
    check_combination(modifiers, keyword)?;
    if item.values.is_empty() {
        return Err(refuse("an empty list of values"));
    }
    let has = |wanted: Modifier| modifiers.contains(&wanted);
    let context = Context {
        cased: has(Modifier::Cased),
        flags: Flags {
            ignore_case: has(Modifier::IgnoreCase),
            multiline: has(Modifier::Multiline),
            dot_all: has(Modifier::DotAll),
        },
        part: modifiers.iter().find_map(|&modifier| Part::of(modifier)),
        keyword,
        fieldref: has(Modifier::FieldRef).then(|| How::of(modifiers)),
    };
    let mut tests = Vec::with_capacity(item.values.len());
    for value in &item.values {
        let mut drafts = vec![Draft::from(value)];
        for &modifier in modifiers {
            drafts = drafts.into_iter().try_fold(Vec::new(), |mut out, draft| {
                out.extend(apply(modifier, draft, context, placeholders)?);
                Ok::<_, RuleError>(out)
            })?;
        }
        let done = drafts.into_iter().map(|draft| finish(draft, context)).collect::<Result<_, _>>();
        tests.push(done?);
    }
    Ok(Tests { tests, all: has(Modifier::All), negated: has(Modifier::Neq) })
}

fn refuse(what: &str) -> RuleError {
    RuleError::Modifier { what: what.to_owned() }
}

/// Refuses what no part of the specification gives a meaning to.
fn check_combination(modifiers: &[Modifier], keyword: bool) -> Result<(), RuleError> {
    use Modifier as M;
    let has = |wanted: &[M]| modifiers.iter().any(|modifier| wanted.contains(modifier));
    let texts = [M::Contains, M::StartsWith, M::EndsWith];
    let encodings = [M::Base64, M::Base64Offset, M::Wide, M::Utf16be, M::Utf16];
    let orders = [M::Gt, M::Gte, M::Lt, M::Lte];
    let parts = [M::Minute, M::Hour, M::Day, M::Week, M::Month, M::Year];
    let kinds = [M::Re, M::Cidr, M::Exists];
    let count = |group: &[M]| modifiers.iter().filter(|modifier| group.contains(modifier)).count();
    let alone = count(&kinds) + usize::from(has(&orders)) + usize::from(has(&[M::FieldRef]));
    let conflict = alone > 1
        || count(&texts) > 1
        || count(&orders) > 1
        || count(&parts) > 1
        || (has(&kinds) && (has(&texts) || has(&encodings) || has(&[M::WindAsh])))
        || (has(&parts) && (has(&texts) || has(&encodings) || has(&kinds) || has(&[M::FieldRef])))
        || (has(&orders) && (has(&texts) || has(&encodings)))
        || (has(&[M::WindAsh]) && (has(&orders) || has(&parts)))
        || (has(&[M::FieldRef]) && (has(&encodings) || has(&[M::WindAsh, M::Expand])));
    if conflict {
        return Err(refuse("these modifiers exclude each other"));
    }
    if has(&[M::IgnoreCase, M::Multiline, M::DotAll]) && !has(&[M::Re]) {
        return Err(refuse("i, m and s belong to re"));
    }
    if has(&[M::Cased]) && (has(&kinds) || has(&orders) || has(&parts)) {
        return Err(refuse("cased has no meaning beside re, cidr, exists, numbers and times"));
    }
    if has(&[M::Exists]) && modifiers.len() > 1 {
        return Err(refuse("exists stands alone"));
    }
    if keyword && (has(&[M::Cidr, M::Exists, M::FieldRef, M::Neq]) || has(&orders) || has(&parts)) {
        return Err(refuse("this modifier needs a field"));
    }
    Ok(())
}

impl From<&SigmaValue> for Draft {
    fn from(value: &SigmaValue) -> Self {
        match value {
            SigmaValue::String(text) => Self::Text(pieces(text)),
            #[expect(clippy::cast_precision_loss, reason = "comparison of magnitudes")]
            SigmaValue::Integer(whole) => Self::Number(whole.to_string(), *whole as f64),
            SigmaValue::Float(number) => Self::Number(number.to_string(), *number),
            SigmaValue::Bool(truth) => Self::Bool(*truth),
            SigmaValue::Null => Self::Null,
        }
    }
}

fn pieces(text: &SigmaString) -> Vec<Piece> {
    text.parts
        .iter()
        .map(|part| match part {
            StringPart::Plain(literal) => Piece::Literal(literal.clone()),
            StringPart::Special(SpecialChar::WildcardMulti) => Piece::Many,
            StringPart::Special(SpecialChar::WildcardSingle) => Piece::One,
        })
        .collect()
}

/// The pieces of text or of a number written as text.
fn as_pieces(draft: Draft) -> Result<Vec<Piece>, RuleError> {
    match draft {
        Draft::Text(pieces) => Ok(pieces),
        Draft::Number(text, _) => Ok(vec![Piece::Literal(text)]),
        Draft::Bool(truth) => Ok(vec![Piece::Literal(truth.to_string())]),
        Draft::Bytes(bytes) => String::from_utf8(bytes)
            .map(|text| vec![Piece::Literal(text)])
            .map_err(|_| refuse("this encoding needs base64 or base64offset behind it")),
        Draft::Null | Draft::Done(_) => Err(refuse("this modifier needs text")),
    }
}

/// Bytes of a value without wildcards.
fn as_bytes(draft: Draft) -> Result<Vec<u8>, RuleError> {
    match draft {
        Draft::Bytes(bytes) => Ok(bytes),
        other => as_plain(other).map(String::into_bytes),
    }
}

fn as_plain(draft: Draft) -> Result<String, RuleError> {
    as_pieces(draft)?.into_iter().try_fold(String::new(), |mut out, piece| match piece {
        Piece::Literal(text) => {
            out.push_str(&text);
            Ok(out)
        }
        Piece::One | Piece::Many | Piece::Dash => Err(refuse("wildcards cannot be encoded")),
    })
}

fn literal(text: String) -> Draft {
    Draft::Text(vec![Piece::Literal(text)])
}

fn apply(
    modifier: Modifier,
    draft: Draft,
    context: Context,
    placeholders: &Placeholders,
) -> Result<Vec<Draft>, RuleError> {
    use Modifier as M;
    let one = match modifier {
        M::Contains | M::StartsWith | M::EndsWith if context.fieldref.is_some() => draft,
        M::Contains => around(as_pieces(draft)?, true, true),
        M::StartsWith => around(as_pieces(draft)?, false, true),
        M::EndsWith => around(as_pieces(draft)?, true, false),
        M::Wide => Draft::Bytes(encode::utf16(&as_plain(draft)?, Utf16::Little)),
        M::Utf16be => Draft::Bytes(encode::utf16(&as_plain(draft)?, Utf16::Big)),
        M::Utf16 => Draft::Bytes(encode::utf16(&as_plain(draft)?, Utf16::Marked)),
        M::Base64 => literal(encode::base64(&as_bytes(draft)?)),
        M::Base64Offset => {
            let bytes = as_bytes(draft)?;
            let texts = encode::base64_offsets(&bytes).ok_or_else(|| refuse("text too short"))?;
            return Ok(texts.into_iter().map(literal).collect());
        }
        M::WindAsh => Draft::Text(encode::windash(as_pieces(draft)?)),
        M::Re => Draft::Done(regex(&as_plain(draft)?, context.flags)?),
        M::Cidr => Draft::Done(cidr(&as_plain(draft)?)?),
        M::Exists => match draft {
            Draft::Bool(wanted) => Draft::Done(Test::Exists(wanted)),
            _ => return Err(refuse("exists takes true or false")),
        },
        M::Expand => return expand(draft, placeholders),
        M::Gt | M::Gte | M::Lt | M::Lte => {
            let order = Order::of(modifier).ok_or_else(|| refuse("no order"))?;
            let number = number(&draft).ok_or_else(|| refuse("this modifier needs a number"))?;
            Draft::Done(
                context.part.map_or(Test::Compare(order, number), |part| {
                    Test::Time(part, Some(order), number)
                }),
            )
        }
        M::All | M::Cased | M::Neq | M::FieldRef | M::IgnoreCase | M::Multiline | M::DotAll => {
            draft
        }
        M::Minute | M::Hour | M::Day | M::Week | M::Month | M::Year => draft,
    };
    Ok(vec![one])
}

fn around(mut pieces: Vec<Piece>, before: bool, after: bool) -> Draft {
    if before {
        pieces.insert(0, Piece::Many);
    }
    if after {
        pieces.push(Piece::Many);
    }
    Draft::Text(pieces)
}

fn number(draft: &Draft) -> Option<f64> {
    match draft {
        Draft::Number(_, number) => Some(*number),
        Draft::Text(pieces) => match pieces.as_slice() {
            [Piece::Literal(text)] => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
            _ => None,
        },
        Draft::Bytes(_) | Draft::Bool(_) | Draft::Null | Draft::Done(_) => None,
    }
}

fn regex(source: &str, flags: Flags) -> Result<Test, RuleError> {
    let regex = regex::RegexBuilder::new(source)
        .case_insensitive(flags.ignore_case)
        .multi_line(flags.multiline)
        .dot_matches_new_line(flags.dot_all)
        .size_limit(4 << 20)
        .dfa_size_limit(1 << 20)
        .build()
        .map_err(|error| RuleError::Regex { source: Box::new(error) })?;
    Ok(Test::Regex { regex, flags })
}

fn cidr(text: &str) -> Result<Test, RuleError> {
    let network = text
        .parse::<ipnet::IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from));
    network
        .map(|network| Test::Cidr(network.trunc()))
        .map_err(|_| RuleError::Network { text: text.to_owned() })
}

/// Puts the values of `%name%` in place; without values the rule is inert.
fn expand(draft: Draft, placeholders: &Placeholders) -> Result<Vec<Draft>, RuleError> {
    let mut done: Vec<Vec<Piece>> = vec![Vec::new()];
    for piece in as_pieces(draft)? {
        let Piece::Literal(text) = piece else {
            done.iter_mut().for_each(|pieces| pieces.push(piece.clone()));
            continue;
        };
        for (at, part) in text.split('%').enumerate() {
            if at % 2 == 0 {
                done.iter_mut().for_each(|pieces| pieces.push(Piece::Literal(part.to_owned())));
                continue;
            }
            let Some(values) = placeholders.get(part).filter(|values| !values.is_empty()) else {
                return Err(RuleError::Inert { placeholder: part.to_owned() });
            };
            if done.len().saturating_mul(values.len()) > 10_000 {
                return Err(refuse("expand gives more than 10,000 values"));
            }
            done = done
                .iter()
                .flat_map(|before| {
                    values.iter().map(move |value| {
                        let mut pieces = before.clone();
                        pieces.extend(self::pieces(&SigmaString::new(value)));
                        pieces
                    })
                })
                .collect();
        }
    }
    Ok(done.into_iter().map(Draft::Text).collect())
}

/// The test of a value after all modifiers.
fn finish(draft: Draft, context: Context) -> Result<Test, RuleError> {
    if let Some(part) = context.part {
        return match draft {
            Draft::Done(test) => Ok(test),
            other => number(&other)
                .map(|wanted| Test::Time(part, None, wanted))
                .ok_or_else(|| refuse("a part of a time is compared with a number")),
        };
    }
    if let Some(how) = context.fieldref {
        return Ok(Test::Field { other: as_plain(draft)?, how, cased: context.cased });
    }
    let test = match draft {
        Draft::Done(test) => test,
        Draft::Null if context.keyword => return Err(refuse("null needs a field")),
        Draft::Null => Test::Null,
        Draft::Number(_, wanted) if !context.keyword => Test::Number(wanted),
        other => {
            let mut pieces = as_pieces(other)?;
            if context.keyword {
                pieces.insert(0, Piece::Many);
                pieces.push(Piece::Many);
            }
            let pattern = Pattern::new(pieces, !context.cased);
            Test::Text { pattern, cased: context.cased }
        }
    };
    Ok(test)
}
