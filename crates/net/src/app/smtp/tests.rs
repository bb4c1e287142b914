//! Sessions in words: `C` lines of the client, `S` lines of the server, and what became of them.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::file::FileState;
use super::*;
use crate::app::{AppConfig, AppParser, Record, TxList};
use crate::flow::Direction;

type Step = (Direction, Vec<u8>);

/// Pieces of a session: lines that begin with `C ` or `S `, ends added; `|` within a line is a line end.
fn session(text: &str) -> Vec<Step> {
    let steps = text.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        let (side, rest) = line.trim().split_at(2);
        let dir = if side == "C " { Direction::ToServer } else { Direction::ToClient };
        (dir, format!("{rest}\r\n").replace('|', "\r\n").into_bytes())
    });
    steps.collect()
}

fn run(steps: &[Step], config: &AppConfig) -> (String, TxList) {
    let (mut parser, mut txs) = (Parser::new(config), TxList::default());
    let mut out = String::new();
    for (dir, bytes) in steps {
        parser.data(*dir, bytes, &mut txs);
        if let Some(switch) = parser.switch() {
            let rest = switch.rest;
            writeln!(
                out,
                "switch {} | {}",
                rest.to_server.escape_ascii(),
                rest.to_client.escape_ascii()
            )
            .unwrap();
            break;
        }
    }
    for tx in txs.iter() {
        let Record::Smtp(smtp) = &tx.record else { panic!("not SMTP") };
        let progress = (tx.progress(Direction::ToServer), tx.progress(Direction::ToClient));
        write!(out, "{} {progress:?} {}", tx.id, smtp.helo.escape_ascii()).unwrap();
        write!(out, " from {}", smtp.mail_from.escape_ascii()).unwrap();
        for name in &smtp.rcpt_to {
            write!(out, " to {}", name.escape_ascii()).unwrap();
        }
        if let Some(mail) = &smtp.mail {
            let subject = mail.first("subject").unwrap_or(b"-").escape_ascii();
            write!(out, " mail {:?} {subject}", mail.status).unwrap();
        }
        for file in &tx.files {
            assert_eq!(file.state(), FileState::Closed);
            write!(out, " file {}={}", file.name.escape_ascii(), file.data().escape_ascii())
                .unwrap();
        }
        let mut events: Vec<&str> = tx.events.iter().map(|event| event.name).collect();
        events.sort_unstable();
        for event in events {
            write!(out, " !{event}").unwrap();
        }
        out.push('\n');
    }
    (out, txs)
}

#[expect(clippy::needless_pass_by_value, reason = "expectations are made in place")]
fn check(text: &str, expected: Expect) {
    let steps = session(text);
    let (found, _) = run(&steps, &AppConfig::default());
    expected.assert_eq(&found);
    let single: Vec<Step> = steps
        .iter()
        .flat_map(|(dir, bytes)| bytes.iter().map(|byte| (*dir, vec![*byte])))
        .collect();
    assert_eq!(run(&single, &AppConfig::default()).0, found, "byte by byte");
}

const BEGIN: &str = "S 220 here\nC EHLO me\nS 250 you\n";

#[test]
fn one_mail_is_one_transaction() {
    check(
        &format!(
            "{BEGIN}C MAIL FROM:<a@b> SIZE=5\nS 250 ok\nC RCPT TO: <c@d>\nS 250 ok\nC RCPT TO:<e@f>\nS 250 ok
             C DATA\nS 354 go\nC Subject: one||..dot|.|QUIT\nS 250 queued|221 bye"
        ),
        expect![[r#"
            0 (1, 1) me from <a@b> to <c@d> to <e@f> mail Done one
        "#]],
    );
}

#[test]
fn the_next_mail_is_the_next_transaction() {
    check(
        &format!(
            "{BEGIN}C MAIL FROM:<a@b>|RCPT TO:<c@d>|DATA\nS 250 ok|250 ok|354 go
             C Subject: one||x|.|MAIL FROM:<e@f>\nS 250 queued|250 ok\nC RSET\nS 250 reset\nC MAIL FROM:<g@h>\nS 250 ok"
        ),
        expect![[r#"
            0 (1, 1) me from <a@b> to <c@d> mail Done one
            1 (1, 1) me from <e@f>
            2 (0, 0) me from <g@h>
        "#]],
    );
}

#[test]
fn a_reset_in_a_pipeline_does_not_touch_the_mail_after_it() {
    check(
        "S 220 here\nC EHLO me\nS 250-you|250 PIPELINING\nC MAIL FROM:<a@b>|RSET|MAIL FROM:<c@d>|DATA
         S 250 ok|250 reset|250 ok|354 go\nC Subject: x||.\nS 250 queued",
        expect![[r#"
            0 (1, 1) me from <a@b>
            1 (1, 1) me from <c@d> mail Done x
        "#]],
    );
}

#[test]
fn a_greeting_that_is_granted_does_away_with_the_envelope() {
    check(
        &format!(
            "{BEGIN}C MAIL FROM:<a@b>\nS 250 ok\nC HELO me\nS 250 ok\nC MAIL FROM:<c@d>\nS 250 ok"
        ),
        expect![[r#"
            0 (1, 1) me from <a@b> !duplicate_fields
            1 (0, 0) me from <c@d>
        "#]],
    );
    check(
        &format!("{BEGIN}C MAIL FROM:<a@b>\nS 250 ok\nC EHLO\nS 501 no\nC RCPT TO:<c@d>\nS 250 ok"),
        expect![[r#"
            0 (0, 0) me from <a@b> to <c@d> !duplicate_fields
        "#]],
    );
}

#[test]
fn attachments_come_by_data_and_by_chunks() {
    check(
        &format!(
            "{BEGIN}C MAIL FROM:<a@b>\nS 250 ok\nC BDAT 47|Content-Disposition: attachment; filename=a||BDAT 4 LAST|x.
             S 250 ok|250 queued\nC QUIT\nS 221 bye"
        ),
        expect![[r#"
            0 (1, 1) me from <a@b> mail Done - file a=x.
        "#]],
    );
    check(
        &format!("{BEGIN}C BDAT 5 X\nS 501 no\nC BDAT 0 LAST\nS 250 ok"),
        expect![[r#"
            0 (1, 1) me from  mail Done - !invalid_bdat
        "#]],
    );
}

#[test]
fn rejections_are_told_and_commands_go_on() {
    check(
        "S 220 here\nC EHLO me\nS 250-you|250 PIPELINING\nC MAIL FROM:<a@b>|DATA\nS 550 no|503 no\nC RSET\nS 250 ok
         C MAIL FROM:<c@d>|DATA\nS 250 ok|354 go\nC Subject: s||.\nS 250 ok",
        expect![[r#"
            0 (1, 1) me from <a@b> mail Empty - !data_command_rejected
            1 (1, 1) me from <c@d> mail Done s
        "#]],
    );
    check(
        &format!("{BEGIN}C STARTTLS\nS 454 no\nC MAIL FROM:<a@b>\nS xyz\nS 250 ok"),
        expect![[r#"
            0 (0, 0) me from <a@b> !invalid_reply !tls_rejected
        "#]],
    );
    check(
        "C HELO me\nS 250 ok",
        expect![[r#"
            0 (0, 0) me from  !no_server_welcome_message
        "#]],
    );
    check(
        &format!("{BEGIN}C DATA|x|.\nS 354 go|250 ok"),
        expect![[r#"
            0 (0, 0) me from  mail Empty - !invalid_pipelined_sequence
        "#]],
    );
}

#[test]
fn starttls_hands_the_rest_on() {
    let steps = vec![
        (Direction::ToClient, b"220 here\r\n".to_vec()),
        (Direction::ToServer, b"STARTTLS\r\n\x16\x03\x01".to_vec()),
        (Direction::ToClient, b"220 go\r\n\x16\x03\x03".to_vec()),
    ];
    let (found, _) = run(&steps, &AppConfig::default());
    expect![[r#"
        switch \x16\x03\x01 | \x16\x03\x03
        0 (1, 1)  from 
    "#]]
    .assert_eq(&found);
}

#[test]
fn lines_recipients_and_waiting_commands_are_bounded() {
    let mut long = b"HELO ".to_vec();
    long.resize(3 * MAX_LINE, b'x');
    long.extend_from_slice(b"\r\nNOOP\r\n");
    let mut steps = session(BEGIN);
    steps.truncate(1);
    steps.push((Direction::ToServer, long));
    let (_, txs) = run(&steps, &AppConfig::default());
    let tx = txs.iter().next().unwrap();
    let Record::Smtp(smtp) = &tx.record else { panic!("not SMTP") };
    assert_eq!(smtp.helo.len(), MAX_LINE - 5);
    assert!(tx.events.iter().any(|event| event.name == "truncated_line"));
    let many = "RCPT TO:<a@b>\r\n".repeat(2 * MAX_RECIPIENTS).into_bytes();
    let (_, txs) = run(&[(Direction::ToServer, many)], &AppConfig::default());
    let Record::Smtp(smtp) = &txs.iter().next().unwrap().record else { panic!("not SMTP") };
    assert_eq!(smtp.rcpt_to.len(), MAX_RECIPIENTS);
    let mut parser = Parser::new(&AppConfig::default());
    let mut txs = TxList::default();
    for _ in 0..3 * MAX_WAITING {
        parser.data(Direction::ToServer, b"NOOP\r\n", &mut txs);
    }
    assert_eq!((txs.iter().count(), parser.waiting_len()), (1, MAX_WAITING));
}

#[test]
fn a_gap_in_a_mail_does_not_end_it() {
    let (mut parser, mut txs) = (Parser::new(&AppConfig::default()), TxList::default());
    for (dir, bytes) in session(&format!(
        "{BEGIN}C DATA\nS 354 go\nC Content-Disposition: attachment; filename=a||one"
    )) {
        parser.data(dir, &bytes, &mut txs);
    }
    parser.gap(Direction::ToServer, 100, &mut txs);
    parser.data(Direction::ToServer, b"two\r\nthree\r\n.\r\n", &mut txs);
    let tx = txs.iter().next().unwrap();
    assert!(tx.files[0].has_gaps() && tx.is_complete(Direction::ToServer));
    // A gap among commands: the next line counts again.
    parser.gap(Direction::ToServer, 10, &mut txs);
    parser.data(Direction::ToServer, b"ail\r\nMAIL FROM:<x@y>\r\n", &mut txs);
    let Record::Smtp(smtp) = &txs.iter().last().unwrap().record else { panic!("not SMTP") };
    assert_eq!(smtp.mail_from, b"<x@y>");
}

#[test]
fn mails_are_not_read_when_that_is_switched_off() {
    let mut config = AppConfig::default();
    config.smtp.decode_mime = false;
    let steps = session(&format!("{BEGIN}C DATA\nS 354 go\nC Subject: x||.\nS 250 ok"));
    assert_eq!(run(&steps, &config).0, "0 (1, 1) me from \n");
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        pieces in proptest::collection::vec(
            (any::<bool>(), prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                prop_oneof![
                    Just("DATA\r\n"), Just("BDAT 7 LAST\r\n"), Just("BDAT 3\r\n"), Just(".\r\n"),
                    Just("RSET\r\n"), Just("250 ok\r\n"), Just("354 go\r\n"), Just("STARTTLS\r\n"),
                    Just("220-x\r\n"), Just("EHLO a\r\n"), Just("\r\n."), Just("MAIL FROM:<a>\r\n"),
                ].prop_map(|text| text.as_bytes().to_vec()),
            ]),
            0..60,
        )
    ) {
        let steps: Vec<Step> = pieces
            .into_iter()
            .map(|(up, bytes)| (if up { Direction::ToServer } else { Direction::ToClient }, bytes))
            .collect();
        let (mut parser, mut txs) = (Parser::new(&AppConfig::default()), TxList::default());
        for (dir, bytes) in &steps {
            parser.data(*dir, bytes, &mut txs);
        }
        let single: Vec<Step> = steps
            .iter()
            .flat_map(|(dir, bytes)| bytes.iter().map(|byte| (*dir, vec![*byte])))
            .collect();
        let (mut other, mut others) = (Parser::new(&AppConfig::default()), TxList::default());
        for (dir, bytes) in &single {
            other.data(*dir, bytes, &mut others);
        }
        prop_assert_eq!(txs.created(), others.created());
    }
}
