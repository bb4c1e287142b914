//! Keywords on the whole rule: `app-layer-protocol`, `requires`, `config`, `bypass`, `entropy`, `replace`, ...

use crate::{
    AppProto, Buffer, Number,
    check::{
        builder::{Builder, text},
        hint,
        rule::{Action, Cmp, Entropy, FloatCmp, Item, Side, Test, TxTest, version_bit},
    },
    error::{RuleError, shown},
};

/// The version of the rule language that is spoken here.
const VERSION: [u32; 3] = [9, 0, 0];

impl Builder<'_, '_> {
    /// Handles the keywords of this module.
    pub(super) fn app_option(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<bool, RuleError> {
        match name {
            "app-layer-protocol" => {
                let test = self.app_protocol(text(name, value)?)?;
                self.tests.push(test);
            }
            "ssl_version" => self.ssl_version(text(name, value)?)?,
            // Looked at before everything else.
            "requires" => {}
            "config" => self.config(text(name, value)?)?,
            "entropy" => {
                let entropy = entropy(text(name, value)?)?;
                self.push(Item::Entropy(Box::new(entropy)));
            }
            "replace" => self.replace(value)?,
            "frame" => self.frame(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `ssl_version:tls1.0,tls1.1`, or `!` before each: none of these.
    fn ssl_version(&mut self, given: &str) -> Result<(), RuleError> {
        let bad = |why: &str| RuleError::value("ssl_version", given.as_bytes(), why);
        let (mut set, mut negated) = (0, None);
        for part in given.trim_matches('"').split(',').map(str::trim) {
            let (not, name) = match part.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, part),
            };
            let version = match name.to_ascii_lowercase().as_str() {
                "sslv2" => 0x0002,
                "sslv3" => 0x0300,
                "tls1.0" => 0x0301,
                "tls1.1" => 0x0302,
                "tls1.2" => 0x0303,
                "tls1.3" => 0x0304,
                _ => return Err(bad("unknown version")),
            };
            // The first sign is that of the list.
            negated.get_or_insert(not);
            set |= version_bit(version);
        }
        let negated = negated.ok_or_else(|| bad("no version"))?;
        self.imply("ssl_version", AppProto::Tls)?;
        let cmp = Cmp::Versions { set, negated };
        self.tx_tests.push(TxTest::Number { number: Number::TlsVersion, cmp });
        Ok(())
    }

    /// `config: logging disable, type tx, scope tx`.
    fn config(&mut self, given: &str) -> Result<(), RuleError> {
        let mut parts: Vec<String> = given
            .split(',')
            .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        parts.sort_unstable();
        if self.action != Action::Config {
            return Err(RuleError::misplaced("config", "is for rules whose action is config"));
        }
        if parts != ["logging disable", "scope tx", "type tx"] {
            return Err(RuleError::unsupported(
                "config",
                "anything but logging disable, type tx, scope tx",
            ));
        }
        self.once.push("config");
        Ok(())
    }

    /// `replace` changes packets that pass through; where traffic is only seen, it means nothing.
    fn replace(&mut self, value: Option<&[u8]>) -> Result<(), RuleError> {
        let value = value.unwrap_or_default();
        let bad = |why: &str| RuleError::value("replace", value, why);
        let (negated, inner) = crate::parse::unquote(value).map_err(bad)?;
        let bytes = crate::parse::decode_content(inner).map_err(bad)?;
        let content = self.content_mut("replace")?;
        if negated || content.negated {
            return Err(bad("cannot be negated"));
        }
        if usize::try_from(content.pattern.len) != Ok(bytes.len()) {
            return Err(bad("must be as long as its content"));
        }
        Ok(())
    }

    fn app_protocol(&self, given: &str) -> Result<Test, RuleError> {
        let bad = |why: &str| RuleError::value("app-layer-protocol", given.as_bytes(), why);
        let (negated, rest) = match given.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, given),
        };
        let (name, mode) = rest.split_once(',').unwrap_or((rest, "either"));
        let proto = AppProto::from_name(name.trim()).ok_or_else(|| bad("unknown protocol"))?;
        let side = match mode.trim() {
            "toserver" | "to_server" => Side::Server,
            "toclient" | "to_client" => Side::Client,
            "both" => Side::Both,
            // The protocol of the flow is the one found last.
            "either" | "final" | "exact" => Side::Either,
            other => {
                let why = format!("mode {}", shown(other.as_bytes()));
                return Err(RuleError::unsupported("app-layer-protocol", why));
            }
        };
        let known = matches!(proto, AppProto::Unknown | AppProto::Failed)
            || self.checker.support.detected.contains(proto);
        if !known {
            return Err(RuleError::unsupported(proto.name(), "this protocol is not detected"));
        }
        let exact = mode.trim() == "exact";
        Ok(Test::AppProto { proto, negated, side, exact })
    }
}

/// What is needed and not there keeps the rule out, by its own wish.
pub(super) fn requires(value: Option<&[u8]>) -> Result<(), RuleError> {
    let given = text("requires", value)?;
    let bad = |why: &str| RuleError::value("requires", given.as_bytes(), why);
    for part in given.split(',').map(str::trim) {
        let (word, argument) = part.split_once([' ', '\t']).unwrap_or((part, ""));
        let argument = argument.trim();
        let met = match word {
            "version" => version_holds(argument).ok_or_else(|| bad("not a version"))?,
            "keyword" => hint::is_evaluated(argument) || Buffer::from_name(argument).is_some(),
            "feature" => matches!(argument, "ja3" | "ja4"),
            _ => false,
        };
        if !met {
            return Err(RuleError::Requires { what: shown(part.as_bytes()) });
        }
    }
    Ok(())
}

/// `>= 7.0.3 < 8 | >= 9.0.1`: one of the alternatives, of which every comparison holds.
fn version_holds(given: &str) -> Option<bool> {
    let mut any = false;
    for alternative in given.split('|') {
        let mut words = alternative.split_whitespace();
        let (mut all, mut some) = (true, false);
        while let Some(word) = words.next() {
            let digits = word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len());
            let (op, rest) = word.split_at_checked(digits)?;
            let version = if rest.is_empty() { words.next()? } else { rest };
            let version = version_of(version)?;
            all &= match op {
                ">=" => VERSION >= version,
                "<=" => VERSION <= version,
                ">" => VERSION > version,
                "<" => VERSION < version,
                _ => return None,
            };
            some = true;
        }
        if !some {
            return None;
        }
        any |= all;
    }
    Some(any)
}

fn version_of(text: &str) -> Option<[u32; 3]> {
    let mut version = [0; 3];
    let text = text.split('-').next()?;
    for (at, part) in text.split('.').enumerate() {
        *version.get_mut(at)? = part.parse().ok()?;
    }
    Some(version)
}

/// `value >= 4.5, bytes 100, offset 8`, or the value alone.
fn entropy(given: &str) -> Result<Entropy, RuleError> {
    let bad = || {
        RuleError::value(
            "entropy",
            given.as_bytes(),
            "expected value COMPARISON, bytes N, offset N",
        )
    };
    let (mut cmp, mut bytes, mut offset) = (None, None, None);
    for part in given.split(',').map(str::trim) {
        let (word, argument) = part.split_once([' ', '\t']).unwrap_or((part, ""));
        let before = match word {
            "bytes" => bytes.replace(argument.trim().parse::<u32>().map_err(|_| bad())?).is_some(),
            "offset" => {
                offset.replace(argument.trim().parse::<u32>().map_err(|_| bad())?).is_some()
            }
            "value" => cmp.replace(float_compare(argument).ok_or_else(bad)?).is_some(),
            _ => cmp.replace(float_compare(part).ok_or_else(bad)?).is_some(),
        };
        if before {
            return Err(bad());
        }
    }
    let cmp = cmp.ok_or_else(bad)?;
    Ok(Entropy { offset: offset.unwrap_or(0), bytes: bytes.filter(|bytes| *bytes > 0), cmp })
}

fn float_compare(text: &str) -> Option<FloatCmp> {
    let one =
        |text: &str| text.trim().parse::<f64>().ok().filter(|value| (0.0..=8.0).contains(value));
    let text = text.trim();
    let (negated, plain) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    for separator in ["<>", "-"] {
        if let Some((low, high)) = plain.split_once(separator) {
            let (low, high) = (one(low)?, one(high)?);
            let range = if negated { FloatCmp::Outside } else { FloatCmp::Between };
            return (low < high).then(|| range(low, high));
        }
    }
    type Make = fn(f64) -> FloatCmp;
    let prefixes: [(&str, Make); 8] = [
        ("<=", FloatCmp::Le),
        (">=", FloatCmp::Ge),
        ("!=", FloatCmp::Ne),
        ("==", FloatCmp::Eq),
        ("<", FloatCmp::Lt),
        (">", FloatCmp::Gt),
        ("!", FloatCmp::Ne),
        ("=", FloatCmp::Eq),
    ];
    for (prefix, make) in prefixes {
        if let Some(rest) = text.strip_prefix(prefix) {
            return one(rest).map(make);
        }
    }
    one(text).map(FloatCmp::Eq)
}

impl FloatCmp {
    /// Whether a value fulfils it.
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Self::Eq(want) => (value - want).abs() < f64::EPSILON,
            Self::Ne(want) => (value - want).abs() >= f64::EPSILON,
            Self::Lt(want) => value < want,
            Self::Le(want) => value <= want,
            Self::Gt(want) => value > want,
            Self::Ge(want) => value >= want,
            Self::Between(low, high) => value > low && value < high,
            Self::Outside(low, high) => value <= low || value >= high,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let cases: &[(&str, Option<bool>)] = &[
            (">= 7 < 8", Some(false)),
            (">= 7.0.3 < 8 | >= 9.0.99", Some(false)),
            (">= 7.0.3 < 8 | >= 9", Some(true)),
            (">=8.0.5", Some(true)),
            ("> 9", Some(false)),
            ("<= 9.0.0", Some(true)),
            ("", None),
            ("9", None),
            (">= x", None),
            (">= 1.2.3.4", None),
        ];
        for (text, expected) in cases {
            assert_eq!(version_holds(text), *expected, "{text}");
        }
    }
}
