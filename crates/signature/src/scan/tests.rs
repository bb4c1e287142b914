//! Rules against packets, streams and transactions, each with the prefilter and without it.

use proptest::prelude::*;

use super::*;
use crate::{
    AppProto, Buffer, FlowView, IcmpFields, IpFields, Number, TcpFields,
    tests::{
        Fixed, good, naive, on_packet, on_tx, packet, payload_matches, sids, tcp_packet, tx_case,
    },
};

fn check_payloads(cases: &[(&str, &[u8], bool)]) {
    for (options, payload, expected) in cases {
        assert_eq!(payload_matches(options, payload), *expected, "{options} on {payload:?}");
    }
}

#[test]
fn payload_keywords() {
    let cases: &[(&str, &[u8], bool)] = &[
        (r#"content:"abc";"#, b"xxabcxx", true),
        (r#"content:"abc";"#, b"xxABCxx", false),
        (r#"content:"aBc"; nocase;"#, b"xxAbCxx", true),
        (r#"content:!"abc";"#, b"xxabxx", true),
        (r#"content:!"abc";"#, b"xxabcxx", false),
        (r#"content:"|00 ff|";"#, b"a\x00\xffb", true),
        (r#"content:"abcd"; depth:4;"#, b"abcdx", true),
        (r#"content:"abcd"; depth:4;"#, b"xabcd", false),
        (r#"content:"abcd"; offset:1; depth:4;"#, b"xabcd", true),
        (r#"content:"abcd"; offset:1; depth:4;"#, b"xxabcd", false),
        (r#"content:"abcd"; offset:2;"#, b"xabcd", false),
        (r#"content:"abcd"; startswith;"#, b"abcd", true),
        (r#"content:"abcd"; startswith;"#, b"xabcd", false),
        (r#"content:"abcd"; endswith;"#, b"abcdabcd", true),
        (r#"content:"abcd"; endswith;"#, b"abcdx", false),
        (r#"content:!"abcd"; endswith;"#, b"abcdx", true),
        (r#"content:"ab"; content:"cd"; distance:0;"#, b"abxcd", true),
        (r#"content:"ab"; content:"cd"; distance:2;"#, b"abxcd", false),
        (r#"content:"ab"; content:"cd"; within:2;"#, b"abcd", true),
        (r#"content:"ab"; content:"cd"; within:2;"#, b"abxcd", false),
        (r#"content:"ab"; content:"cd"; distance:1; within:2;"#, b"abxcd", true),
        (r#"content:"cd"; content:"ab"; distance:-4; within:2;"#, b"abcd", true),
        // The first "ab" has no "cd" right behind it: the search goes on.
        (r#"content:"ab"; content:"cd"; within:2;"#, b"abxxabcd", true),
        (r#"content:"ab"; content:!"cd"; within:2;"#, b"abcdabxx", true),
        (r#"content:"ab"; content:!"cd"; within:2;"#, b"abcdabcd", false),
        (r#"content:"ab"; isdataat:1,relative;"#, b"abx", true),
        (r#"content:"ab"; isdataat:1,relative;"#, b"ab", false),
        (r#"content:"ab"; isdataat:!1,relative;"#, b"xxab", true),
        (r#"content:"ab"; isdataat:!1,relative;"#, b"abx", false),
        (r#"content:"ab"; isdataat:5;"#, b"ab1234", true),
        (r#"content:"ab"; isdataat:6;"#, b"ab1234", false),
    ];
    check_payloads(cases);
}

#[test]
fn expressions() {
    let cases: &[(&str, &[u8], bool)] = &[
        (r#"pcre:"/a.c$/";"#, b"xxabc", true),
        (r#"pcre:"/a.c$/";"#, b"xxabc\n", true),
        (r#"pcre:"/a.c$/E";"#, b"xxabc\n", false),
        (r#"pcre:"/A.C/i";"#, b"abc", true),
        (r#"pcre:!"/a.c/";"#, b"xxx", true),
        (r#"pcre:"/^b/m";"#, b"a\nb", true),
        (r#"pcre:"/(.)\1/";"#, b"abbc", true),
        (r#"pcre:"/(.)\1/";"#, b"abcd", false),
        (r#"pcre:"/a(?=b)/";"#, b"xab", true),
        (r#"pcre:"/a++b/";"#, b"aab", true),
        (r#"pcre:"/[\[&]x{/";"#, b"[x{", true),
        (r#"pcre:"/\x80\xff/";"#, b"\x80\xff", true),
        (r#"content:"ab"; pcre:"/^\d+x/R";"#, b"ab12x", true),
        (r#"content:"ab"; pcre:"/^\d+x/R";"#, b"abc12x", false),
        (r#"content:"ab"; pcre:"/^\d+x/R";"#, b"ab-ab12x", true),
    ];
    check_payloads(cases);
}

#[test]
fn numbers_in_payload() {
    let cases: &[(&str, &[u8], bool)] = &[
        (r#"content:"ab"; byte_test:1,>,4,0,relative;"#, b"ab\x05", true),
        (r#"content:"ab"; byte_test:1,>,5,0,relative;"#, b"ab\x05", false),
        (r#"byte_test:2,=,513,0,little;"#, b"\x01\x02", true),
        (r#"byte_test:4,=,1234,0,string,dec;"#, b"1234", true),
        (r#"byte_test:1,&,128,0;"#, b"\x80", true),
        (r#"byte_test:1,!&,128,0;"#, b"\x80", false),
        (r#"byte_test:2,=,0x0f,0,bitmask 0x0ff0;"#, b"\x00\xf5", true),
        (r#"byte_jump:1,0; content:"x"; within:1;"#, b"\x02..x", true),
        (r#"byte_jump:1,0,from_beginning; content:"x"; within:1;"#, b"\x03..x", true),
        (
            r#"byte_jump:1,0,multiplier 2,post_offset -1; content:"x"; within:1;"#,
            b"\x02..\x00x",
            true,
        ),
        (r#"byte_jump:1,0; content:"x"; within:1;"#, b"\x09..x", false),
        (
            r#"content:"abcd"; byte_jump:0,0,relative,post_offset -3; content:"bcd"; within:3;"#,
            b"abcd.",
            true,
        ),
        (r#"byte_extract:1,0,len; content:"x"; offset:len;"#, b"\x03..x", true),
        (r#"byte_extract:1,0,len; content:"x"; offset:len;"#, b"\x03.x.", false),
        (r#"byte_extract:1,0,len; byte_test:1,=,len,1;"#, b"\x03\x03", true),
        (
            r#"byte_math:bytes 1,offset 0,oper +,rvalue 2,result r; byte_test:1,=,r,1;"#,
            b"\x03\x05",
            true,
        ),
        (r#"base64_decode:offset 0; base64_data; content:"hello";"#, b"aGVsbG8=", true),
        (
            r#"content:"k="; base64_decode:bytes 8,relative; base64_data; content:"hello";"#,
            b"k=aGVsbG8=",
            true,
        ),
        (r#"base64_decode:offset 0; base64_data; content:"hello";"#, b"----", false),
        (r#"asn1:oversize_length 100,absolute_offset 0;"#, b"\x04\x82\x01\x00", true),
        (r#"asn1:oversize_length 300,absolute_offset 0;"#, b"\x04\x82\x01\x00", false),
        (r#"asn1:bitstring_overflow,absolute_offset 0;"#, b"\x03\x02\x20\x00", true),
        (r#"dsize:3;"#, b"abc", true),
        (r#"dsize:>3;"#, b"abc", false),
        (r#"dsize:2<>4;"#, b"abc", true),
        (r#"content:"a";"#, b"bca", true),
        (r#"content:"a"; nocase;"#, b"bcA", true),
        (r#"content:"ab";"#, b"cab", true),
        (r#"content:"abc"; rawbytes; fast_pattern;"#, b"abc", true),
        (r#"content:"abcdefgh"; fast_pattern:2,4;"#, b"abcdefgh", true),
        (r#"content:"abcdefgh"; fast_pattern:2,4;"#, b"cdef", false),
    ];
    check_payloads(cases);
}

#[test]
fn header_keywords() {
    let tcp = |flags| PacketView {
        ip_proto: 6,
        tcp: Some(TcpFields { flags, seq: 7, window: 100, ..TcpFields::default() }),
        ..packet(b"hello")
    };
    let icmp = PacketView {
        ip_proto: 1,
        icmp: Some(IcmpFields { kind: 8, code: 0, id: Some(512), ..IcmpFields::default() }),
        src_port: None,
        dst_port: None,
        ..packet(b"")
    };
    let fragment = PacketView {
        ip: IpFields { fragment_bits: 1, fragment_offset: 3, ..packet(b"").ip },
        ..packet(b"")
    };
    let sized = PacketView {
        flow: Some(FlowView { stream_size: [10, 500], established: true, ..FlowView::default() }),
        ..tcp(16)
    };
    let odd = PacketView { events: &["ipv4.pkt_too_small", "stream.wrong_thread"], ..packet(b"") };
    let cases: &[(&str, &PacketView<'_>, bool)] = &[
        ("alert tcp any any -> any any (flags:S; sid:1;)", &tcp(2), true),
        ("alert tcp any any -> any any (flags:S; sid:1;)", &tcp(0x42), false),
        ("alert tcp any any -> any any (flags:S,12; sid:1;)", &tcp(0xc2), true),
        ("alert tcp any any -> any any (flags:+S; sid:1;)", &tcp(0x12), true),
        ("alert tcp any any -> any any (flags:!S; sid:1;)", &tcp(0x10), true),
        ("alert tcp any any -> any any (seq:7; window:100; sid:1;)", &tcp(2), true),
        ("alert tcp any any -> any any (stream_size:client,<,20; sid:1;)", &sized, true),
        ("alert tcp any any -> any any (stream_size:server,<,20; sid:1;)", &sized, false),
        ("alert tcp any any -> any any (stream_size:both,>,5; sid:1;)", &sized, true),
        ("alert udp any any -> any any (flags:S; sid:1;)", &tcp(2), false),
        ("alert icmp any any -> any any (itype:8; icode:0; icmp_id:512; sid:1;)", &icmp, true),
        ("alert icmp any any -> any any (itype:>8; sid:1;)", &icmp, false),
        ("alert ip any any -> any any (ttl:<65; ip_proto:17; sid:1;)", &packet(b""), true),
        ("alert ip any any -> any any (ip_proto:!udp; sid:1;)", &packet(b""), false),
        ("alert ip any any -> any any (fragbits:M; fragoffset:>0; sid:1;)", &fragment, true),
        ("alert ip any any -> any any (flow:only_frag; sid:1;)", &packet(b""), false),
        ("alert ip any any -> any any (sameip; sid:1;)", &packet(b""), false),
        ("alert ip any any -> any any (decode-event:ipv4.pkt_too_small; sid:1;)", &odd, true),
        ("alert tcp any any -> any any (stream-event:wrong_thread; sid:1;)", &odd, false),
        ("alert udp $HOME_NET any -> $EXTERNAL_NET 80 (dsize:0; sid:1;)", &packet(b""), true),
        ("alert udp $EXTERNAL_NET any -> $HOME_NET 80 (dsize:0; sid:1;)", &packet(b""), false),
        ("alert udp any 80 <> any 40000 (dsize:0; sid:1;)", &packet(b""), true),
        ("alert udp any any -> any !80 (dsize:0; sid:1;)", &packet(b""), false),
        ("alert udp any any -> any any (flow:to_client; dsize:0; sid:1;)", &packet(b""), false),
        (
            "alert udp any any -> any any (flow:established,to_server; dsize:0; sid:1;)",
            &packet(b""),
            true,
        ),
        (
            "alert udp any any -> any any (flow:not_established; dsize:0; sid:1;)",
            &packet(b""),
            false,
        ),
        ("alert ip [10.0.0.1,10.0.0.9] any -> any any (sid:1;)", &packet(b""), true),
        ("alert ip any any -> [8.8.4.4,8.8.8.0/24] any (sid:1;)", &packet(b""), true),
        ("alert ip ![10.0.0.1] any -> any any (sid:1;)", &packet(b""), false),
        ("alert icmp any any -> any 80 (itype:8; sid:1;)", &icmp, false),
        ("alert pkthdr any any -> any any (decode-event:ipv4.pkt_too_small; sid:1;)", &odd, true),
        ("alert tcp any any -> any any (content:\"hell\"; sid:1;)", &tcp(16), true),
        (
            "alert tcp any any -> any any (flow:to_client; content:\"hell\"; sid:1;)",
            &tcp(16),
            false,
        ),
        ("alert ip any any -> any any (content:\"hell\"; sid:1;)", &tcp(16), true),
        ("alert ip6 any any -> any any (ip_proto:17; sid:1;)", &packet(b""), false),
    ];
    for (rule, packet, expected) in cases {
        assert_eq!(on_packet(&good(rule), packet) == [1], *expected, "{rule}");
    }
}

#[test]
fn transaction_keywords() {
    let request = Fixed::new(
        AppProto::Http,
        &[
            (Buffer::HttpMethod, "POST"),
            (Buffer::HttpUri, "/gate.php?id=1"),
            (Buffer::HttpUriRaw, "/gate.php?id=1"),
            (Buffer::HttpHost, "www.evil.example"),
            (Buffer::HttpUserAgent, "Mozilla/5.0"),
            (Buffer::HttpHeaderNames, "\r\nHost\r\nUser-Agent\r\n\r\n"),
            (Buffer::HttpRequestBody, "key=value"),
        ],
    );
    let to_server = [
        (r#"http.method; content:"POST"; http.uri; content:"/gate.php"; startswith;"#, true),
        (r#"content:"POST"; http_method; content:"/GATE.php"; nocase; http_uri;"#, true),
        (r#"http.method; content:"GET"; http.uri; content:"/gate.php";"#, false),
        (r#"http.host; content:"evil.example"; endswith;"#, true),
        (r#"http.host; content:".EVIL.example"; nocase; endswith;"#, true),
        (r#"http.host; dotprefix; content:".www.evil.example"; endswith; bsize:17;"#, true),
        (r#"http.host; content:"www.evil.example"; bsize:16;"#, true),
        (r#"http.host; content:"www.evil.example"; bsize:>16;"#, false),
        (r#"http.header_names; content:!"|0d 0a|Referer|0d 0a|";"#, true),
        (r#"http.header_names; content:!"|0d 0a|Host|0d 0a|";"#, false),
        // A negated content does not match a buffer that is not there.
        (r#"http.referer; content:!"x";"#, false),
        (r#"http.method; content:"POST"; http.referer; absent;"#, true),
        (r#"http.method; content:"POST"; http.user_agent; absent;"#, false),
        (r#"http.referer; absent:or_else; content:"abc";"#, true),
        (r#"urilen:14;"#, true),
        (r#"urilen:>14,norm;"#, false),
        (r#"http.uri; to_uppercase; content:"/GATE.PHP";"#, true),
        (r#"http.user_agent; to_md5; content:"|00|";"#, false),
        (r#"http.uri; pcre:"/\?id=\d$/";"#, true),
        (r#"content:"gate"; http_uri; pcre:"/^\.php\?id=\d+$/UR";"#, true),
        (r#"http.request_body; content:"key="; pcre:"/^val/R";"#, true),
        (r#"flow:established,to_client; http.content_type; content:"x";"#, false),
        (r#"content:"id=1"; http_uri; isdataat:!1,relative;"#, true),
        (r#"content:"id="; http_uri; isdataat:!1,relative;"#, false),
        (
            r#"http.host; content:"www"; startswith; dotprefix; content:".www.evil"; startswith;"#,
            true,
        ),
        (r#"content:"GET"; nocase; http_method; content:"x"; http_uri;"#, false),
    ];
    for (options, expected) in to_server {
        let rule = format!("alert http any any -> any any ({options} sid:1;)");
        tx_case(&rule, &request, Direction::ToServer, expected);
    }
    let response = Fixed::new(
        AppProto::Http,
        &[
            (Buffer::HttpStatCode, "200"),
            (Buffer::FileData, "<html>x"),
            (Buffer::FileData, "MZ second"),
        ],
    );
    let rule = r#"alert http any any -> any any (http.stat_code; content:"200"; file.data; content:"MZ"; startswith; sid:1;)"#;
    tx_case(rule, &response, Direction::ToClient, true);
    let rule = r#"alert tcp any any -> any any (flow:to_client; file_data; content:"<html>"; content:"second"; sid:1;)"#;
    tx_case(rule, &response, Direction::ToClient, false);
}

#[test]
fn dns_and_tls() {
    let query = Fixed::new(
        AppProto::Dns,
        &[(Buffer::DnsQuery, "a.good.example"), (Buffer::DnsQuery, "x.bad.example")],
    );
    let rule = r#"alert dns any any -> any any (dns.query; content:".bad.example"; nocase; endswith; sid:1;)"#;
    tx_case(rule, &query, Direction::ToServer, true);
    let rule =
        r#"alert dns any any -> any any (dns_query; content:"a.good"; content:"bad"; sid:1;)"#;
    tx_case(rule, &query, Direction::ToServer, false);
    let mut hello = Fixed::new(
        AppProto::Tls,
        &[(Buffer::TlsSni, "evil.example"), (Buffer::Ja3Hash, "e7d705a3286e19ea42f587b344ee6865")],
    );
    hello.numbers.insert(Number::TlsVersion, 0x0303);
    hello.event = "tls.invalid_record_type";
    let cases = [
        (r#"tls.sni; content:"evil.example"; startswith; endswith;"#, true),
        (r#"tls.version:1.2;"#, true),
        (r#"tls.version:1.3;"#, false),
        (r#"ja3.hash; content:"e7d705a3286e19ea42f587b344ee6865";"#, true),
        (r#"app-layer-event:tls.invalid_record_type;"#, true),
        (r#"app-layer-event:tls.invalid_handshake_message;"#, false),
    ];
    for (options, expected) in cases {
        tx_case(
            &format!("alert tls any any -> any any ({options} sid:1;)"),
            &hello,
            Direction::ToServer,
            expected,
        );
    }
}

#[test]
fn a_rule_waits_for_buffers_that_come_later() {
    let set = good(
        r#"alert http any any -> any any (http.uri; content:"/gate.php"; http.request_body; content:"secret"; sid:1;)
           alert http any any => any any (http.uri; content:"/gate.php"; http.stat_code; content:"200"; sid:2;)"#,
    );
    let (tables, mut scratch, mut flow, mut state) =
        (Tables::default(), Scratch::new(&set), FlowState::default(), TxState::default());
    let mut tx = Fixed::new(AppProto::Http, &[(Buffer::HttpUri, "/gate.php")]);
    tx.complete = false;
    let packet = tcp_packet();
    let mut step = |tx: &Fixed, direction| {
        let mut scan = Scan::begin(&set, &tables, &mut scratch, &packet, Some(&mut flow));
        scan.transaction(tx, &mut state, direction);
        sids(&set, scan.finish().matches)
    };
    assert!(step(&tx, Direction::ToServer).is_empty());
    // The body grows in windows.
    tx.put((Buffer::HttpRequestBody, Direction::ToServer, 0), b"aaa", (0, false));
    assert!(step(&tx, Direction::ToServer).is_empty());
    tx.put((Buffer::HttpRequestBody, Direction::ToServer, 0), b"a secret", (2, false));
    assert_eq!(step(&tx, Direction::ToServer), [1]);
    tx.put((Buffer::HttpStatCode, Direction::ToClient, 0), b"200", (0, true));
    assert_eq!(step(&tx, Direction::ToClient), [2]);
    tx.complete = true;
    assert!(step(&tx, Direction::ToClient).is_empty());
    assert!(step(&tx, Direction::ToServer).is_empty());
}

fn on_stream(set: &RuleSet, data: &[u8], offset: u64) -> Vec<u32> {
    let (tables, mut scratch, mut flow) =
        (Tables::default(), Scratch::new(set), FlowState::default());
    let packet = tcp_packet();
    let mut scan = Scan::begin(set, &tables, &mut scratch, &packet, Some(&mut flow));
    scan.packet();
    scan.stream(&ChunkView { direction: Direction::ToServer, offset, data, last: false });
    sids(set, scan.finish().matches)
}

#[test]
fn streams() {
    let cases = [
        (r#"alert tcp any any -> any 80 (content:"pattern"; sid:1;)"#, 0, true),
        (r#"alert tcp any any -> any 81 (content:"pattern"; sid:1;)"#, 0, false),
        (r#"alert tcp-pkt any any -> any 80 (content:"pattern"; sid:1;)"#, 0, false),
        (r#"alert tcp any any -> any any (flow:to_client; content:"pattern"; sid:1;)"#, 0, false),
        (r#"alert tcp any any -> any any (content:"pattern"; depth:10; sid:1;)"#, 0, true),
        (r#"alert tcp any any -> any any (content:"pattern"; depth:10; sid:1;)"#, 100, false),
        (r#"alert tcp any any -> any any (content:"pattern"; offset:100; sid:1;)"#, 100, true),
        (r#"alert tcp any any -> any any (flow:no_stream; content:"pattern"; sid:1;)"#, 0, false),
        (r#"alert http any any -> any any (content:"pattern"; sid:1;)"#, 0, false),
        (r#"alert ip any any -> any any (content:"pattern"; sid:1;)"#, 0, true),
        (r#"alert tcp-stream any any -> any any (content:"pattern"; sid:1;)"#, 0, true),
        (r#"alert tcp [10.0.0.1] any -> any any (pcre:"/pat+ern/"; sid:1;)"#, 0, true),
        (r#"alert tcp [10.0.0.2] any -> any any (pcre:"/pat+ern/"; sid:1;)"#, 0, false),
    ];
    for (rule, offset, expected) in cases {
        assert_eq!(on_stream(&good(rule), b"a pattern here", offset) == [1], expected, "{rule}");
        assert_eq!(on_stream(&naive(rule), b"a pattern here", offset) == [1], expected, "{rule}");
    }
}

#[test]
fn bits_carry_from_rule_to_rule() {
    let set = good(
        r#"alert udp any any -> any any (content:"two"; flowbits:isset,one; sid:2;)
           alert udp any any -> any any (content:"one"; flowbits:set,one; flowbits:noalert; sid:1;)
           alert udp any any -> any any (content:"zilch"; flowbits:isnotset,one; sid:3;)
           alert udp any any -> any any (content:"count"; flowint:n,+,1; noalert; sid:4;)
           alert udp any any -> any any (content:"count"; flowint:n,>=,2; sid:5;)
           alert udp any any -> any any (content:"mark"; xbits:set,m,track ip_src,expire 10; sid:6;)
           alert udp any any -> any any (content:"look"; xbits:isset,m,track ip_src; sid:7;)
           alert udp any any -> any any (content:"clear"; flowbits:unset,one; noalert; sid:8;)"#,
    );
    let (tables, mut scratch, mut flow) =
        (Tables::default(), Scratch::new(&set), FlowState::default());
    let mut step = |payload: &'static [u8], time: u64| {
        let packet = PacketView { time, ..packet(payload) };
        let mut scan = Scan::begin(&set, &tables, &mut scratch, &packet, Some(&mut flow));
        scan.packet();
        sids(&set, scan.finish().matches)
    };
    assert_eq!(step(b"two zilch", 1), [3]);
    // The setter runs before the reader in the same packet, though it stands later in the file.
    assert_eq!(step(b"one two", 2), [2]);
    assert!(step(b"zilch", 3).is_empty());
    assert!(step(b"clear", 4).is_empty());
    assert_eq!(step(b"zilch", 5), [3]);
    assert!(step(b"count", 6).is_empty());
    assert_eq!(step(b"count", 7), [5]);
    assert!(step(b"look", 8).is_empty());
    assert_eq!(step(b"mark", 9), [6]);
    assert_eq!(step(b"look", 10_000_000), [7]);
    assert!(step(b"look", 10_000_010).is_empty());
}

#[test]
fn thresholds() {
    let cases: &[(&str, &[u64], &[bool])] = &[
        (
            "threshold:type limit,track by_src,count 2,seconds 10;",
            &[0, 1, 2, 10, 11],
            &[true, true, false, false, true],
        ),
        (
            "threshold:type threshold,track by_src,count 2,seconds 10;",
            &[0, 1, 2, 3],
            &[false, true, false, true],
        ),
        (
            "threshold:type both,track by_dst,count 2,seconds 10;",
            &[0, 1, 2, 11, 12],
            &[false, true, false, false, true],
        ),
        (
            "detection_filter:track by_rule,count 2,seconds 10;",
            &[0, 1, 2, 3, 20],
            &[false, false, true, true, false],
        ),
        ("threshold:type limit,track by_flow,count 1,seconds 5;", &[0, 1, 6], &[true, false, true]),
        (
            "threshold:type backoff,track by_flow,count 1,multiplier 10;",
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
            &[true, false, false, false, false, false, false, false, false, true],
        ),
    ];
    for (option, seconds, expected) in cases {
        let set = good(&format!("alert udp any any -> any any (content:\"x\"; {option} sid:1;)"));
        let (tables, mut scratch, mut flow) =
            (Tables::default(), Scratch::new(&set), FlowState::default());
        let got: Vec<bool> = seconds
            .iter()
            .map(|second| {
                let packet = PacketView { time: second * 1_000_000, ..packet(b"x") };
                let mut scan = Scan::begin(&set, &tables, &mut scratch, &packet, Some(&mut flow));
                scan.packet();
                !scan.finish().matches.is_empty()
            })
            .collect();
        assert_eq!(&got, expected, "{option}");
    }
}

#[test]
fn at_most_fifteen_alerts_a_packet() {
    let rules: String = (1..=40)
        .map(|sid| format!("alert udp any any -> any any (content:\"abcd\"; sid:{sid};)\n"))
        .collect();
    let set = good(&rules);
    let (tables, mut scratch) = (Tables::default(), Scratch::new(&set));
    let packet = packet(b"abcd");
    let mut scan = Scan::begin(&set, &tables, &mut scratch, &packet, None);
    scan.packet();
    let outcome = scan.finish();
    assert_eq!((outcome.matches.len(), outcome.beyond_limit), (15, 25));
    assert_eq!(scratch.stats().beyond_limit, 25);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    /// Whatever the rules and the traffic: the prefilter loses nothing and adds nothing.
    #[test]
    fn prefiltered_is_naive(
        contents in proptest::collection::vec(("[a-cA-C.]{1,7}", any::<bool>(), 0..5_u8), 1..12),
        payload in "[a-cA-C.]{0,60}",
    ) {
        let rules: String = contents.iter().enumerate().map(|(sid, (content, nocase, modifier))| {
            let nocase = if *nocase { "nocase;" } else { "" };
            let modifier = match modifier { 0 => "endswith;", 1 => "startswith;", 2 => "offset:3;", _ => "" };
            format!("alert udp any any -> any any (content:\"{content}\"; {nocase} {modifier} sid:{};)\n\
                     alert http any any -> any any (http.uri; content:\"{content}\"; {nocase} {modifier} sid:{};)\n", sid + 1, sid + 101)
        }).collect();
        let packet = packet(payload.as_bytes());
        let (with, without) = (good(&rules), naive(&rules));
        prop_assert_eq!(on_packet(&with, &packet), on_packet(&without, &packet));
        let tx = Fixed::new(AppProto::Http, &[(Buffer::HttpUri, &payload)]);
        prop_assert_eq!(on_tx(&with, &tx, Direction::ToServer), on_tx(&without, &tx, Direction::ToServer));
    }
}
