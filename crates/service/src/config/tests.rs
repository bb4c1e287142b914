//! Configurations good, wrong and hostile, against small types of every shape.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read through Debug only")]
struct Sample {
    name: String,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    inputs: Vec<Input>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    inner: Option<Inner>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Fast,
    /// With a comment, so that the schema uses another shape.
    Careful,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read through Debug only")]
struct Input {
    path: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read through Debug only")]
struct Inner {
    size: u64,
}

fn check(text: &str, expected: &Expect) {
    let found = match parse::<Sample>("agent.toml", text) {
        Ok(sample) => format!("{sample:?}"),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&found);
}

#[test]
fn a_good_file_is_taken() {
    check(
        "name = \"a\"\nport = 80\nmode = \"careful\"\n[[inputs]]\npath = \"/x\"\n[labels]\na = \"b\"\n[inner]\nsize = 3\n",
        &expect![[
            r#"Sample { name: "a", port: Some(80), mode: Careful, inputs: [Input { path: "/x" }], labels: {"a": "b"}, inner: Some(Inner { size: 3 }) }"#
        ]],
    );
}

#[test]
fn all_errors_come_at_once_with_lines() {
    check(
        "nam = \"a\"\nport = \"80\"\nmode = \"slow\"\n[[inputs]]\npath = 1\nextra = true\n[inner]\nsize = -1\n",
        &expect![[r#"
            agent.toml:1: nam: unknown key, did you mean "name"?
            agent.toml:1: name: is required and missing
            agent.toml:2: port: expected integer, found string
            agent.toml:3: mode: "slow" is not one of fast, careful
            agent.toml:5: inputs[0].path: expected string, found integer
            agent.toml:6: inputs[0].extra: unknown key
            agent.toml:8: inner.size: must be at least 0"#]],
    );
}

#[test]
fn broken_toml_says_where() {
    check(
        "name = \n[inner\n",
        &expect![[r#"
            agent.toml:1: string values must be quoted, expected literal string
            agent.toml:2: unclosed table, expected `]`"#]],
    );
    check("name = \"a\"\nname = \"b\"\n", &expect!["agent.toml:2: duplicate key"]);
}

#[test]
fn numbers_outside_their_type() {
    check("name = \"a\"\nport = 70000\n", &expect!["agent.toml:2: port: must be at most 65535"]);
}

#[test]
fn garbage_is_an_error_and_no_more() {
    for text in ["\u{0}\u{1}", "]]]]", &"[a.".repeat(500), "= = =", "\"\"\"", &"x = [".repeat(2000)]
    {
        assert!(parse::<Sample>("x", text).is_err());
    }
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let error = load::<Sample>(Path::new("/no/such.toml")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /no/such.toml");
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read through Debug only")]
struct Deep {
    #[serde(default)]
    secret: Option<crate::SecretSource>,
    #[serde(default)]
    ratio: f64,
    #[serde(default)]
    on: bool,
    #[serde(default)]
    small: i8,
    #[serde(default)]
    lists: Vec<Vec<u8>>,
    #[serde(default)]
    by_name: BTreeMap<String, Input>,
    #[serde(default)]
    modes: Vec<Mode>,
}

fn deep(text: &str) -> String {
    match parse::<Deep>("d.toml", text) {
        Ok(found) => format!("{found:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_type_takes_its_bounds_and_refuses_what_is_beyond() {
    for (text, wanted) in [
        ("small = 127", ""),
        ("small = -128", ""),
        ("small = 128", "small: must be at most 127"),
        ("small = -129", "small: must be at least -128"),
        ("small = 1.0", "small: expected integer, found float"),
        ("small = 1_00", ""),
        ("ratio = 1", ""),
        ("ratio = -1.5e3", ""),
        ("ratio = '1'", "ratio: expected number, found string"),
        ("on = true", ""),
        ("on = 1", "on: expected boolean, found integer"),
        ("on = 'true'", "on: expected boolean, found string"),
        ("lists = [[1, 255], []]", ""),
        ("lists = [[1], [2, 256]]", "lists[1][1]: must be at most 255"),
        ("lists = [1]", "lists[0]: expected array, found integer"),
        ("modes = ['fast', 'careful']", ""),
        ("modes = ['fast', 'Fast']", "modes[1]: \"Fast\" is not one of fast, careful"),
        ("by_name.a.path = 'x'", ""),
        ("by_name.a.pth = 'x'", "by_name.a.pth: unknown key, did you mean \"path\"?"),
        ("by_name.a = 'x'", "by_name.a: expected table, found string"),
    ] {
        let found = deep(text);
        let expected =
            if wanted.is_empty() { "Deep {".into() } else { format!("d.toml:1: {wanted}") };
        assert!(found.starts_with(&expected), "{text}: {found}");
    }
}

#[test]
fn a_secret_is_a_place_and_never_a_text() {
    for text in ["secret = { file = '/run/x' }", "secret = { env = 'X' }", "[secret]\nenv = 'X'"] {
        assert!(deep(text).starts_with("Deep {"), "{text}: {}", deep(text));
    }
    for text in [
        "secret = 'hunter2'",
        "secret = { fil = 'x' }",
        "secret = { file = 1 }",
        "secret = {}",
        "secret = { file = 'a', env = 'b' }",
    ] {
        assert!(deep(text).starts_with("d.toml:1: "), "{text}: {}", deep(text));
    }
}

#[test]
fn lines_are_those_of_the_file() {
    // Windows line ends, remarks, a text of several lines, a table written twice.
    let text =
        "# remark\r\n\r\n[[inputs]]\r\npath = '''\r\na\r\nb'''\r\nwrong = 1\r\n[[inputs]]\r\n";
    check(
        text,
        &expect![[r#"
            agent.toml:1: name: is required and missing
            agent.toml:7: inputs[0].wrong: unknown key
            agent.toml:8: inputs[1].path: is required and missing"#]],
    );
}

#[test]
fn files_that_are_too_large_or_no_text_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    let most = usize::try_from(MAX_CONFIG).unwrap();
    let told = |path: &Path| load::<Sample>(path).unwrap_err().to_string();
    std::fs::write(&path, vec![b'#'; most + 1]).unwrap();
    assert_eq!(told(&path), format!("{} is larger than 4 MiB", path.display()));
    std::fs::write(&path, vec![b'#'; most]).unwrap();
    assert_eq!(told(&path), format!("{}:1: name: is required and missing", path.display()));
    for bytes in [&b"name = \"\xff\""[..], b"\xff\xfe"] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(told(&path), format!("cannot read {}", path.display()));
    }
    assert_eq!(told(folder.path()), format!("cannot read {}", folder.path().display()));
    std::fs::write(&path, "name = 'x'").unwrap();
    assert_eq!(load::<Sample>(&path).unwrap().name, "x");
}
