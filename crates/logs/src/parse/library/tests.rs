//! The built-in parsers and their fixtures; what is refused, and with which words; what templates take.

use expect_test::expect;

use super::*;
use crate::config::Format;
use crate::parse::fixture::{self, Case};

/// Folder of the fixtures.
fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules/fixtures/parsers")
}

#[test]
fn every_built_in_parser_is_valid() {
    let mut wrong = Vec::new();
    for (name, text) in embedded::parsers() {
        if let Err(error) = Compiled::read(&name, "", &text) {
            wrong.push(error.to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(Library::built_in().list().len(), embedded::parsers().count());
}

/// Every fixture becomes what it says, and every pattern of every parser has one.
#[test]
fn every_fixture_fits_and_every_pattern_has_one() {
    let library = Library::built_in();
    let mut wrong = Vec::new();
    let mut reached = std::collections::HashSet::new();
    for (name, file, text) in files(&folder()).unwrap() {
        let outcomes = fixture::run(&library, &file, &text).unwrap();
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&file, fixture::accept(&text, &outcomes)).unwrap();
            continue;
        }
        for outcome in outcomes {
            if !outcome.fits() {
                let Case { line, gives, .. } = &outcome.case;
                wrong.push(format!(
                    "{name}: {line}\n-- wanted\n{gives}\n-- found\n{}",
                    outcome.found
                ));
            }
            reached.extend(outcome.by);
        }
    }
    for parser in library.list() {
        for (number, text) in library.patterns(&parser.name) {
            if !reached.contains(&(parser.name.clone(), Some(number))) {
                wrong.push(format!("{}: no fixture reaches {text}", parser.name));
            }
        }
        let alone = parser.patterns == 0 && !reached.contains(&(parser.name.clone(), None));
        if alone {
            wrong.push(format!("{}: no fixture reaches it", parser.name));
        }
    }
    let updating = std::env::var_os("UPDATE_EXPECT").is_some();
    assert!(wrong.is_empty() || updating, "{}", wrong.join("\n\n"));
}

fn refused(text: &str) -> String {
    Compiled::read("mine", "", text).map_or_else(|error| error.to_string(), |_| "taken".to_owned())
}

#[test]
fn everything_that_is_wrong_with_a_file_is_said_at_once_with_its_line() {
    expect![[r#"
        mine.toml:1: titel: unknown key
        mine.toml:3: pattern[0].lin: unknown key, did you mean "line"?"#]]
    .assert_eq(&refused("titel = \"x\"\n[[pattern]]\nlin = 'a'\n"));
    expect![[r#"
        mine.toml:2: switch: the head has no field "@id"
        mine.toml:5: pattern.0.line: %{a:nonsense}: "nonsense" is no table and no type; types are ip, domain, int, float, port, lower, upper, bool, time, base64, hex, hexint, percent, unescape, list, basename, account, trim, str
        mine.toml:7: pattern.1.line: two fields need a text between them
        mine.toml:9: pattern.2.line: more than one `rest` before the end
        mine.toml:11: pattern.3.regex: no regular expression: regex parse error:
            (
            ^
        error: unclosed group
        mine.toml:12: pattern.4: needs one of `line` and `regex`
        mine.toml:15: map.a: "" names no field
        mine.toml:16: map.b.c: is neither a text nor a list of texts"#]].assert_eq(&refused(
        "title = \"x\"\nswitch = \"@id\"\nroom = \"kv\"\n[[pattern]]\nline = '%{a:nonsense}'\n[[pattern]]\n\
         line = '%{a}%{b}'\n[[pattern]]\nline = '%{a:rest} x %{b:rest} y'\n[[pattern]]\nregex = '('\n[[pattern]]\n\
         case = []\n[map]\na = ''\nb.c = 5\n[[when]]\nif.x = 1979-05-27\n",
    ));
    for (text, message) in [
        ("title = \"x\"\n", "needs patterns or a room"),
        ("title = \"x\"\nroom = \"csv\"\n", "needs names of columns"),
        ("title = \"x\"\nbegins = [\"\"]\nroom = \"kv\"\n", "would fit every text"),
        ("title = \"x\"\n[[pattern]]\nline = '%{a'\n", "a `%{` without its `}`"),
        (
            "title = \"x\"\n[[pattern]]\nline = 'a %[%{b}%]'\n",
            "an optional part must begin with a text",
        ),
        ("title = \"x\"\n[[pattern]]\nline = 'a %[b %[c%]%]'\n", "an optional part inside another"),
        ("title = \"x\"\n[[pattern]]\nline = 'a %[b'\n", "a `%[` without its `%]`"),
        ("title = \"x\"\n[[pattern]]\nline = 'a %]b'\n", "a `%]` without its `%[`"),
        ("title = \"x\"\n[[pattern]]\nline = '%{a..b}'\n", "is no name of a field"),
        ("title = \"x\"\n[[pattern]]\nline = 'a'\ncase = ['1']\n", "needs a `switch` of the file"),
    ] {
        let said = refused(text);
        assert!(said.contains(message), "{text}\n{said}");
    }
}

/// What a template takes of a text.
fn taken(template: &str, text: &str) -> String {
    let file = format!("title = \"x\"\n[[pattern]]\nline = '''{template}'''\n");
    let parser = Compiled::read("mine", "", &file).unwrap();
    let cx = Context { zone: &Zone::utc(), now: Timestamp::EPOCH, columns: None };
    let mut entry = Entry::new(Timestamp::EPOCH);
    if run::read(&parser, Input::Text(text), cx, &mut entry).is_none() {
        return "no".to_owned();
    }
    let mut fields = Vec::new();
    event::flatten(&entry.fields, &mut |name, value| fields.push(format!("{name} = {value}")));
    fields.retain(|field| !field.starts_with("event."));
    fields.join(" ")
}

#[test]
fn templates() {
    for (template, text, expected) in [
        ("a %{x} b", "a 1 b", r#"x = "1""#),
        ("a %{x} b", "a 1 2 b", "no"),
        ("a %{x:text} b", "a 1 2 b", r#"x = "1 2""#),
        ("a %{x:text} b", "a  b", ""),
        ("a %{x} b", "a 1 b ", "no"),
        ("%{x:rest} by %{y}", "1 by 2 by 3", r#"x = "1 by 2" y = "3""#),
        ("%{x:rest} by %{y:int}", "1 by 2 by x", "no"),
        ("%{x:rest} by %{y:int}%{*}", "1 by 2 by x", r#"x = "1" y = 2"#),
        ("a%[ b %{x}%]%[ c %{y}%]", "a c 2", r#"y = "2""#),
        ("a%[ b %{x}%]%[ c %{y}%]", "a b 1 c 2", r#"x = "1" y = "2""#),
        ("a%[ b %{x}%]%[ c %{y}%]", "a b 1", r#"x = "1""#),
        ("a%[ b %{x}%]%[ c %{y}%]", "a", ""),
        ("%{x:ip}:%{y:port}", "192.0.2.7:80", r#"x = "192.0.2.7" y = 80"#),
        ("%{x:ip}:%{y:port}", "2001:db8::7:80", r#"x = "2001:db8::7" y = 80"#),
        ("%{x:ip}:%{y:port}", "[2001:db8::7]:80", r#"x = "2001:db8::7" y = 80"#),
        ("%{x:ip}.", "192.0.2.7.", r#"x = "192.0.2.7""#),
        ("%{x:ip} %{*}", "fe80::1%eth0 x", r#"x = "fe80::1""#),
        ("%{x:ip}", "::ffff:192.0.2.7", r#"x = "192.0.2.7""#),
        ("%{x:ip}", "300.1.1.1", "no"),
        ("%{x:port}", "70000", "no"),
        ("%{x|y:host}", "name.example", r#"y = "name.example""#),
        ("%{x:quoted} %{y:int}", r#""a \"b\" \x41" -5"#, r#"x = "a \"b\" A" y = -5"#),
        ("%{x:quoted}", r#""open"#, "no"),
        ("%{_:blanks}%{x:token}|%{y:token}", "   a|", r#"x = "a""#),
        ("%{x:float}s", "1.5s", "x = 1.5"),
        ("%{x:lower} %{y:upper} %{z:bool}", "A b yes", r#"x = "a" y = "B" z = true"#),
        ("%{x:base64} %{y:hex} %{z:hexint}", "aGk= 6869 0x1f", r#"x = "hi" y = "hi" z = 31"#),
        (
            "%{x:percent} %{y:list} %{z:basename}",
            "a%20b%zz 1,2 /a/b",
            r#"x = "a b%zz" y = "1" y = "2" z = "b""#,
        ),
        ("\u{e9}%{x:text}\u{e9}", "\u{e9}a\u{e9}", r#"x = "a""#),
    ] {
        assert_eq!(taken(template, text), expected, "{template} on {text}");
    }
}

#[test]
fn a_format_that_is_not_known_is_named_with_the_nearest() {
    let library = Library::built_in();
    let parser = |name: &str| {
        let format = Format::named(name).unwrap();
        crate::parse::Parser::with(&library, &format, Zone::utc())
    };
    let error = |name: &str| parser(name).unwrap_err().to_string();
    assert_eq!(error("ngnix"), "\"ngnix\" is no format; did you mean \"nginx\"?");
    assert_eq!(error("zzzzzzzz"), "\"zzzzzzzz\" is no format");
    assert!(parser("fortigate").is_ok());
    assert!(Format::named(&"x".repeat(33)).is_none());
}
