//! Handshakes of every version, whole, in records and pieces of every size, and broken.

use proptest::prelude::*;

use super::super::{AppLayer, Protocol};
use super::tests::{
    client_hello, extension, full, give, handshake, record, server_hello, session, sni, vec16,
    words,
};
use super::*;
use crate::flow::Direction;
use Direction::{ToClient, ToServer};

fn events(app: &AppLayer) -> Vec<&'static str> {
    app.open().iter().flat_map(|tx| tx.events.iter().map(|e| e.name)).collect()
}

/// A client hello with these ciphers and extensions, read.
fn client(version: u16, ciphers: &[u16], extensions: &[u8]) -> ClientHello {
    let mut app = AppLayer::default();
    give(&mut app, ToServer, &record(22, &client_hello(version, ciphers, extensions)));
    session(&app).client.clone().unwrap()
}

/// One certificate per entry, as TLS 1.2 sends them (RFC 5246 section 7.4.2).
fn certificates(list: &[&[u8]]) -> Vec<u8> {
    let len24 = |n: usize| u32::try_from(n).unwrap().to_be_bytes()[1..].to_vec();
    let entries: Vec<u8> =
        list.iter().flat_map(|der| [len24(der.len()), der.to_vec()].concat()).collect();
    handshake(11, &[len24(entries.len()), entries].concat())
}

#[test]
fn ja3_leaves_out_what_is_not_there() {
    // Published with the method: a hello without extensions.
    let ciphers = [4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99];
    let hello = client(0x0301, &ciphers, &[]);
    assert_eq!(hello.ja3, "769,4-5-10-9-100-98-3-6-19-18-99,,,");
    assert_eq!(hello.ja3_hash, "de350869b8c85de67a350c8d186f11e6");
}

#[test]
fn fingerprints_of_servers_are_those_others_publish() {
    // Well-known servers of TLS 1.3: key share and version in either order.
    let cases = [
        (0x1301, [51, 43], "771,4865,51-43", "eb1d94daa7e0344597e756a1fb6e7054"),
        (0x1301, [43, 51], "771,4865,43-51", "f4febc55ea12b31ae17cfb7e614afda8"),
        (0x1302, [43, 51], "771,4866,43-51", "15af977ce25de452b96affa2addb1036"),
    ];
    for (cipher, kinds, string, hash) in cases {
        let mut app = AppLayer::default();
        let extensions: Vec<u8> = kinds.iter().flat_map(|k| extension(*k, &[3, 4])).collect();
        give(&mut app, ToServer, &record(22, &client_hello(0x0303, &[cipher], &[])));
        give(&mut app, ToClient, &record(22, &server_hello(0x0303, cipher, &extensions)));
        let server = session(&app).server.as_ref().unwrap();
        assert_eq!((server.ja3s.as_str(), server.ja3s_hash.as_str()), (string, hash));
    }
}

#[test]
fn values_made_to_be_ignored_are_in_no_fingerprint() {
    let grease: Vec<u16> = (0..16).map(|n| n * 0x1010 + 0x0a0a).collect();
    let with = |extra: &[u16]| {
        let ciphers = [extra, &[0x1301, 0xc02f]].concat();
        let mut extensions: Vec<u8> = extra.iter().flat_map(|k| extension(*k, &[0])).collect();
        extensions.extend(sni("a.bc"));
        extensions.extend(extension(10, &vec16(&words(&[extra, &[29, 23]].concat()))));
        extensions.extend(extension(13, &vec16(&words(&[extra, &[0x0403]].concat()))));
        let versions = words(&[extra, &[0x0304]].concat());
        let length = u8::try_from(versions.len()).unwrap();
        extensions.extend(extension(43, &[&[length][..], &versions].concat()));
        client(0x0303, &ciphers, &extensions)
    };
    let (plain, greased) = (with(&[]), with(&grease));
    assert_eq!(greased.ciphers.len(), 18, "they are kept as they were sent");
    assert_eq!((plain.ja3, plain.ja4), (greased.ja3, greased.ja4));
    // Alike, but not of that shape: bytes must be equal and end in `a`.
    assert_ne!(with(&[0x0a1a]).ja4, with(&[]).ja4);
}

#[test]
fn the_first_part_of_ja4_says_what_was_offered() {
    let alpn = |name: &[u8]| {
        let length = u8::try_from(name.len()).unwrap();
        extension(16, &vec16(&[&[length], name].concat()))
    };
    let versions = |list: &[u16]| {
        let body = words(list);
        extension(43, &[&[u8::try_from(body.len()).unwrap()][..], &body].concat())
    };
    let cases: &[(u16, Vec<u8>, &str)] = &[
        (0x0301, vec![], "t10i010000"),
        (0x0302, vec![], "t11i010000"),
        (0x0303, sni("a"), "t12d010100"),
        (0x0300, vec![], "ts3i010000"),
        (0x0002, vec![], "ts2i010000"),
        (0x1234, vec![], "t00i010000"),
        (0x0303, versions(&[0x0303, 0x0304]), "t13i010100"),
        (0x0303, versions(&[0x0301]), "t10i010100"),
        // The documentation's examples of application protocols.
        (0x0303, alpn(b"h2"), "t12i0101h2"),
        (0x0303, alpn(b"http/1.1"), "t12i0101h1"),
        (0x0303, alpn(b"h"), "t12i0101hh"),
        (0x0303, alpn(&[0xab]), "t12i0101ab"),
        (0x0303, alpn(&[0xab, 0xcd]), "t12i0101ad"),
        (0x0303, alpn(&[0x30, 0xab]), "t12i01013b"),
        (0x0303, alpn(&[0x30, 0x31, 0xab, 0xcd]), "t12i01013d"),
        (0x0303, alpn(&[0x30, 0xab, 0xcd, 0x31]), "t12i010101"),
        (0x0303, alpn(b""), "t12i010100"),
    ];
    for (version, extensions, expected) in cases {
        let ja4 = client(*version, &[47], extensions).ja4;
        assert!(ja4.starts_with(&format!("{expected}_")), "{ja4} {expected}");
    }
    assert!(client(0x0303, &[47; 150], &[]).ja4.starts_with("t12i990000_"), "two digits");
    assert_eq!(client(0x0303, &[], &[]).ja4, "t12i000000_000000000000_000000000000");
}

#[test]
fn ja4_does_not_depend_on_the_order_of_ciphers_and_extensions() {
    let kinds = [5u16, 10, 11, 23, 35];
    let shuffled: Vec<u8> =
        [3, 0, 4, 2, 1].iter().flat_map(|n| extension(kinds[*n], &[])).collect();
    let sorted: Vec<u8> = kinds.iter().flat_map(|k| extension(*k, &[])).collect();
    let (a, b) = (client(0x0303, &[47, 53, 10], &sorted), client(0x0303, &[10, 47, 53], &shuffled));
    assert_eq!(a.ja4, b.ja4);
    assert_ne!(a.ja3, b.ja3, "which JA3 does");
}

#[test]
fn a_hello_may_span_records_and_segments() {
    let hello = client_hello(0x0303, &[0x1301], &sni("split.example"));
    for size in [1, 3, 10, 60] {
        let records: Vec<u8> = hello.chunks(size).flat_map(|piece| record(22, piece)).collect();
        // Detection wants to see the type of the first message: two bytes of it are enough.
        for cut in [1, 2, 5, 1000] {
            let mut app = AppLayer::default();
            records.chunks(cut).for_each(|piece| give(&mut app, ToServer, piece));
            assert_eq!(app.protocol(), Protocol::Tls, "records of {size} in pieces of {cut}");
            assert_eq!(session(&app).sni(), Some(&b"split.example"[..]));
        }
    }
    // And two messages may share a record.
    let mut app = AppLayer::default();
    give(&mut app, ToServer, &record(22, &client_hello(0x0303, &[47], &[])));
    let both = [server_hello(0x0303, 47, &[]), certificates(&[b"not a certificate"])].concat();
    give(&mut app, ToClient, &record(22, &both));
    let tls = session(&app);
    assert!(tls.server.is_some());
    assert_eq!(tls.certificates, [b"not a certificate".to_vec()]);
    assert_eq!(events(&app), ["invalid_certificate", "invalid_handshake_message"]);
    let fingerprint = &tls.certificate.as_ref().unwrap().fingerprint;
    assert_eq!(fingerprint.len(), 59, "its bytes have a fingerprint all the same");
}

#[test]
fn a_session_of_version_1_3_is_over_with_the_first_encrypted_record() {
    let mut app = AppLayer::default();
    let offered = [sni("a.bc"), extension(43, &[2, 3, 4])].concat();
    give(&mut app, ToServer, &record(22, &client_hello(0x0303, &[0x1301], &offered)));
    let chosen = extension(43, &[3, 4]);
    give(&mut app, ToClient, &record(22, &server_hello(0x0303, 0x1301, &chosen)));
    assert!(!session(&app).encrypted);
    // Decoration for middleboxes (RFC 8446 appendix D.4), then everything is encrypted.
    give(&mut app, ToClient, &record(20, &[1]));
    give(&mut app, ToClient, &record(23, &[0x17; 100]));
    give(&mut app, ToServer, &record(20, &[1]));
    give(&mut app, ToServer, &record(23, &[0x17; 50]));
    let tls = session(&app);
    assert!(tls.encrypted && !tls.resumed && tls.certificates.is_empty());
    assert_eq!(version_name(tls.version()), "TLS 1.3");
    let tx = app.open().iter().next().unwrap();
    assert_eq!((tx.progress(ToServer), tx.progress(ToClient)), (progress::DONE, progress::DONE));
    // What looks like a hello after that is not one.
    give(&mut app, ToServer, &record(22, &client_hello(0x0303, &[1], &sni("late"))));
    assert_eq!(session(&app).sni(), Some(&b"a.bc"[..]));
}

#[test]
fn clients_may_have_certificates_too() {
    let (client, server, der) = full();
    let mut app = AppLayer::default();
    give(&mut app, ToServer, &client);
    give(&mut app, ToClient, &server);
    give(&mut app, ToServer, &record(22, &certificates(&[&der, b"issuer"])));
    let tls = session(&app);
    assert_eq!(tls.client_certificates.len(), 2);
    assert_eq!(tls.client_certificate.as_ref().unwrap().serial, "0A:BC");
    assert_eq!(tls.certificate, tls.client_certificate);
    let mut app = AppLayer::default();
    give(&mut app, ToServer, &client);
    let chain: Vec<&[u8]> = (0..17).map(|_| der.as_slice()).collect();
    for piece in certificates(&chain).chunks(16_000) {
        give(&mut app, ToClient, &record(22, piece));
    }
    assert_eq!(session(&app).certificates.len(), 16);
    assert_eq!(events(&app), ["too_many_certificates"]);
}

#[test]
fn what_is_no_tls_any_more_is_named_and_left() {
    let begin = record(22, &client_hello(0x0303, &[47], &sni("a.bc")));
    let cases: &[(&[u8], &[&str])] = &[
        (&[25, 3, 3, 0, 1, 0], &["invalid_record_version"]),
        (&[22, 4, 3, 0, 1, 0], &["invalid_record_version"]),
        (&[22, 3, 3, 0x48, 1, 0], &["invalid_record_length"]),
        (&[22, 3, 3, 0, 4, 1, 0, 0, 0], &["invalid_handshake_message"]),
        (&[22, 3, 3, 0, 5, 2, 0, 0, 1, 9], &["invalid_handshake_message"]),
        (b"GET / HTTP/1.1\r\n", &["invalid_record_version"]),
        // Alerts, heartbeats and unknown handshake messages are in order.
        (&[21, 3, 3, 0, 2, 2, 40], &[]),
        (&[24, 3, 3, 0, 1, 1], &[]),
        (&[22, 3, 3, 0, 4, 99, 0, 0, 0], &[]),
        (&[22, 3, 3, 0, 0], &[]),
    ];
    for (bytes, expected) in cases {
        let mut app = AppLayer::default();
        give(&mut app, ToServer, &begin);
        give(&mut app, ToServer, bytes);
        give(&mut app, ToServer, b"and so on, whatever that may be");
        let wanted: &[&str] =
            if expected.is_empty() { &["invalid_record_version"] } else { expected };
        assert_eq!(events(&app)[0], wanted[0], "{}", bytes.escape_ascii());
        assert_eq!(session(&app).sni(), Some(&b"a.bc"[..]), "what was known stays");
    }
}

#[test]
fn a_handshake_message_without_end_is_given_up() {
    let mut app = AppLayer::default();
    give(&mut app, ToServer, &record(22, &client_hello(0x0303, &[47], &[])));
    // It claims 16 MiB and is sent record by record.
    give(&mut app, ToClient, &record(22, &[11, 0xff, 0xff, 0xff]));
    for _ in 0..20 {
        assert!(events(&app).is_empty());
        give(&mut app, ToClient, &record(22, &[0; 16_000]));
        if !events(&app).is_empty() {
            break;
        }
    }
    assert_eq!(events(&app), ["handshake_too_long"]);
}

#[test]
fn a_hello_of_version_2_is_seen_and_no_more() {
    let mut app = AppLayer::default();
    let hello = b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10\x00\x00\x04";
    hello.chunks(2).for_each(|piece| give(&mut app, ToServer, piece));
    assert_eq!(app.protocol(), Protocol::Tls);
    assert_eq!(version_name(session(&app).version()), "SSLv2");
    assert_eq!(app.open().iter().next().unwrap().progress(ToServer), progress::HELLO);
    // The server answers in the newer format, which is read.
    give(&mut app, ToClient, &record(22, &server_hello(0x0301, 47, &[])));
    assert_eq!(version_name(session(&app).version()), "TLSv1");
}

#[test]
fn one_side_alone_is_read() {
    let (client, server, _) = full();
    let mut app = AppLayer::default();
    give(&mut app, ToServer, &client);
    app.finish();
    assert_eq!((session(&app).sni(), session(&app).version()), (Some(&b"pikett.test"[..]), 0x0303));
    let mut app = AppLayer::default();
    give(&mut app, ToClient, &server);
    app.finish();
    let tls = session(&app);
    assert!(tls.client.is_none());
    assert_eq!(tls.certificate.as_ref().unwrap().names, ["pikett.test"]);
}

#[test]
fn version_names_are_those_of_records() {
    let cases = [
        (0x0002, "SSLv2"),
        (0x0300, "SSLv3"),
        (0x0301, "TLSv1"),
        (0x0302, "TLS 1.1"),
        (0x0303, "TLS 1.2"),
        (0x0304, "TLS 1.3"),
        (0x7f1c, "TLS 1.3 draft-28"),
        (0xfb1a, "TLS 1.3 draft-fb"),
        (0, "UNDETERMINED"),
        (0x0305, "0x0305"),
    ];
    for (version, name) in cases {
        assert_eq!(version_name(version), name);
    }
}

#[test]
fn extensions_that_are_cut_are_read_as_far_as_they_go() {
    let good = [sni("a.bc"), extension(16, &vec16(b"\x02h2\x08http/1.1"))].concat();
    let hello = client(0x0303, &[47, 53], &good);
    assert_eq!(hello.alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    for end in 0..good.len() {
        let hello = client(0x0303, &[47, 53], &good[..end]);
        assert_eq!(hello.ciphers, [47, 53]);
        assert!(hello.sni.is_none_or(|name| name == b"a.bc"), "never a part of a name");
    }
    // Two names: the first one counts. A name of another kind is none.
    let entry = |kind: u8, name: &[u8]| [&[kind][..], &vec16(name)].concat();
    let two =
        extension(0, &vec16(&[entry(1, b"other"), entry(0, b"one"), entry(0, b"two")].concat()));
    assert_eq!(client(0x0303, &[47], &two).sni, Some(b"one".to_vec()));
}

proptest! {
    /// Any cut of a whole handshake into records and segments gives the same session.
    #[test]
    fn sessions_do_not_depend_on_the_pieces(sizes in proptest::collection::vec(1usize..200, 1..30)) {
        let (client, server, der) = full();
        let mut app = AppLayer::default();
        for (dir, stream) in [(ToServer, &client), (ToClient, &server)] {
            let (mut rest, mut sizes) = (stream.as_slice(), sizes.iter().cycle());
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                give(&mut app, dir, piece);
                rest = tail;
            }
        }
        let tls = session(&app);
        prop_assert_eq!(tls.sni(), Some(&b"pikett.test"[..]));
        prop_assert_eq!(&tls.certificates, &[der]);
        prop_assert!(tls.encrypted && events(&app).is_empty());
    }

    /// Any bytes in handshake records are survived, and nothing piles up.
    #[test]
    fn any_handshake_is_survived(bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..20)) {
        let mut app = AppLayer::default();
        give(&mut app, ToServer, &record(22, &client_hello(0x0303, &[47], &[])));
        for body in bodies {
            give(&mut app, ToServer, &record(22, &body));
            give(&mut app, ToClient, &record(22, &body));
        }
        app.finish();
        prop_assert_eq!(app.transactions(), 1);
    }
}
