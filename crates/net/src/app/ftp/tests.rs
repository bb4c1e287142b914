//! Control channels in words, and data channels that they announce.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::expect::What;
use super::super::file::FileConfig;
use super::*;
use crate::app::{AppConfig, AppParser, Record, TxList};
use crate::flow::Direction;

type Step = (Direction, Vec<u8>);

/// `C ` and `S ` lines; `^` within a line is a line end.
fn session(text: &str) -> Vec<Step> {
    let steps = text.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        let (side, rest) = line.trim().split_at(2);
        let dir = if side == "C " { Direction::ToServer } else { Direction::ToClient };
        (dir, format!("{rest}\r\n").replace('^', "\r\n").into_bytes())
    });
    steps.collect()
}

fn run(steps: &[Step], config: &AppConfig) -> String {
    let (mut parser, mut txs) = (Parser::new(config), TxList::default());
    let mut out = String::new();
    for (dir, bytes) in steps {
        parser.data(*dir, bytes, &mut txs);
        if let Some(expected) = parser.expect() {
            let What::FtpData(transfer) = expected.what;
            let name = transfer.name.escape_ascii();
            let dir = transfer.dir;
            writeln!(out, "expect {} {:?} {name} {dir:?}", expected.port, transfer.command)
                .unwrap();
        }
        if let Some(switch) = parser.switch() {
            writeln!(out, "switch {}", switch.rest.to_client.escape_ascii()).unwrap();
        }
    }
    for tx in txs.iter() {
        let Record::Ftp(ftp) = &tx.record else { panic!("not FTP") };
        let name = ftp.command.map_or("-", Command::name);
        write!(out, "{} {name} {}", tx.id, ftp.argument.escape_ascii()).unwrap();
        for reply in &ftp.replies {
            let (code, text) = (reply.code.escape_ascii(), reply.text.escape_ascii());
            write!(out, " [{code} {text}]").unwrap();
        }
        if let Some(port) = ftp.port {
            write!(out, " port {port} active {}", ftp.active).unwrap();
        }
        if !ftp.answered {
            write!(out, " open").unwrap();
        }
        for event in &tx.events {
            write!(out, " !{}", event.name).unwrap();
        }
        out.push('\n');
    }
    out
}

#[expect(clippy::needless_pass_by_value, reason = "expectations are made in place")]
fn check(text: &str, expected: Expect) {
    let steps = session(text);
    let found = run(&steps, &AppConfig::default());
    expected.assert_eq(&found);
    let single: Vec<Step> = steps
        .iter()
        .flat_map(|(dir, bytes)| bytes.iter().map(|byte| (*dir, vec![*byte])))
        .collect();
    assert_eq!(run(&single, &AppConfig::default()), found, "byte by byte");
}

#[test]
fn commands_and_their_replies() {
    check(
        "S 220 hello
         C USER a
         S 331 password?
         C PASS b
         S 230-welcome^230-to this^ place^230 ok
         C FEAT
         S 211-Features^  MDTM^211 End
         C CWD x^PWD
         S 250 ok^257 there
         C QUIT",
        expect![[r#"
            0 -  [220 hello]
            1 USER a [331 password?]
            2 PASS b [230 welcome] [230 to this] [ place] [230 ok] [211 Features] [ MDTM] [211 End]
            3 CWD x [250 ok]
            4 PWD  [257 there]
            5 QUIT  open
        "#]],
    );
}

#[test]
fn data_channels_are_announced_in_both_modes() {
    check(
        "C PASV
         S 227 Entering (10,0,0,1,4,1)
         C RETR a.txt
         S 150 coming^226 done
         C EPSV
         S 229 ok (|||1026|)
         C STOR b.txt
         S 150 go^226 done
         C PORT 10,0,0,2,4,3
         S 200 ok
         C RETR c.txt
         S 150 coming^226 done
         C EPRT |1|10.0.0.2|1028|
         S 200 ok
         C STOR d.txt
         S 150 go^226 done
         C NLST
         S 425 no channel
         C RETR e.txt
         S 425 no channel",
        expect![[r#"
            expect 1025 Retr a.txt ToClient
            expect 1026 Stor b.txt ToServer
            expect 1027 Retr c.txt ToServer
            expect 1028 Stor d.txt ToClient
            0 PASV  [227 Entering (10,0,0,1,4,1)] port 1025 active false
            1 RETR a.txt [150 coming] [226 done]
            2 EPSV  [229 ok (|||1026|)] port 1026 active false
            3 STOR b.txt [150 go] [226 done]
            4 PORT 10,0,0,2,4,3 [200 ok] port 1027 active true
            5 RETR c.txt [150 coming] [226 done]
            6 EPRT |1|10.0.0.2|1028| [200 ok] port 1028 active true
            7 STOR d.txt [150 go] [226 done]
            8 NLST  [425 no channel]
            9 RETR e.txt [425 no channel] !file_before_port
        "#]],
    );
}

#[test]
fn a_granted_auth_tls_hands_the_rest_on() {
    let mut steps = session("C AUTH TLS\nS 234 go");
    steps[1].1.extend_from_slice(b"\x16\x03");
    expect![[r#"
        switch \x16\x03
        0 AUTH TLS  [234 go]
    "#]]
    .assert_eq(&run(&steps, &AppConfig::default()));
}

#[test]
fn limits_are_events() {
    let ftp = Config { max_line: 16, max_transactions: 2 };
    let config = AppConfig { ftp, ..AppConfig::default() };
    let steps = session(
        "C RETR 0123456789abcdef
         S 550 this is longer than sixteen bytes
         C PWD^PWD^PWD^PWD
         S 257 x^257 x^257 x",
    );
    expect![[r#"
        0 RETR 0123456789a [550 this is long] !request_command_too_long !file_before_port !response_command_too_long
        1 PWD  open
        2 PWD  open !too_many_transactions
    "#]].assert_eq(&run(&steps, &config));
    let mut text = "S 220 ".to_owned();
    text.push_str(&"x^".repeat(10_000));
    let found = run(&session(&text), &AppConfig::default());
    assert!(found.len() < 64 << 10, "lines that end no reply are bounded: {}", found.len());
}

#[test]
fn a_data_channel_is_one_file() {
    for (command, files) in [(Command::Retr, 1), (Command::Nlst, 0)] {
        let dir = Direction::ToClient;
        let transfer = Transfer { command, name: b"a.txt".to_vec(), dir };
        let mut parser = DataParser::new(transfer, &FileConfig::default());
        let mut txs = TxList::default();
        parser.data(Direction::ToServer, b"not the file's way", &mut txs);
        assert_eq!(txs.created(), 0);
        parser.data(dir, b"one ", &mut txs);
        parser.data(dir, b"two", &mut txs);
        parser.end(dir, &mut txs);
        let tx = txs.iter().next().unwrap();
        assert!(tx.is_complete(dir) && tx.is_complete(dir.reverse()));
        assert_eq!(tx.files.len(), files);
        if let Some(file) = tx.files.first() {
            assert_eq!((file.name.as_slice(), file.data()), (&b"a.txt"[..], &b"one two"[..]));
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        pieces in proptest::collection::vec(
            (any::<bool>(), prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                prop_oneof![
                    Just("PORT 1,2,3,4,5,6\r\n"), Just("EPRT |1|1.2.3.4|5|\r\n"), Just("PASV\r\n"),
                    Just("227 (1,2,3,4,5,6)\r\n"), Just("RETR x\r\n"), Just("150-\r\n"), Just("226 \r\n"),
                ].prop_map(|text| text.as_bytes().to_vec()),
            ]),
            0..60,
        )
    ) {
        let steps: Vec<Step> = pieces
            .into_iter()
            .map(|(up, bytes)| (if up { Direction::ToServer } else { Direction::ToClient }, bytes))
            .collect();
        let single: Vec<Step> = steps
            .iter()
            .flat_map(|(dir, bytes)| bytes.iter().map(|byte| (*dir, vec![*byte])))
            .collect();
        let config = AppConfig::default();
        prop_assert_eq!(run(&steps, &config).lines().count(), run(&single, &config).lines().count());
    }
}
