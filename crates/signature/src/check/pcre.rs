//! `pcre:"/expression/flags"`: flags, buffer letters, and the choice of engine.
//!
//! Expressions that a linear-time engine can express with the same meaning are rewritten for `regex`
//! (byte classes, `$` before a final newline, brackets inside classes); the rest goes to `pcre2` with
//! limits. Nothing is built here beyond a syntax check: engines are built when first run.

use crate::{Buffer, error::RuleError};

/// An expression and the engine for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Expression {
    /// For `regex`; `None` when only a backtracking engine has the same meaning.
    pub(crate) linear: Option<Box<str>>,
    /// For `pcre2`, with inline flags.
    pub(crate) full: Box<str>,
    /// `$` was rewritten so that it takes a final newline into the match.
    pub(crate) takes_newline: bool,
}

/// What a `pcre` option says.
#[derive(Debug)]
pub(crate) struct Pcre {
    pub(crate) expression: Expression,
    pub(crate) relative: bool,
    pub(crate) negated: bool,
    pub(crate) buffer: Option<Buffer>,
}

/// Most work a backtracking expression may do on one buffer.
const LIMITS: &str = "(*LIMIT_MATCH=3500)(*LIMIT_DEPTH=1500)(*LIMIT_HEAP=512)";

#[derive(Default)]
struct Flags {
    inline: String,
    anchored: bool,
    dollar_end: bool,
    relative: bool,
    buffer: Option<Buffer>,
}

fn flags(text: &[u8]) -> Result<Flags, String> {
    let mut flags = Flags::default();
    for byte in text {
        let letter = char::from(*byte);
        let buffer = match letter {
            'i' | 's' | 'm' | 'x' => {
                flags.inline.push(letter);
                continue;
            }
            'G' => {
                flags.inline.push('U');
                continue;
            }
            'A' => {
                flags.anchored = true;
                continue;
            }
            'E' => {
                flags.dollar_end = true;
                continue;
            }
            'R' => {
                flags.relative = true;
                continue;
            }
            // Raw bytes and "no match limit": nothing to do, limits stay.
            'B' | 'O' => continue,
            'U' => Buffer::HttpUri,
            'I' => Buffer::HttpUriRaw,
            'P' => Buffer::HttpRequestBody,
            'Q' => Buffer::FileData,
            'H' => Buffer::HttpHeader,
            'D' => Buffer::HttpHeaderRaw,
            'M' => Buffer::HttpMethod,
            'C' => Buffer::HttpCookie,
            'S' => Buffer::HttpStatCode,
            'Y' => Buffer::HttpStatMsg,
            'V' => Buffer::HttpUserAgent,
            'W' => Buffer::HttpHost,
            'Z' => Buffer::HttpHostRaw,
            other => return Err(format!("unknown flag \"{other}\"")),
        };
        if flags.buffer.replace(buffer).is_some_and(|before| before != buffer) {
            return Err("two buffer flags".to_owned());
        }
    }
    Ok(flags)
}

/// Reads the value of a `pcre` option.
pub(crate) fn read(value: &[u8]) -> Result<Pcre, RuleError> {
    let bad = |why: String| RuleError::value("pcre", value, why);
    let (negated, text) = crate::parse::unquote(value).map_err(|why| bad(why.to_owned()))?;
    let body =
        text.strip_prefix(b"/").ok_or_else(|| bad("expected /expression/flags".to_owned()))?;
    let end = memchr::memrchr(b'/', body).ok_or_else(|| bad("no closing \"/\"".to_owned()))?;
    let (expression, tail) = (&body[..end], &body[end + 1..]);
    if tail.contains(&b',') {
        return Err(RuleError::unsupported("pcre", "captures into variables"));
    }
    let flags = flags(tail).map_err(bad)?;
    let printable = printable(expression);
    let mut verbs = LIMITS.to_owned();
    if !flags.inline.is_empty() {
        verbs.push_str(&format!("(?{})", flags.inline));
    }
    // In extended mode a comment may run to the end: the bracket stands on a line of its own.
    let extended = flags.inline.contains('x');
    let full = match (flags.anchored, extended) {
        (false, _) => format!("{verbs}{printable}"),
        (true, false) => format!("{verbs}\\G(?:{printable})"),
        (true, true) => format!("{verbs}\\G(?:{printable}\n)"),
    };
    let rewritten = rewrite(&printable, &flags);
    let linear = rewritten.as_ref().and_then(|(text, _)| {
        let letters =
            if flags.inline.is_empty() { "-u".to_owned() } else { format!("{}-u", flags.inline) };
        let anchor = if flags.anchored { "\\A" } else { "" };
        let text = format!("(?{letters}){anchor}(?:{text})");
        parses(&text).then(|| text.into_boxed_str())
    });
    if linear.is_none() {
        // A dollar that stands for the very end only has no inline letter.
        if flags.dollar_end && printable.contains('$') {
            return Err(RuleError::unsupported(
                "pcre",
                "flag E with back-references, look-around or flag x",
            ));
        }
        let mut builder = pcre2::bytes::RegexBuilder::new();
        builder.build(&full).map_err(|error| {
            // Asked again without what was put before it, for an offset within what was written.
            let error = builder.extended(extended).build(&printable).err().unwrap_or(error);
            bad(format!("invalid expression: {error}"))
        })?;
    }
    Ok(Pcre {
        expression: Expression {
            takes_newline: rewritten.is_some_and(|(_, newline)| newline),
            linear,
            full: full.into_boxed_str(),
        },
        relative: flags.relative,
        negated,
        buffer: flags.buffer,
    })
}

/// The expression of `pcrexform`, which must have a group to take out.
pub(crate) fn capture(text: &[u8]) -> Result<Expression, RuleError> {
    let bad = |why: String| RuleError::value("pcrexform", text, why);
    let printable = printable(text);
    let full = format!("{LIMITS}{printable}");
    let compiled = pcre2::bytes::RegexBuilder::new()
        .build(&full)
        .map_err(|error| bad(format!("invalid expression: {error}")))?;
    if compiled.captures_len() != 2 {
        return Err(bad("needs exactly one group in brackets".to_owned()));
    }
    let linear = rewrite(&printable, &Flags::default())
        .map(|(text, _)| format!("(?-u)(?:{text})"))
        .filter(|text| parses(text))
        .map(String::into_boxed_str);
    Ok(Expression { linear, full: full.into_boxed_str(), takes_newline: false })
}

/// Bytes outside of ASCII as `\xNN`.
fn printable(expression: &[u8]) -> String {
    let mut out = String::with_capacity(expression.len());
    for byte in expression {
        if byte.is_ascii() {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

fn parses(text: &str) -> bool {
    regex_syntax::ParserBuilder::new()
        .utf8(false)
        .unicode(false)
        .nest_limit(100)
        .build()
        .parse(text)
        .is_ok()
}

/// The expression in the syntax of `regex` with the same meaning, and whether `$` may take a newline.
/// `None` when a construct has no equal.
fn rewrite(text: &str, flags: &Flags) -> Option<(String, bool)> {
    // Extended mode leaves blanks inside brackets alone there, and drops them here.
    if flags.inline.contains('x') {
        return None;
    }
    let multi_line = flags.inline.contains('m');
    let mut out = String::with_capacity(text.len() + 8);
    let mut newline = false;
    let mut rest = text.chars().peekable();
    let mut quantified = false;
    while let Some(c) = rest.next() {
        let was_quantified = std::mem::take(&mut quantified);
        match c {
            '\\' => escape(rest.next()?, &mut out, false)?,
            '[' => class(&mut rest, &mut out)?,
            '$' if !multi_line && !flags.dollar_end => {
                newline = true;
                out.push_str("(?:\\n?\\z)");
            }
            '$' if !multi_line => out.push_str("\\z"),
            '{' => {
                if is_repeat(rest.clone()) {
                    out.push('{');
                } else {
                    out.push_str("\\{");
                }
            }
            '+' if was_quantified => return None,
            '*' | '+' | '?' | '}' => {
                quantified = true;
                out.push(c);
            }
            // Inline flags could change what ^ and $ mean further on.
            '(' if rest.peek() == Some(&'?') => {
                let ahead: String = rest
                    .clone()
                    .skip(1)
                    .take_while(|c| !matches!(c, ')' | ':' | '<' | '=' | '!'))
                    .collect();
                if ahead.contains(['m', 'x', 'R', '|', '>', '#', '('])
                    || ahead.contains(|c: char| c.is_ascii_digit())
                {
                    return None;
                }
                out.push('(');
            }
            other => out.push(other),
        }
    }
    Some((out, newline))
}

/// `{2}`, `{2,}`, `{2,5}` follow; anything else is a literal brace.
fn is_repeat(rest: impl Iterator<Item = char>) -> bool {
    let inside: String = rest.take_while(|c| *c != '}').take(12).collect();
    let (low, high) = inside.split_once(',').unwrap_or((&inside, ""));
    !low.is_empty() && low.bytes().chain(high.bytes()).all(|b| b.is_ascii_digit())
}

/// One escape; letters whose meaning differs have no equal.
fn escape(c: char, out: &mut String, in_class: bool) -> Option<()> {
    match c {
        'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'n' | 'r' | 't' | 'f' | 'a' | 'x' => {}
        'v' => {
            // All vertical whitespace in pcre.
            out.push_str(if in_class { "\\n\\x0b\\f\\r\\x85" } else { "[\\n\\x0b\\f\\r\\x85]" });
            return Some(());
        }
        'h' => {
            out.push_str(if in_class { "\\t \\xa0" } else { "[\\t \\xa0]" });
            return Some(());
        }
        'e' => {
            out.push_str("\\x1b");
            return Some(());
        }
        'A' | 'z' | 'B' | 'b' if !in_class => {}
        'b' if in_class => {
            out.push_str("\\x08");
            return Some(());
        }
        c if c.is_ascii_alphanumeric() => return None,
        // Any other escaped byte is itself.
        c => {
            let code = u8::try_from(c).ok()?;
            out.push_str(&format!("\\x{code:02x}"));
            return Some(());
        }
    }
    out.push('\\');
    out.push(c);
    Some(())
}

/// A bracket expression: pcre knows no nesting and no set operations.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) -> Option<()> {
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    if rest.next_if_eq(&']').is_some() {
        out.push_str("\\]");
    }
    while let Some(c) = rest.next() {
        match c {
            ']' => {
                out.push(']');
                return Some(());
            }
            '\\' => {
                let next = rest.next()?;
                escape(next, out, true)?;
                // `\w-x` is a literal dash in pcre.
                if matches!(next, 'd' | 'D' | 'w' | 'W' | 's' | 'S') && rest.peek() == Some(&'-') {
                    rest.next();
                    out.push_str("\\-");
                }
            }
            '[' if rest.peek() == Some(&':') => {
                out.push('[');
                loop {
                    let inner = rest.next()?;
                    out.push(inner);
                    if inner == ']' {
                        break;
                    }
                    if !inner.is_ascii_alphabetic() && inner != ':' && inner != '^' {
                        return None;
                    }
                }
            }
            '[' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '-' if rest.peek() == Some(&'-') => return None,
            other => out.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn engines_and_rewrites() {
        let expressions = [
            r#""/abc$/""#,
            r#""/abc$/m""#,
            r#""/abc$/E""#,
            r#""/^a[b[&]c{x\/\<]/Ri""#,
            r#""/a{2,3}b{,2}/""#,
            r#""/(a)\1/""#,
            r#""/a(?!b)/""#,
            r#""/a++/""#,
            r#""/[\w-.]\h\v\e/""#,
            r#""/[!--b]/""#,
            r#""/(?i)x(?:y)(?P<n>z)/A""#,
            r#""/a.*b/sGU""#,
        ];
        let mut out = String::new();
        for text in expressions {
            let read = read(text.as_bytes()).unwrap();
            let engine = read
                .expression
                .linear
                .as_deref()
                .map_or_else(|| "pcre2".to_owned(), |linear| format!("regex {linear}"));
            out.push_str(&format!("{text}: {engine} {:?} {}\n", read.buffer, read.relative));
        }
        expect![[r#"
            "/abc$/": regex (?-u)(?:abc(?:\n?\z)) None false
            "/abc$/m": regex (?m-u)(?:abc$) None false
            "/abc$/E": regex (?-u)(?:abc\z) None false
            "/^a[b[&]c{x\/\<]/Ri": regex (?i-u)(?:^a[b\[\&]c\{x\x2f\x3c]) None true
            "/a{2,3}b{,2}/": regex (?-u)(?:a{2,3}b\{,2}) None false
            "/(a)\1/": pcre2 None false
            "/a(?!b)/": pcre2 None false
            "/a++/": pcre2 None false
            "/[\w-.]\h\v\e/": regex (?-u)(?:[\w\-.][\t \xa0][\n\x0b\f\r\x85]\x1b) None false
            "/[!--b]/": pcre2 None false
            "/(?i)x(?:y)(?P<n>z)/A": regex (?-u)\A(?:(?i)x(?:y)(?P<n>z)) None false
            "/a.*b/sGU": regex (?sU-u)(?:a.*b) Some(HttpUri) false
        "#]]
        .assert_eq(&out);
    }

    #[test]
    fn wrong_values_are_named() {
        for bad in [
            r#""abc""#,
            r#""/abc""#,
            r#""/a(/""#,
            r#""/a/k""#,
            r#""/a/UV""#,
            r#""/(a)/, flow:x""#,
            "",
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
