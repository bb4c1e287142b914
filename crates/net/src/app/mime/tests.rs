//! Messages of all shapes, whole and in pieces.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::app::file::{File, FileConfig, FileState};
use crate::flow::Direction;

/// What is found in a message that comes in these pieces.
fn read(pieces: &[&[u8]], config: &Config) -> String {
    let (mut mail, mut files, mut events) = (Mail::default(), Vec::<File>::new(), Vec::new());
    let mut parser = Parser::new(Direction::ToServer, config, &FileConfig::default());
    let mut out = Out { mail: &mut mail, files: &mut files, events: &mut events };
    for piece in pieces {
        parser.data(piece, &mut out);
    }
    parser.end(&mut out);
    let mut text = String::new();
    for field in &mail.headers {
        writeln!(text, "{}: {}", field.name.escape_ascii(), field.value.escape_ascii()).unwrap();
    }
    for file in &files {
        assert_eq!(file.state(), FileState::Closed);
        let (name, data) = (file.name.escape_ascii(), file.data().escape_ascii());
        writeln!(text, "file {name}: {data}").unwrap();
    }
    for url in &mail.urls {
        writeln!(text, "url {}", url.escape_ascii()).unwrap();
    }
    events.sort_unstable();
    for event in events {
        writeln!(text, "event {event}").unwrap();
    }
    text
}

fn check(message: &str, expected: &Expect) {
    let message = message.replace('\n', "\r\n");
    let config =
        Config { schemes: Schemes::named(["http", "https"]).unwrap(), ..Config::default() };
    let whole = read(&[message.as_bytes()], &config);
    expected.assert_eq(&whole);
    let single: Vec<&[u8]> = message.as_bytes().chunks(1).collect();
    assert_eq!(read(&single, &config), whole, "byte by byte");
}

const NESTED: &str =
    "From: a@example\nSubject: one\n two\nContent-Type: multipart/mixed; boundary=\"outer\"

preamble http://not.here/
--outer
Content-Type: multipart/alternative; boundary=inner

--inner

text http://in.text/a
--inner
Content-Type: text/html
Content-Transfer-Encoding: quoted-printable

<a href=3D\"https://in.h=
tml/b\">
--inner--
epilogue
--outer
Content-Type: application/octet-stream; name=\"x.bin\"
Content-Transfer-Encoding: base64

AAEC
Aw==
--outer
Content-Disposition: attachment; filename=\"y.txt\"

line 1
line 2

--outer--
http://after/
";

#[test]
fn parts_within_parts() {
    check(
        NESTED,
        &expect![[r#"
            From: a@example
            Subject: onetwo
            Content-Type: multipart/mixed; boundary=\"outer\"
            file x.bin: \x00\x01\x02\x03
            file y.txt: line 1\r\nline 2\r\n
            url in.text/a
            url in.html/b
        "#]],
    );
}

#[test]
fn a_message_within_a_message() {
    check(
        "Content-Type: message/rfc822\nContent-Disposition: attachment; filename=mail.eml\nContent-Transfer-Encoding: base64\n\nSubject: inner\nContent-Disposition: attachment; filename=inner.txt\n\ncontent\n",
        &expect![[r#"
            Content-Type: message/rfc822
            Content-Disposition: attachment; filename=mail.eml
            Content-Transfer-Encoding: base64
            file inner.txt: content
        "#]],
    );
}

#[test]
fn damage_is_told() {
    check(
        "no colon\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=a\n\nAA!\n",
        &expect![[r#"
            Content-Transfer-Encoding: base64
            Content-Disposition: attachment; filename=a
            file a: \x00
            event mime_invalid_base64
            event mime_malformed_msg
        "#]],
    );
    check(
        "Content-Type: text/plain; name=b\nContent-Transfer-Encoding: quoted-printable\n\na=XXb\n",
        &expect![[r#"
            Content-Type: text/plain; name=b
            Content-Transfer-Encoding: quoted-printable
            file b: a=XXb
            event mime_invalid_qp
        "#]],
    );
    let long = format!("Content-Type: text/plain; name={}\n\nx\n", "n".repeat(300));
    let found = read(&[long.as_bytes()], &Config::default());
    assert!(found.contains("event mime_long_filename"), "{found}");
    assert!(found.contains(&format!("file {}: x", "n".repeat(MAX_FILE_NAME))), "{found}");
    let long = format!("A: b\n\n{}\n", "x".repeat(999));
    assert!(read(&[long.as_bytes()], &Config::default()).contains("event mime_long_line"));
}

#[test]
fn the_body_is_digested_as_sent() {
    use md5::{Digest, Md5};
    let config = Config { body_md5: true, ..Config::default() };
    let (mut mail, mut files, mut events) = (Mail::default(), Vec::new(), Vec::new());
    let mut parser = Parser::new(Direction::ToServer, &config, &FileConfig::default());
    let mut out = Out { mail: &mut mail, files: &mut files, events: &mut events };
    parser.data(b"A: b\r\n\r\none\r\ntw", &mut out);
    parser.data(b"o\r\n", &mut out);
    parser.end(&mut out);
    assert_eq!(mail.body_md5, Some(Md5::digest(b"one\r\ntwo\r\n").into()));
}

#[test]
fn nesting_and_lines_are_bounded() {
    let mut bomb = String::new();
    for level in 0..2 * MAX_DEPTH {
        write!(bomb, "Content-Type: multipart/mixed; boundary=b{level}x\r\n\r\n--b{level}x\r\n")
            .unwrap();
    }
    assert!(read(&[bomb.as_bytes()], &Config::default()).contains("mime_malformed_msg"));
    let (mut mail, mut files, mut events) = (Mail::default(), Vec::new(), Vec::new());
    let mut parser = Parser::new(Direction::ToServer, &Config::default(), &FileConfig::default());
    let mut out = Out { mail: &mut mail, files: &mut files, events: &mut events };
    for _ in 0..100 {
        parser.data(&[b'a'; 1 << 16], &mut out);
    }
    assert!(format!("{parser:?}").len() < 64 << 10, "an endless line is not kept");
}

#[test]
fn a_gap_marks_the_file() {
    let (mut mail, mut files, mut events) = (Mail::default(), Vec::new(), Vec::new());
    let mut parser = Parser::new(Direction::ToServer, &Config::default(), &FileConfig::default());
    let mut out = Out { mail: &mut mail, files: &mut files, events: &mut events };
    parser.data(b"Content-Disposition: attachment; filename=a\r\n\r\none\r\n", &mut out);
    parser.gap(10, &mut out);
    parser.data(b"rest\r\ntwo\r\n", &mut out);
    parser.end(&mut out);
    assert!(files[0].has_gaps());
    assert_eq!(files[0].state(), FileState::Truncated);
}

/// Parts of a form, `name[file]=content`.
fn form(pieces: &[&[u8]]) -> Vec<String> {
    let mut splitter = Splitter::of(b"multipart/form-data; boundary=xYz").unwrap();
    let mut parts = Vec::new();
    let mut take = |piece: Piece<'_>| match piece {
        Piece::Begin(part) => {
            let (field, file) = (part.field.escape_ascii(), part.file_name.escape_ascii());
            parts.push(format!("{field}[{file}]="));
        }
        Piece::Data(bytes) => {
            write!(parts.last_mut().unwrap(), "{}", bytes.escape_ascii()).unwrap();
        }
        Piece::End => parts.last_mut().unwrap().push(';'),
    };
    for piece in pieces {
        splitter.data(piece, &mut take);
    }
    splitter.end(&mut take);
    parts
}

const FORM: &[u8] = b"--xYz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue\r\n\
    --xYz\r\nContent-Disposition: form-data; name=up; filename=\"f.bin\"\r\nContent-Type: x/y\r\n\r\n\
    one\r\n--xY not the end\n\r\r\n--xYz--\r\nepilogue";

#[test]
fn forms_are_cut_into_fields_and_files() {
    assert_eq!(form(&[FORM]), ["a[]=value;", "up[f.bin]=one\\r\\n--xY not the end\\n\\r;"]);
    assert!(Splitter::of(b"text/plain; boundary=x").is_none());
    assert!(Splitter::of(b"multipart/form-data").is_none());
    assert_eq!(form(&[b"--xYz\r\n\r\ncut off\r\n"]), ["[]=cut off\\r\\n;"]);
    assert_eq!(form(&[b"no boundary at all"]), Vec::<String>::new());
}

proptest! {
    #[test]
    fn pieces_do_not_matter(cuts in proptest::collection::vec(0usize..1000, 0..8)) {
        let message = NESTED.replace('\n', "\r\n");
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % message.len()).collect();
        cuts.sort_unstable();
        let (mut pieces, mut from) = (Vec::new(), 0);
        for cut in cuts {
            pieces.push(&message.as_bytes()[from..cut]);
            from = cut;
        }
        pieces.push(&message.as_bytes()[from..]);
        prop_assert_eq!(read(&pieces, &Config::default()), read(&[message.as_bytes()], &Config::default()));
    }

    #[test]
    fn form_pieces_do_not_matter(cut in 0usize..200) {
        let (a, b) = FORM.split_at(cut.min(FORM.len()));
        prop_assert_eq!(form(&[a, b]), form(&[FORM]));
    }

    #[test]
    fn pieces_of_damaged_messages_do_not_matter(
        tokens in proptest::collection::vec(
            prop_oneof![
                Just("\r\n"), Just("\n"), Just("\r"), Just("--b"), Just("--b--"), Just("--bc"),
                Just("Content-Type: multipart/mixed; boundary=bc\r\n\r\n"), Just("="), Just("=3D"),
                Just("Content-Transfer-Encoding: base64\r\n"), Just("QUJD"), Just(" folded"),
                Just("Content-Transfer-Encoding: quoted-printable\r\n"), Just("http://a/b "),
                Just("Content-Disposition: attachment; filename=f\r\n"), Just(":"), Just("\r\n\r\n"),
                Just("Content-Type: message/rfc822\r\n\r\n"),
            ],
            0..40,
        ),
        cut in 0usize..400,
    ) {
        let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n";
        let message = format!("{head}{}", tokens.concat());
        let (a, b) = message.as_bytes().split_at(cut.min(message.len()));
        let config = Config { body_md5: true, ..Config::default() };
        prop_assert_eq!(read(&[a, b], &config), read(&[message.as_bytes()], &config));
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        let mut message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".to_vec();
        message.extend_from_slice(&bytes);
        read(&[&message], &Config::default());
    }
}
