//! Every reason for refusing buffers and transforms.

use expect_test::expect;

use super::error_tests::check;
use crate::tests::{everything, reasons};

#[test]
fn buffers_and_transforms() {
    check(
        &[
            "http.uri:x;",
            "http.uri;",
            "http.uri; to_lowercase;",
            "to_lowercase; content:\"a\";",
            "http.uri; to_lowercase:yes; content:\"a\";",
            "http.uri; xor:\"0\"; content:\"a\";",
            "http.uri; xor:\"zz\"; content:\"a\";",
            "http.uri; xor:\"\"; content:\"a\";",
            "http.uri; xor:\"010203040506070809\"; content:\"a\";",
            "http_uri;",
            "content:\"a\"; http_uri; http_method;",
            "content:\"a\"; isdataat:5; http_uri;",
            "http.uri; content:\"a\"; http_method;",
            "http.uri; content:\"a\"; dns.query; content:\"b\";",
            "http.uri; content:\"a\"; http.stat_code; content:\"200\";",
            "flow:to_server; http.stat_code; content:\"200\";",
            "tcp.hdr; content:\"a\"; http.uri; content:\"b\";",
            "dsize:5; http.uri; content:\"a\";",
            "dsize:5; flow:only_stream;",
            "http.url; content:\"a\";",
            "htp.uri; content:\"a\";",
            "lua:script.lua;",
            "Content:\"a\"; NoCase; Deth:5;",
            "cont\u{e9}nt:\"a\";",
            ":value;",
            "filename:\"x\";",
            "prefilter;",
        ],
        &expect![[r#"
            2 accepted
            1:30 sid 1: http.uri: takes no value: "x"
            2:1 sid 2: http.uri: a buffer without anything to look for
            3:1 sid 3: http.uri: a buffer without anything to look for
            4:30 sid 4: to_lowercase: must follow a buffer
            5:40 sid 5: to_lowercase: takes no value: "yes"
            6:40 sid 6: xor: expected hex: "0"
            7:40 sid 7: xor: expected hex: "zz"
            8:40 sid 8: xor: expected hex: ""
            10:30 sid 10: http_uri: needs a preceding content
            11:53 sid 11: http_method: the content is already in a buffer
            12:55 sid 12: http_uri: must directly follow its content
            13:53 sid 13: http_method: the content is already in a buffer
            14:1 sid 14: dns.query belongs to another protocol than the rest of the rule
            15:1 sid 15: http.uri is of requests and http.stat_code of responses: one rule cannot use both without =>
            16:1 sid 16: http.stat_code does not exist with flow to_server
            17:1 sid 17: packet header buffers and application buffers in one rule
            18:1 sid 18: dsize: packet sizes have no meaning on streams and transactions
            19:1 sid 19: dsize: packet sizes have no meaning on streams and transactions
            20:30 sid 20: unknown keyword "http.url"; did you mean http.uri?
            21:30 sid 21: unknown keyword "htp.uri"; did you mean http.uri?
            22:30 sid 22: keyword "lua" is not evaluated: no evaluation for it
            23:51 sid 23: unknown keyword "Deth"; did you mean depth?
            24:30 sid 24: unknown keyword "contént"
            25:30 sid 25: unknown keyword ""
            27:30 sid 27: prefilter: must follow a keyword
        "#]],
    );
    // The sixty-fifth block would have no bit of its own.
    let blocks = |count: usize| {
        format!(
            "alert dns any any -> any any ({} sid:1;)",
            "dns.query; content:\"a\"; ".repeat(count)
        )
    };
    expect![[r#"
        1 accepted
        0 accepted
        1:1567 sid 1: more than 64 buffers in one rule
    "#]]
    .assert_eq(&format!(
        "{}{}",
        reasons(blocks(64).as_bytes(), &everything()),
        reasons(blocks(65).as_bytes(), &everything())
    ));
}
