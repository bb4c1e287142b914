//! Rules on transactions: every buffer there is, transforms, several instances, windows of bodies, buffers that
//! come later or never, both directions in one rule.

use crate::{
    AppProto, Buffer, Direction, Number, Sides,
    tests::{Bench, Fixed, tx_case},
};

use Direction::{ToClient, ToServer};

fn name(proto: AppProto) -> &'static str {
    proto.name()
}

fn of_transactions() -> impl Iterator<Item = Buffer> {
    // Frames are no part of transactions.
    let all = Buffer::all().filter(|buffer| *buffer != Buffer::Frame);
    all.filter(|buffer| !buffer.protocols().is_empty())
}

#[test]
fn every_buffer_is_looked_at_by_its_name_where_it_exists() {
    for buffer in of_transactions() {
        for proto in buffer.protocols() {
            let rule = format!(
                "alert {} any any -> any any ({}; content:\"needle\"; sid:1;)",
                name(*proto),
                buffer.name()
            );
            let tx = Fixed::new(*proto, &[(buffer, "a needle here")]);
            let others: Vec<(Buffer, &str)> = of_transactions()
                .filter(|other| *other != buffer && other.protocols().contains(proto))
                .map(|other| (other, "a needle here"))
                .chain([(buffer, "nothing"), (Buffer::Payload, "a needle here")])
                .collect();
            let elsewhere = Fixed::new(*proto, &others);
            for direction in [ToServer, ToClient] {
                tx_case(&rule, &tx, direction, buffer.exists(direction));
                tx_case(&rule, &elsewhere, direction, false);
            }
        }
    }
}

#[test]
fn the_old_names_mean_the_same() {
    let modifiers = [
        "http_uri",
        "http_raw_uri",
        "http_method",
        "http_header",
        "http_raw_header",
        "http_client_body",
        "http_cookie",
        "http_user_agent",
        "http_host",
        "http_raw_host",
        "http_stat_code",
        "http_stat_msg",
        "http_server_body",
    ];
    for old in modifiers {
        let buffer = Buffer::from_name(old).unwrap();
        let direction = if buffer.exists(ToServer) { ToServer } else { ToClient };
        let tx = Fixed::new(AppProto::Http, &[(buffer, "x needle"), (Buffer::Payload, "other")]);
        let rule = |options: &str| format!("alert http any any -> any any ({options} sid:1;)");
        tx_case(&rule(&format!("content:\"needle\"; {old};")), &tx, direction, true);
        tx_case(
            &rule(&format!("content:\"NEEDLE\"; nocase; {old}; pcre:\"/^$/R\";")),
            &tx,
            direction,
            true,
        );
        tx_case(
            &rule(&format!("content:\"x \"; {old}; content:\"needle\"; distance:0; {old};")),
            &tx,
            direction,
            true,
        );
        tx_case(&rule(&format!("content:\"other\"; {old};")), &tx, direction, false);
        tx_case(&rule(&format!("content:!\"needle\"; {old};")), &tx, direction, false);
        // Payload content beside it is of the stream.
        tx_case(
            &rule(&format!("content:\"needle\"; {old}; content:\"other\";")),
            &tx,
            direction,
            true,
        );
        tx_case(
            &rule(&format!("content:\"needle\"; {old}; content:\"absent\";")),
            &tx,
            direction,
            false,
        );
    }
    let letters = [
        ("U", Buffer::HttpUri),
        ("I", Buffer::HttpUriRaw),
        ("P", Buffer::HttpRequestBody),
        ("Q", Buffer::FileData),
        ("H", Buffer::HttpHeader),
        ("D", Buffer::HttpHeaderRaw),
        ("M", Buffer::HttpMethod),
        ("C", Buffer::HttpCookie),
        ("S", Buffer::HttpStatCode),
        ("Y", Buffer::HttpStatMsg),
        ("V", Buffer::HttpUserAgent),
        ("W", Buffer::HttpHost),
        ("Z", Buffer::HttpHostRaw),
    ];
    for (letter, buffer) in letters {
        let direction = if buffer.exists(ToServer) { ToServer } else { ToClient };
        let rule = format!("alert http any any -> any any (pcre:\"/^need+le$/{letter}\"; sid:1;)");
        tx_case(&rule, &Fixed::new(AppProto::Http, &[(buffer, "needle")]), direction, true);
        tx_case(
            &rule,
            &Fixed::new(AppProto::Http, &[(buffer, "a needle"), (Buffer::Payload, "needle")]),
            direction,
            false,
        );
    }
}

#[test]
fn several_buffers_must_all_match() {
    let tx = Fixed::new(
        AppProto::Http,
        &[
            (Buffer::HttpMethod, "GET"),
            (Buffer::HttpUri, "/a/b.php"),
            (Buffer::HttpUriRaw, "/a/%62.php"),
            (Buffer::HttpHost, "x.example"),
            (Buffer::HttpUserAgent, ""),
        ],
    );
    let cases = [
        (
            r#"http.method; content:"GET"; http.uri; content:".php"; endswith; http.host; content:"x."; startswith;"#,
            true,
        ),
        (
            r#"http.method; content:"GET"; http.uri; content:".php"; endswith; http.host; content:"y."; startswith;"#,
            false,
        ),
        // Back in a buffer that was named before: the block goes on.
        (
            r#"http.uri; content:"/a"; http.host; content:"x"; http.uri; content:"/b"; distance:0;"#,
            true,
        ),
        (
            r#"http.uri; content:"/b"; http.host; content:"x"; http.uri; content:"/a"; distance:0;"#,
            false,
        ),
        (r#"http.uri; content:"%62"; http.uri.raw; content:"%62";"#, false),
        (r#"http.uri; content:!"%62"; http.uri.raw; content:"%62";"#, true),
        ("urilen:10;", true),
        ("urilen:10,raw;", true),
        ("urilen:8,norm;", true),
        ("urilen:8;", false),
        ("urilen:7<>9,norm;", true),
        ("urilen:8<>10,norm;", false),
        ("urilen:!8,norm;", false),
        (r#"http.uri; bsize:8; content:"/a/b.php";"#, true),
        (r#"http.uri; bsize:<8; content:"/a";"#, false),
        (r#"http.uri; content:"/a"; bsize:8<>10;"#, false),
        (r#"http.uri; isdataat:7; isdataat:!8;"#, true),
        // Empty is not absent.
        ("http.user_agent; bsize:0;", true),
        (r#"http.user_agent; content:!"x";"#, true),
        ("http.user_agent; absent;", false),
        (r#"http.user_agent; absent:or_else; content:!"x";"#, true),
        ("http.referer; bsize:0;", false),
        ("http.referer; absent;", true),
        ("http.referer; absent; http.method; content:\"GET\";", true),
        ("http.referer; absent; http.method; content:\"PUT\";", false),
        ("http.uri; absent:or_else; content:\"zz\";", false),
        (r#"pcre:"/^\/a/U"; pcre:"/^GET$/M";"#, true),
        (r#"uricontent:"/b.php"; content:"GET"; http_method;"#, true),
        (r#"uricontent:"/b.asp";"#, false),
    ];
    for (options, expected) in cases {
        tx_case(
            &format!("alert http any any -> any any ({options} sid:1;)"),
            &tx,
            ToServer,
            expected,
        );
    }
    // The header of the rule counts too.
    for (header, expected) in [
        ("tcp any any -> any 80", true),
        ("tcp any any -> any 81", false),
        ("ip 10.0.0.0/8 any -> any any", true),
        ("http !10.0.0.1 any -> any any", false),
    ] {
        tx_case(
            &format!("alert {header} (http.uri; content:\"php\"; sid:1;)"),
            &tx,
            ToServer,
            expected,
        );
    }
}

#[test]
fn transforms() {
    let cases: &[(&str, &str, bool)] = &[
        ("to_lowercase; content:\"abc\";", "xABCx", true),
        ("to_lowercase; content:\"ABC\";", "xABCx", false),
        ("to_uppercase; content:\"ABC\"; startswith; endswith;", "aBc", true),
        ("strip_whitespace; content:\"abc\"; bsize:3;", " a\tb\r\nc ", true),
        ("compress_whitespace; content:\"a b\"; bsize:3;", "a  \t b", true),
        ("compress_whitespace; content:\"a  b\";", "a  b", false),
        ("url_decode; content:\"a b/c\";", "a%20b%2fc", true),
        ("url_decode; content:\"a%2\";", "a%2", true),
        ("url_decode; to_lowercase; content:\"a/b\";", "%41%2F%42", true),
        ("url_decode; url_decode; content:\"/\"; startswith; endswith;", "%252f", true),
        ("dotprefix; content:\".example.org\"; endswith;", "example.org", true),
        ("dotprefix; content:\".example.org\"; endswith;", "badexample.org", false),
        ("dotprefix; content:\".example.org\"; endswith;", "www.example.org", true),
        ("strip_pseudo_headers; content:\"host: x\"; startswith;", ":path: /\r\nhost: x\r\n", true),
        ("header_lowercase; content:\"x-a: B\";", "X-A: B", true),
        ("xor:\"20\"; content:\"ABC\";", "abc", true),
        ("xor:\"0020\"; content:\"aBc\";", "abc", true),
        ("xor:\"0102030405060708\"; content:\"|60 60|\"; startswith;", "ab", true),
        (
            "to_md5; content:\"|90 01 50 98 3c d2 4f b0 d6 96 3f 7d 28 e1 7f 72|\"; bsize:16;",
            "abc",
            true,
        ),
        (
            "to_sha1; content:\"|a9 99 3e 36 47 06 81 6a ba 3e 25 71 78 50 c2 6c 9c d0 d8 9d|\"; bsize:20;",
            "abc",
            true,
        ),
        ("to_sha256; content:\"|ba 78 16 bf 8f 01 cf ea|\"; startswith; bsize:32;", "abc", true),
        ("to_sha256; content:\"|ba 78 16 bf 8f 01 cf ea|\"; startswith;", "abd", false),
        // One buffer as it is and transformed: two blocks.
        ("content:\"ABC\"; to_lowercase; content:\"abc\";", "ABC", true),
        ("content:\"abc\"; to_lowercase; content:\"abc\";", "ABC", false),
        ("to_lowercase; content:\"abc\"; pcre:\"/^a\\w+c$/\";", "ABC", true),
        ("to_lowercase; content:!\"abc\";", "ABC", false),
    ];
    for (options, text, expected) in cases {
        let tx = Fixed::new(AppProto::Http, &[(Buffer::HttpHost, text)]);
        tx_case(
            &format!("alert http any any -> any any (http.host; {options} sid:1;)"),
            &tx,
            ToServer,
            *expected,
        );
    }
}

#[test]
fn base64_in_buffers() {
    let tx = Fixed::new(
        AppProto::Http,
        &[
            (Buffer::HttpUri, "/x?k=aGVsbG8="),
            (Buffer::HttpCookie, "id=aGVscA=="),
            (Buffer::Payload, "hello"),
        ],
    );
    let cases = [
        (r#"http.uri; content:"k="; base64_decode:relative; base64_data; content:"hello";"#, true),
        (r#"http.uri; content:"k="; base64_decode:relative; base64_data; content:"help";"#, false),
        // Relative to a content that a modifier moved: there is where it is decoded.
        (r#"content:"k="; http_uri; base64_decode:relative; base64_data; content:"hello";"#, true),
        (
            r#"content:"k"; http_uri; base64_decode:offset 1,relative; base64_data; content:"hel"; content:"lo"; within:2;"#,
            true,
        ),
        (
            r#"content:"k="; http_uri; base64_decode:bytes 4,relative; base64_data; content:"hello";"#,
            false,
        ),
        (r#"content:"k="; http_uri; base64_decode:relative; base64_data; content:"help";"#, false),
        (
            r#"http.cookie; content:"id="; base64_decode:relative; base64_data; content:"help"; http.uri; content:"k=";"#,
            true,
        ),
    ];
    for (options, expected) in cases {
        let rule = format!("alert http any any -> any any ({options} sid:1;)");
        tx_case(&rule, &tx, ToServer, expected);
    }
}

#[test]
fn a_modifier_cannot_take_a_content_out_of_decoded_data() {
    let rule = r#"alert http any any -> any any (content:"k="; http_uri; base64_decode:relative; base64_data; content:"id="; http_cookie; sid:1;)"#;
    let (_, report) = crate::tests::load(rule);
    let told = report.rejected.first().map(|lost| lost.error.to_string());
    assert_eq!(told.as_deref(), Some("http_cookie: the content is already in a buffer"));
}

#[test]
fn a_wished_prefilter_changes_nothing() {
    let tx = Fixed::new(AppProto::Http, &[(Buffer::HttpUri, "/x")]);
    tx_case(
        r#"alert http any any -> any any (http.uri; content:"/x"; prefilter; sid:1;)"#,
        &tx,
        ToServer,
        true,
    );
    tx_case(
        r#"alert http any any -> any any (http.uri; content:"/y"; prefilter; sid:1;)"#,
        &tx,
        ToServer,
        false,
    );
    let mut bench = Bench::new(
        "alert ip any any -> any any (ttl:64; prefilter; sid:1;)\nalert ip any any -> any any (ttl:65; prefilter; sid:2;)",
    );
    assert_eq!(bench.packet(&crate::tests::packet(b"")), [1]);
}

#[test]
fn items_of_one_block_meet_in_one_instance() {
    let tx = Fixed::new(
        AppProto::Dns,
        &[
            (Buffer::DnsQuery, "first.example"),
            (Buffer::DnsQuery, "second.example"),
            (Buffer::DnsQuery, "third.test"),
        ],
    );
    let cases = [
        (r#"dns.query; content:"second";"#, true),
        (r#"dns.query; content:"third.test"; startswith; endswith;"#, true),
        (r#"dns.query; content:"first"; content:"second";"#, false),
        // Named again, it is a block of its own and another instance may match it.
        (r#"dns.query; content:"first"; dns.query; content:"second";"#, true),
        (r#"dns.query; content:"first"; dns.query; content:"fourth";"#, false),
        (r#"dns.query; content:!"example";"#, true),
        (r#"dns.query; content:!"e";"#, false),
        (r#"dns.query; content:".example"; endswith; content:"sec"; startswith; bsize:14;"#, true),
        (r#"dns.query; absent;"#, false),
    ];
    for (options, expected) in cases {
        tx_case(
            &format!("alert dns any any -> any any ({options} sid:1;)"),
            &tx,
            ToServer,
            expected,
        );
    }
}

#[test]
fn numbers_and_events() {
    let mut dns = Fixed::new(AppProto::Dns, &[(Buffer::DnsQuery, "a.example")]);
    dns.numbers.extend([(Number::DnsOpcode, 4), (Number::DnsRcode, 3), (Number::DnsRrtype, 16)]);
    dns.event = "dns.malformed_data";
    for (options, expected) in [
        ("dns.opcode:4;", true),
        ("dns.opcode:!4;", false),
        ("dns.opcode:3<>5;", true),
        ("dns.opcode:>4;", false),
        ("dns.rcode:3;", true),
        ("dns.rcode:0;", false),
        ("dns.rrtype:16;", true),
        ("dns.rrtype:<16;", false),
        ("dns.opcode:4; dns.query; content:\"a.\";", true),
        ("dns.opcode:5; dns.query; content:\"a.\";", false),
        ("dns.opcode:4; dns.rrtype:1;", false),
        ("app-layer-event:dns.malformed_data;", true),
        ("app-layer-event:dns.not_request;", false),
        ("app-layer-event:dns.malformed_data; dns.query; content:\"b.\";", false),
    ] {
        tx_case(
            &format!("alert dns any any -> any any ({options} sid:1;)"),
            &dns,
            ToServer,
            expected,
        );
    }
    for (given, version) in [
        ("1.0", 0x0301),
        ("1.1", 0x0302),
        ("1.2", 0x0303),
        ("1.3", 0x0304),
        ("sslv3", 0x0300),
        ("sslv2", 2),
        ("0x7f12", 0x7f12),
    ] {
        let mut tls = Fixed::new(AppProto::Tls, &[]);
        for (value, equal) in [(version, true), (version + 1, false)] {
            tls.numbers.insert(Number::TlsVersion, value);
            tx_case(
                &format!("alert tls any any -> any any (tls.version:{given}; sid:1;)"),
                &tls,
                ToServer,
                equal,
            );
            tx_case(
                &format!("alert tls any any -> any any (tls_version:!{given}; sid:1;)"),
                &tls,
                ToServer,
                !equal,
            );
        }
        // What never comes is neither equal nor different.
        tls.numbers.clear();
        tx_case(
            &format!("alert tls any any -> any any (tls.version:!{given}; sid:1;)"),
            &tls,
            ToServer,
            false,
        );
    }
}

#[test]
fn kerberos() {
    let names = [(Buffer::Krb5Cname, "ann"), (Buffer::Krb5Sname, "ldap")];
    let mut reply = Fixed::new(AppProto::Krb5, &names);
    reply.numbers.extend([
        (Number::Krb5MsgType, 13),
        (Number::Krb5ErrCode, 25),
        (Number::Krb5TicketEncryption, u64::from((-133_i32).cast_unsigned())),
        (Number::Krb5TicketWeak, 1),
    ]);
    reply.event = "krb5.weak_encryption";
    for (options, expected) in [
        ("krb5_msg_type:13;", true),
        ("krb5.msg_type:tgs_rep;", true),
        ("krb5_msg_type:!AS_REQ;", true),
        ("krb5_msg_type:!13;", false),
        ("krb5_msg_type:AS_REP;", false),
        ("krb5_err_code:25;", true),
        ("krb5_err_code:>25;", false),
        ("krb5.ticket_encryption:weak;", true),
        ("krb5.ticket_encryption:!weak;", false),
        ("krb5.ticket_encryption:rc4-hmac;", false),
        ("krb5.ticket_encryption:rc4-hmac,rc4-hmac-OLD;", true),
        ("krb5.ticket_encryption:-133;", true),
        ("krb5.cname; content:\"ann\"; krb5.sname; content:\"ldap\";", true),
        ("krb5_cname; content:\"ldap\";", false),
        ("app-layer-event:krb5.weak_encryption;", true),
        ("app-layer-event:krb5.malformed_data;", false),
    ] {
        let rule = format!("alert krb5 any any -> any any ({options} sid:1;)");
        tx_case(&rule, &reply, ToClient, expected);
    }
}

#[test]
fn a_number_or_event_may_come_later() {
    let mut bench = Bench::new(
        "alert tls any any -> any any (tls.version:1.2; tls.sni; content:\"x\"; sid:1;)\n\
         alert tls any any -> any any (app-layer-event:tls.invalid_record_type; sid:2;)",
    );
    let mut tx = Fixed::new(AppProto::Tls, &[(Buffer::TlsSni, "x")]);
    tx.complete = false;
    assert!(bench.tx(&tx, ToServer).is_empty());
    tx.numbers.insert(Number::TlsVersion, 0x0303);
    assert_eq!(bench.tx(&tx, ToServer), [1]);
    tx.event = "tls.invalid_record_type";
    assert_eq!(bench.tx(&tx, ToServer), [2]);
    assert!(bench.tx(&tx, ToServer).is_empty());
}

#[test]
fn bodies_in_windows() {
    let place = (Buffer::HttpRequestBody, ToServer, 0);
    // Rules, then windows as (text, position, last), then the window in which each fires.
    type Windows<'a> = &'a [(&'a str, u64, bool)];
    let cases: &[(&str, Windows<'_>, Option<usize>)] = &[
        (
            r#"content:"needle";"#,
            &[("hay", 0, false), ("a needle", 3, false), ("", 11, true)],
            Some(1),
        ),
        (r#"content:"needle";"#, &[("a nee", 0, false), ("dle", 5, true)], None),
        (r#"content:"needle";"#, &[("a nee", 0, false), ("needle", 2, true)], Some(1)),
        // Positions are of the whole body.
        (
            r#"content:"b"; offset:4;"#,
            &[("bb", 0, false), ("ab", 2, false), ("ab", 4, true)],
            Some(2),
        ),
        (r#"content:"b"; depth:3;"#, &[("aa", 0, false), ("ab", 2, true)], None),
        (r#"content:"b"; depth:4;"#, &[("aa", 0, false), ("ab", 2, true)], Some(1)),
        (r#"content:"ab"; startswith;"#, &[("xx", 0, false), ("ab", 2, true)], None),
        (r#"content:"xx"; startswith;"#, &[("xx", 0, false), ("ab", 2, true)], Some(0)),
        // A size is known at the end; more than so much is known as soon as it is more.
        ("bsize:4;", &[("aaaa", 0, false), ("", 4, true)], Some(1)),
        ("bsize:4;", &[("aaaa", 0, false), ("a", 4, true)], None),
        ("bsize:>3;", &[("aa", 0, false), ("aa", 2, false)], Some(1)),
        ("bsize:<4;", &[("aa", 0, false), ("a", 2, true)], Some(1)),
        ("bsize:<4;", &[("aa", 0, false), ("aa", 2, true)], None),
        (r#"content:!"x";"#, &[("aa", 0, false)], Some(0)),
    ];
    for (options, windows, expected) in cases {
        let mut bench = Bench::new(&format!(
            "alert http any any -> any any (http.request_body; {options} sid:1;)"
        ));
        let mut tx = Fixed::new(AppProto::Http, &[]);
        tx.complete = false;
        let mut fired = None;
        for (number, (text, offset, last)) in windows.iter().enumerate() {
            tx.put(place, text.as_bytes(), (*offset, *last));
            tx.complete = *last;
            if bench.tx(&tx, ToServer) == [1] {
                assert_eq!(fired.replace(number), None, "{options} fired twice");
            }
            assert!(bench.tx(&tx, ToServer).is_empty(), "{options} fired without news");
        }
        assert_eq!(fired, *expected, "{options}");
    }
}

#[test]
fn files_one_after_the_other() {
    let mut bench = Bench::new(
        "alert http any any -> any any (http.stat_code; content:\"200\"; file.data; content:\"MZ\"; startswith; sid:1;)",
    );
    let mut tx = Fixed::new(AppProto::Http, &[(Buffer::HttpStatCode, "200")]);
    tx.complete = false;
    assert!(bench.tx(&tx, ToClient).is_empty());
    tx.put((Buffer::FileData, ToClient, 0), b"PK and more", (0, true));
    assert!(bench.tx(&tx, ToClient).is_empty());
    tx.put((Buffer::FileData, ToClient, 1), b"M", (0, false));
    assert!(bench.tx(&tx, ToClient).is_empty());
    tx.put((Buffer::FileData, ToClient, 1), b"MZ", (0, true));
    assert_eq!(bench.tx(&tx, ToClient), [1]);
    tx.put((Buffer::FileData, ToClient, 2), b"MZ too", (0, true));
    assert!(bench.tx(&tx, ToClient).is_empty(), "one alert a transaction");
}

#[test]
fn each_transaction_alerts_for_itself_newest_first() {
    let mut bench = Bench::new("alert http any any -> any any (http.uri; content:\"x\"; sid:1;)");
    let packet = crate::tests::tcp_packet();
    let mut ids = Vec::new();
    let (mut old, mut new) = (
        Fixed::new(AppProto::Http, &[(Buffer::HttpUri, "x")]),
        Fixed::new(AppProto::Http, &[(Buffer::HttpUri, "x")]),
    );
    (old.id, new.id) = (0, 1);
    let (mut first, mut second) = (crate::TxState::default(), crate::TxState::default());
    let mut scan = crate::Scan::begin(
        &bench.set,
        &bench.tables,
        &mut bench.scratch,
        &packet,
        Some(&mut bench.flow),
    );
    scan.transaction(&old, &mut first, ToServer);
    scan.transaction(&new, &mut second, ToServer);
    ids.extend(scan.finish().matches.iter().map(|found| (found.tx, found.direction, found.source)));
    assert_eq!(ids, [1, 0].map(|id| (Some(id), Some(ToServer), crate::MatchSource::Transaction)));
}

#[test]
fn request_and_response_in_one_rule() {
    let request = [(Buffer::HttpUri, "/x")];
    // Whichever side has the better pattern to look for.
    for (uri, answer) in [("/x", "a rare answer"), ("/a-rare-request", "ok")] {
        let rule = format!(
            "alert http any any => any any (http.uri; content:\"{uri}\"; http.response_body; content:\"{answer}\"; sid:1;)"
        );
        for (got_uri, got_answer, fires) in
            [(uri, answer, true), ("/else", answer, false), (uri, "else", false)]
        {
            let mut bench = Bench::new(&rule);
            let mut tx = Fixed::new(AppProto::Http, &[]);
            tx.complete = false;
            tx.put((Buffer::HttpUri, ToServer, 0), got_uri.as_bytes(), (0, true));
            assert!(bench.tx(&tx, ToServer).is_empty(), "{rule}");
            tx.put((Buffer::HttpResponseBody, ToClient, 0), got_answer.as_bytes(), (0, true));
            tx.complete = true;
            assert_eq!(
                bench.tx(&tx, ToClient),
                if fires { vec![1] } else { vec![] },
                "{rule} on {got_uri} {got_answer}"
            );
            assert!(bench.tx(&tx, ToServer).is_empty());
        }
    }
    let one_way = Bench::new("alert http any any -> any any (http.uri; content:\"/x\"; sid:1;)");
    let mut one_way = one_way;
    assert!(one_way.tx(&Fixed::new(AppProto::Http, &request), ToClient).is_empty());
}

#[test]
fn buffers_know_their_sides() {
    for buffer in Buffer::all() {
        let packet = buffer.sides() == Sides::Packet;
        assert_eq!(packet, !buffer.exists(ToServer) && !buffer.exists(ToClient), "{buffer:?}");
        assert!(!packet || buffer.protocols().is_empty());
        assert!(
            !buffer.is_windowed() || !buffer.protocols().is_empty(),
            "only bodies and files grow"
        );
    }
}
