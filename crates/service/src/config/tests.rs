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
            agent.toml:3: mode: "slow" is not one of fast
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
