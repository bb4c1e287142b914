//! Which content a rule is looked for by, and where: port groups, directions, hooks, rules without a pattern.

use crate::{
    AppProto, Direction, Report, RuleSet,
    check::pool::bytes_of,
    compile::{fast, group::PortGroups, plan},
    tests::{good, load},
};

/// The pattern that rule 1 is looked for by, lowercase and with `$` when it must be the end of the buffer.
fn pattern(rule: &str) -> String {
    let set = good(rule);
    let rule = &set.rules[0];
    let kind = plan::kind(rule);
    fast::choose(rule, &set.pool, kind.transaction).map_or_else(
        || "-".to_owned(),
        |chosen| {
            let shown = String::from_utf8_lossy(chosen.bytes).into_owned();
            let limit = chosen.limit.map_or_else(String::new, |limit| format!("<{limit}"));
            format!("{shown}{}{limit}", if chosen.at_end { "$" } else { "" })
        },
    )
}

#[test]
fn the_content_that_must_be_there_and_is_rare() {
    let raw = [
        (r#"content:"ab"; content:"abcdef";"#, "abcdef"),
        (r#"content:"abcdef"; content:"ab";"#, "abcdef"),
        (r#"content:"abcdef"; content:!"abcdefghi";"#, "abcdef"),
        (r#"content:!"abcdef";"#, "-"),
        (r#"pcre:"/abcdef/";"#, "-"),
        (r#"content:"HTTP/1.1"; content:"zq~}";"#, "zq~}"),
        // The author's choice, unless it is too short to look for.
        (r#"content:"abcdefgh"; content:"HTTP/1.1"; fast_pattern;"#, "HTTP/1.1"),
        (r#"content:"abcdefgh"; content:"a"; fast_pattern;"#, "abcdefgh"),
        (r#"content:"abcdefgh"; fast_pattern:2,4;"#, "cdef"),
        (r#"content:"AbCdEf"; nocase;"#, "abcdef"),
        // What most headers of DNS have, unless it is elsewhere than in most of them.
        (
            r#"content:"|00 01 00 00 00 01|"; offset:4; depth:6; content:"|03|com"; fast_pattern;"#,
            "\0\u{1}\0\0\0\u{1}<10",
        ),
        (
            r#"content:"|00 01 00 00 00 00|"; offset:4; depth:6; content:"|03|com"; fast_pattern;"#,
            "\u{3}com",
        ),
        // How far from the beginning it may end.
        (r#"content:"abcdef"; depth:10;"#, "abcdef<10"),
        (r#"content:"abcdef"; offset:4; depth:10;"#, "abcdef<14"),
        (r#"content:"abcdef"; startswith;"#, "abcdef<6"),
        (r#"content:"abcdef"; offset:4;"#, "abcdef"),
        (r#"content:"a"; content:"bcdefg"; distance:0; depth:9;"#, "bcdefg"),
        (r#"byte_extract:1,0,n; content:"abcdef"; depth:n;"#, "abcdef"),
        // The end of a stream is not known.
        (r#"content:"abcdef"; endswith;"#, "abcdef"),
        (r#"base64_decode; base64_data; content:"abcdef";"#, "-"),
    ];
    for (options, expected) in raw {
        assert_eq!(
            pattern(&format!("alert tcp any any -> any any ({options} sid:1;)")),
            expected,
            "{options}"
        );
    }
    let buffers = [
        (r#"http.host; content:"evil.example"; endswith;"#, "evil.example$"),
        (r#"http.host; dotprefix; content:".evil.example"; endswith; bsize:13;"#, ".evil.example$"),
        (r#"http.uri; content:"/gate.php"; content:"xyz";"#, "/gate.php"),
        (r#"http.request_body; content:"abcdef"; endswith;"#, "abcdef"),
        // Payload beside a buffer announces nothing: the transaction is looked at by its buffers.
        (r#"http.uri; content:"ab"; pkt_data; content:"abcdefgh";"#, "ab"),
        (r#"http.referer; absent:or_else; content:"abcdef"; http.uri; content:"ab";"#, "ab"),
        (r#"http.referer; absent:or_else; content:"abcdef";"#, "-"),
        (r#"http.uri; pcre:"/abc/";"#, "-"),
    ];
    for (options, expected) in buffers {
        assert_eq!(
            pattern(&format!("alert http any any -> any any ({options} sid:1;)")),
            expected,
            "{options}"
        );
    }
}

/// Rules of a group: those of any port, those of the listed ports, those without a pattern.
fn group(set: &RuleSet, groups: &PortGroups) -> String {
    let sids = |ids: Vec<u32>| {
        let mut sids: Vec<u32> = ids.iter().map(|id| set.rules[*id as usize].meta.sid).collect();
        sids.sort_unstable();
        sids.dedup();
        format!("{sids:?}")
    };
    let mut ports: Vec<_> =
        groups.by_port.iter().map(|(port, searches)| (*port, sids(searches.rules()))).collect();
    ports.sort();
    format!(
        "all {} ports {ports:?} always {}",
        sids(groups.all.rules()),
        sids(groups.always.clone())
    )
}

#[test]
fn groups_by_port_and_direction() {
    let wide: Vec<String> = (1..=17).map(|port| (port * 2).to_string()).collect();
    let set = good(&format!(
        "alert tcp any any -> any any (content:\"tent\"; sid:1;)\n\
         alert tcp any any -> any 80 (content:\"tent\"; sid:2;)\n\
         alert tcp any 25 -> any any (content:\"tent\"; sid:3;)\n\
         alert tcp any any -> any [80,81] (flow:to_server; content:\"tent\"; sid:4;)\n\
         alert tcp any any -> any !80 (content:\"tent\"; sid:5;)\n\
         alert tcp any 80 <> any 81 (content:\"tent\"; sid:6;)\n\
         alert tcp any any -> any [{}] (content:\"tent\"; sid:7;)\n\
         alert tcp any any -> any any (flow:to_client; pcre:\"/a/\"; sid:8;)\n\
         alert udp any any -> any 53 (content:\"|00 00 00 00|\"; sid:9;)\n\
         alert tcp-pkt any any -> any 80 (content:\"tent\"; sid:10;)",
        wide.join(",")
    ));
    let expected = [
        (
            "all [1, 3, 5, 6, 7] ports [(80, \"[2, 4]\"), (81, \"[4]\")] always []",
            Direction::ToServer,
        ),
        ("all [1, 2, 5, 6, 7] ports [(25, \"[3]\")] always [8]", Direction::ToClient),
    ];
    for (expected, direction) in expected {
        assert_eq!(group(&set, &set.plan.stream[direction.index()]), expected, "{direction:?}");
    }
    for direction in [0, 1] {
        let of = |transport: usize| group(&set, &set.plan.packet[transport][direction]);
        assert_eq!(of(0), "all [] ports [(80, \"[10]\")] always []");
        assert_eq!(of(1), "all [] ports [(53, \"[9]\")] always []");
        assert_eq!(of(2), "all [] ports [] always []");
    }
}

#[test]
fn long_packets_are_searched_by_what_is_near_their_beginning_and_by_protocol() {
    let set = good(
        "alert tcp any any -> any any (content:\"PDF-\"; depth:300; content:\"abcdefgh\"; distance:0; sid:1;)\n\
         alert tcp any any -> any any (content:\"|16|\"; startswith; content:\"abcdefgh\"; sid:2;)\n\
         alert dns any any -> any any (content:\"|01|\"; offset:2; content:\"abcdefgh\"; sid:3;)\n\
         alert http any any -> any any (content:\"|01|\"; offset:2; content:\"abcdefgh\"; sid:4;)\n\
         alert tcp-pkt any any -> any 8081 (content:\"abcdefgh\"; sid:5;)",
    );
    let groups = &set.plan.packet[0][0];
    let sids = |ids: &[u32]| {
        let mut sids: Vec<u32> = ids.iter().map(|id| set.rules[*id as usize].meta.sid).collect();
        sids.sort_unstable();
        sids
    };
    assert_eq!(sids(groups.all.any.rules()), [4]);
    assert_eq!(sids(groups.all.head.rules()), [1]);
    assert!(groups.all.fixed.rules().is_empty());
    assert_eq!(sids(&groups.all.large_fixed.rules()), [2]);
    assert_eq!(sids(groups.by_app[&AppProto::Dns].any.rules()), [3]);
    assert_eq!(sids(groups.by_port[&8081].any.rules()), [5]);
    // Protocols that are never over UDP are not looked for there.
    assert_eq!(sids(&set.plan.packet[1][0].all.rules()), [3]);
}

#[test]
fn rules_of_address_lists_are_found_by_address() {
    let mut text = String::new();
    for n in 0..200_u32 {
        text.push_str(&format!(
            "alert ip [10.0.0.{n},10.0.1.0-10.0.1.{n}] any -> any any (sid:{};)\n",
            n + 1
        ));
    }
    text.push_str("alert ip any any -> 192.0.2.0/24 any (sid:900;)\nalert ip any any -> any any (sid:901;)\nalert ip 2001:db8::/32 any -> any any (sid:902;)");
    let set = good(&text);
    let [src, dst] = &set.plan.addresses.addresses;
    let sids =
        |ids: &[u32]| ids.iter().map(|id| set.rules[*id as usize].meta.sid).collect::<Vec<_>>();
    let at = |text: &str| text.parse().unwrap();
    assert_eq!(sids(src.lookup(at("10.0.0.7"))), [8]);
    assert_eq!(src.lookup(at("10.0.1.0")).len(), 200);
    assert_eq!(src.lookup(at("10.0.1.198")).len(), 2);
    assert_eq!(sids(src.lookup(at("10.0.1.199"))), [200]);
    assert!(src.lookup(at("10.0.1.200")).is_empty() && src.lookup(at("9.255.255.255")).is_empty());
    assert!(src.lookup(at("::1")).is_empty());
    assert_eq!(sids(dst.lookup(at("192.0.2.255"))), [900]);
    assert!(dst.lookup(at("192.0.3.0")).is_empty());
    assert_eq!(sids(&set.plan.addresses.always), [901, 902]);
}

#[test]
fn hooks_only_where_a_buffer_exists() {
    let set = good(
        "alert http any any -> any any (http.uri; content:\"a\"; sid:1;)\n\
         alert http any any -> any any (http.uri; content:\"b\"; sid:2;)\n\
         alert http any any -> any any (http.uri; to_lowercase; content:\"c\"; sid:3;)\n\
         alert tcp any any -> any any (file.data; content:\"d\"; sid:4;)\n\
         alert http any any -> any any (http.header; content:\"e\"; sid:5;)\n\
         alert dns any any -> any any (dns.opcode:1; sid:6;)",
    );
    let hooks = |proto: AppProto, direction: Direction| {
        let plan = &set.plan.tx[proto as usize][direction.index()];
        let names: Vec<&str> = plan.hooks.iter().map(|hook| hook.buffer.name()).collect();
        (names.join(" "), plan.loose.len())
    };
    assert_eq!(
        hooks(AppProto::Http, Direction::ToServer),
        ("http.uri http.uri http.header file.data".to_owned(), 0)
    );
    assert_eq!(hooks(AppProto::Http, Direction::ToClient), ("http.header file.data".to_owned(), 0));
    assert_eq!(hooks(AppProto::Smtp, Direction::ToServer), ("file.data".to_owned(), 0));
    assert_eq!(hooks(AppProto::Dns, Direction::ToServer), (String::new(), 1));
    assert_eq!(hooks(AppProto::Tls, Direction::ToServer), (String::new(), 0));
}

#[test]
fn patterns_are_kept_once() {
    let rules: String = (1..=100).map(|sid| format!("alert tcp any any -> any any (content:\"shared pattern\"; pcre:\"/shared/\"; sid:{sid};)\n")).collect();
    let (set, Report { accepted, .. }) = load(&rules);
    assert_eq!(accepted, 100);
    assert_eq!(
        (set.pool.len(), set.regexes.len(), set.addresses.len(), set.ports.len()),
        ("shared pattern".len(), 1, 1, 1)
    );
    assert_eq!(bytes_of(&set.pool, crate::check::rule::Pattern { start: 7, len: 7 }), b"pattern");
    assert!(
        bytes_of(&set.pool, crate::check::rule::Pattern { start: 7, len: 8 }).is_empty(),
        "out of the pool"
    );
}
