//! SMB 1 by hand-made messages: each command, chains, damage.

use proptest::prelude::*;

use super::super::{Dialect, Kind, Parser, ShareKind, Smb};
use super::command;
use crate::app::{AppConfig, AppParser, Record, Transaction, TxList};
use crate::flow::Direction::{self, ToClient, ToServer};

/// A message and the way it goes.
type Sent = (Direction, Vec<u8>);

const FILE: u8 = 0x44;
const CONTENT: &[u8] = b"twenty bytes of text";

/// Words, then bytes, with their counts.
fn block(words: &[u8], bytes: &[u8]) -> Vec<u8> {
    let count = u8::try_from(words.len() / 2).unwrap();
    let length = u16::try_from(bytes.len()).unwrap().to_le_bytes();
    [&[count][..], words, &length, bytes].concat()
}

/// A message in session 7 and tree 5, with its length before it.
fn message(dir: Direction, command: u16, number: u8, status: u32, blocks: &[u8]) -> Vec<u8> {
    let flags = if dir == ToClient { 0x80 } else { 0 };
    let mut m = b"\xffSMB".to_vec();
    m.push(u8::try_from(command).unwrap());
    m.extend(status.to_le_bytes());
    m.extend([flags, 0, 0x40]);
    m.extend([0; 12]);
    m.extend([5, 0, 1, 0, 7, 0, number, 0]);
    m.extend(blocks);
    let length = u32::try_from(m.len()).unwrap().to_be_bytes();
    [&length[..], &m].concat()
}

/// The words that chain: nothing, or a command at an offset.
fn chain(next: Option<(u16, usize)>) -> Vec<u8> {
    let Some((command, at)) = next else { return vec![0xff, 0, 0, 0] };
    let at = u16::try_from(at).unwrap().to_le_bytes();
    vec![u8::try_from(command).unwrap(), 0, at[0], at[1]]
}

fn negotiation() -> Vec<Sent> {
    let ask = block(&[], b"\x02PC NETWORK PROGRAM 1.0\0\x02NT LM 0.12\0");
    let mut words = vec![1, 0];
    words.extend([0; 32]);
    let answer = block(&words, &[9; 16]);
    vec![
        (ToServer, message(ToServer, command::NEGOTIATE, 1, 0, &ask)),
        (ToClient, message(ToClient, command::NEGOTIATE, 1, 0, &answer)),
    ]
}

/// A login with the connection to a share chained to it.
fn login() -> Vec<Sent> {
    let both = |first: &dyn Fn(&[u8]) -> Vec<u8>, second: Vec<u8>| {
        let at = super::HEADER + first(&chain(None)).len();
        [first(&chain(Some((command::TREE_CONNECT_ANDX, at)))), second].concat()
    };
    let setup = |chain: &[u8]| {
        let mut words = chain.to_vec();
        words.extend([0; 10]);
        words.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        block(&words, b"\0ann\0DOMAIN\0Unix\0Client 1\0")
    };
    let tree = [&chain(None)[..], &[0, 0, 1, 0]].concat();
    let ask = both(&setup, block(&tree, b"\0\\\\HOST\\SHARE\0?????\0"));
    let done = |chain: &[u8]| block(&[chain, &[0, 0]].concat(), b"Unix\0Server 2\0DOMAIN\0");
    let tree = [&chain(None)[..], &[0, 0]].concat();
    let answer = both(&done, block(&tree, b"A:\0NTFS\0"));
    vec![
        (ToServer, message(ToServer, command::SESSION_SETUP_ANDX, 2, 0, &ask)),
        (ToClient, message(ToClient, command::SESSION_SETUP_ANDX, 2, 0, &answer)),
    ]
}

fn creation() -> Vec<Sent> {
    let mut words = chain(None);
    words.extend([0, 6, 0]);
    words.extend([0; 28]);
    words.extend([5, 0, 0, 0, 0, 0x10, 0, 0]);
    words.extend([0; 5]);
    let ask = block(&words, b"\\a.txt\0");
    let mut words = chain(None);
    words.extend([0, FILE, 0, 2, 0, 0, 0]);
    words.extend([0; 32 + 12]);
    words.extend([20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let answer = block(&words, b"");
    vec![
        (ToServer, message(ToServer, command::NT_CREATE_ANDX, 3, 0, &ask)),
        (ToClient, message(ToClient, command::NT_CREATE_ANDX, 3, 0, &answer)),
    ]
}

fn writing() -> Vec<Sent> {
    let mut words = chain(None);
    words.extend([FILE, 0]);
    words.extend([0; 14]);
    words.extend([20, 0, 64, 0, 0, 0, 0, 0]);
    let ask = block(&words, &[b"\0", CONTENT].concat());
    let answer = block(&[&chain(None)[..], &[20, 0, 0, 0, 0, 0, 0, 0]].concat(), b"");
    vec![
        (ToServer, message(ToServer, command::WRITE_ANDX, 4, 0, &ask)),
        (ToClient, message(ToClient, command::WRITE_ANDX, 4, 0, &answer)),
    ]
}

fn reading() -> Vec<Sent> {
    let mut words = chain(None);
    words.extend([FILE, 0]);
    words.extend([0; 18]);
    let ask = block(&words, b"");
    let mut words = chain(None);
    words.extend([0; 6]);
    words.extend([20, 0, 60, 0, 0, 0]);
    words.extend([0; 8]);
    let answer = block(&words, &[b"\0", CONTENT].concat());
    vec![
        (ToServer, message(ToServer, command::READ_ANDX, 5, 0, &ask)),
        (ToClient, message(ToClient, command::READ_ANDX, 5, 0, &answer)),
    ]
}

fn closing() -> Vec<Sent> {
    let ask = block(&[FILE, 0, 0, 0, 0, 0], b"");
    vec![
        (ToServer, message(ToServer, command::CLOSE, 6, 0, &ask)),
        (ToClient, message(ToClient, command::CLOSE, 6, 0, &block(&[], b""))),
    ]
}

fn all() -> Vec<Sent> {
    [negotiation(), login(), creation(), writing(), reading(), closing()].concat()
}

/// Feeds a conversation, each message in pieces of `size`.
fn run(sides: &[Sent], size: usize) -> TxList {
    let mut parser = Parser::new(&AppConfig::default());
    let mut txs = TxList::default();
    for (dir, bytes) in sides {
        for piece in bytes.chunks(size) {
            parser.data(*dir, piece, &mut txs);
        }
    }
    txs
}

fn smb(tx: &Transaction) -> &Smb {
    match &tx.record {
        Record::Smb(smb) => smb,
        other => panic!("{other:?}"),
    }
}

fn find<T>(txs: &TxList, pick: impl Fn(&Smb) -> Option<T>) -> T {
    txs.iter().find_map(|tx| pick(smb(tx))).unwrap()
}

fn events(txs: &TxList) -> Vec<&'static str> {
    txs.iter().flat_map(|tx| tx.events.iter().map(|event| event.name)).collect()
}

#[test]
fn a_whole_conversation_has_no_trouble() {
    let txs = run(&all(), usize::MAX);
    assert_eq!(events(&txs), [""; 0]);
    for tx in txs.iter() {
        assert_eq!(smb(tx).version, 1);
        assert!(tx.is_complete(ToServer) && tx.is_complete(ToClient), "{tx:?}");
    }
}

#[test]
fn the_dialect_is_the_one_the_server_chose() {
    let txs = run(&all(), usize::MAX);
    let dialects = find(&txs, |smb| match &smb.kind {
        Kind::Negotiate(negotiate) => Some(negotiate.dialects.clone()),
        _ => None,
    });
    assert_eq!(dialects, [&b"PC NETWORK PROGRAM 1.0"[..], b"NT LM 0.12"]);
    let last = smb(txs.iter().last().unwrap()).dialect.clone();
    assert_eq!(last, Dialect::One(b"NT LM 0.12"[..].into()));
}

#[test]
fn a_chain_is_a_login_and_a_share() {
    let txs = run(&login(), usize::MAX);
    assert_eq!(txs.iter().count(), 2);
    let setup = find(&txs, |smb| match &smb.kind {
        Kind::SessionSetup(setup) => Some(setup.clone()),
        _ => None,
    });
    let (client, server) = (setup.client.unwrap(), setup.server.unwrap());
    assert_eq!((&client.native_os[..], &client.native_lm[..]), (&b"Unix"[..], &b"Client 1"[..]));
    assert_eq!((&server.native_os[..], &server.native_lm[..]), (&b"Unix"[..], &b"Server 2"[..]));
    let tree = find(&txs, |smb| match &smb.kind {
        Kind::TreeConnect(tree) => Some(tree.clone()),
        _ => None,
    });
    assert_eq!((&tree.share[..], tree.kind), (&b"\\\\HOST\\SHARE"[..], Some(ShareKind::Disk)));
    assert_eq!(tree.service, (Some(b"?????".to_vec()), Some(b"A:".to_vec())));
}

#[test]
fn a_creation_says_what_and_how() {
    let txs = run(&creation(), usize::MAX);
    let create = find(&txs, |smb| match &smb.kind {
        Kind::Create(create) => Some(create.clone()),
        _ => None,
    });
    assert_eq!((&create.name[..], create.disposition, create.size), (&b"\\a.txt"[..], 5, 20));
    assert!(create.delete_on_close && !create.directory);
}

#[test]
fn files_go_both_ways() {
    let txs = run(&all(), usize::MAX);
    let files: Vec<_> = txs.iter().flat_map(|tx| &tx.files).collect();
    let said: Vec<_> = files.iter().map(|file| (file.dir, file.data())).collect();
    assert_eq!(said, [(ToServer, CONTENT), (ToClient, CONTENT)]);
    assert!(files.iter().all(|file| file.name == b"\\a.txt"));
}

#[test]
fn what_is_wrong_is_an_event() {
    let (ask, answer) = (block(&[], b"\x02A\0\x03B\0"), block(&[], b""));
    let echo = 0x2b;
    let cases: &[(Vec<Sent>, &str)] = &[
        (
            vec![(ToServer, message(ToServer, command::NEGOTIATE, 1, 0, &ask))],
            "negotiate_malformed_dialects",
        ),
        ([negotiation(), negotiation()].concat(), "duplicate_negotiate"),
        (
            vec![(ToServer, message(ToServer, command::NT_CREATE_ANDX, 1, 0, &answer))],
            "malformed_data",
        ),
        (vec![(ToServer, message(ToServer, echo, 1, 0, &[200]))], "malformed_data"),
        (
            vec![
                (ToServer, message(ToServer, echo, 1, 0, &answer)),
                (ToServer, message(ToClient, echo, 1, 0, &answer)),
            ],
            "response_to_server",
        ),
        (
            vec![
                (ToServer, message(ToServer, echo, 1, 0, &answer)),
                (ToClient, message(ToServer, echo, 1, 0, &answer)),
            ],
            "request_to_client",
        ),
    ];
    for (sides, expected) in cases {
        // An event belongs to the newest transaction, so there has to be one.
        let before = if *expected == "malformed_data" { negotiation() } else { Vec::new() };
        let events = events(&run(&[&before[..], sides].concat(), usize::MAX));
        assert!(events.contains(expected), "{expected}: {events:?}");
    }
}

#[test]
fn a_chain_that_goes_back_ends() {
    let words = [&chain(Some((command::LOGOFF_ANDX, super::HEADER)))[..], &[0, 0]].concat();
    let ask = message(ToServer, command::LOGOFF_ANDX, 1, 0, &block(&words, b""));
    assert_eq!(run(&[(ToServer, ask)], usize::MAX).iter().count(), 1);
}

proptest! {
    #[test]
    fn any_split_gives_the_same(size in 1_usize..200) {
        let said = |txs: TxList| -> Vec<String> {
            txs.iter().map(|tx| format!("{:?}{:?}{:?}", tx.record, tx.events, tx.files)).collect()
        };
        prop_assert_eq!(said(run(&all(), size)), said(run(&all(), usize::MAX)));
    }

    #[test]
    fn damage_is_survived(which in 0_usize..12, at in 4_usize..140, flip in 1_u8.., size in 1_usize..200) {
        let mut sides = all();
        if let Some(byte) = sides[which].1.get_mut(at) {
            *byte ^= flip;
        }
        prop_assert!(run(&sides, size).iter().count() <= 64);
    }
}
