//! Entry points for fuzzing: any bytes, no panic, bounded work.

use std::net::IpAddr;

use crate::{
    AddressFiles, ChunkView, Direction, FlowState, FlowView, IpFields, LoadOptions, PacketView,
    RuleSet, Scan, Scratch, Source, Tables,
};

/// Loads the bytes as a rule file.
pub fn fuzz_rules(data: &[u8]) {
    let source = Source { name: "fuzz".to_owned(), text: data.to_vec() };
    let (rules, report) = RuleSet::load(vec![source], &LoadOptions::default());
    assert_eq!(rules.len(), report.accepted);
    for id in rules.ids() {
        assert!(rules.rule(id).is_some());
    }
}

/// Up to the first empty line a rule file, the rest is traffic.
pub fn fuzz_scan(data: &[u8]) {
    let split = memchr::memmem::find(data, b"\n\n").unwrap_or(data.len());
    let (text, traffic) = data.split_at(split);
    let source = Source { name: "fuzz".to_owned(), text: text.to_vec() };
    let (rules, _) = RuleSet::load(vec![source], &LoadOptions::default());
    let (tables, mut scratch, mut flow) =
        (Tables::default(), Scratch::new(&rules), FlowState::default());
    for (time, payload) in (0_u64..).zip(traffic.chunks(1_400)) {
        let packet = PacketView {
            time,
            ip: IpFields { version: 4, ..IpFields::default() },
            ip_proto: if time.is_multiple_of(2) { 6 } else { 17 },
            src_port: Some(1),
            dst_port: Some(80),
            payload,
            direction: Some(Direction::ToServer),
            flow: Some(FlowView { established: true, ..FlowView::default() }),
            ..PacketView::default()
        };
        let mut scan = Scan::begin(&rules, &tables, &mut scratch, &packet, Some(&mut flow));
        scan.packet();
        scan.stream(&ChunkView {
            direction: Direction::ToServer,
            offset: time * 1_400,
            data: payload,
            last: false,
        });
        assert!(scan.finish().matches.len() <= 15);
    }
}

/// Up to the first empty line a file of categories, the rest one of reputations; a rule on each category is checked
/// against packets of a few hosts.
pub fn fuzz_reputation(data: &[u8]) {
    let split = memchr::memmem::find(data, b"\n\n").unwrap_or(data.len());
    let (categories, scores) = data.split_at(split);
    let file = |text: &[u8]| Source { name: "fuzz".to_owned(), text: text.to_vec() };
    let addresses = AddressFiles {
        categories: Some(file(categories)),
        reputation: vec![file(scores)],
        ..AddressFiles::default()
    };
    look_up(&addresses, "iprep:src,A,isset", "iprep:src,A,isnotset", true);
}

/// The bytes as a database of countries; rules on countries are checked against packets of a few hosts.
pub fn fuzz_countries(data: &[u8]) {
    let database = Source { name: "fuzz".to_owned(), text: data.to_vec() };
    let addresses = AddressFiles { countries: Some(database), ..AddressFiles::default() };
    look_up(&addresses, "geoip:src,US", "geoip:src,!US", false);
}

/// Rules with one keyword and with its opposite: of each host at most one matches, and one does when `either`.
fn look_up(addresses: &AddressFiles, keyword: &str, opposite: &str, either: bool) {
    let rule =
        |keyword: &str, sid: u32| format!("alert udp any any -> any any ({keyword}; sid:{sid};)\n");
    let text = format!("{}{}", rule(keyword, 1), rule(opposite, 2)).into_bytes();
    let options = LoadOptions { addresses: addresses.clone(), ..LoadOptions::default() };
    let (rules, report) = RuleSet::load(vec![Source { name: "rules".to_owned(), text }], &options);
    assert_eq!(rules.len(), report.accepted);
    // Both rules need the same.
    assert!(rules.is_empty() || rules.len() == 2);
    let hosts =
        ["0.0.0.0", "1.1.1.1", "10.0.0.1", "255.255.255.255", "::", "2001:db8::1", "2002::"];
    for host in hosts.iter().filter_map(|host| host.parse::<IpAddr>().ok()) {
        let version = if host.is_ipv4() { 4 } else { 6 };
        let ip = IpFields { version, ..IpFields::default() };
        let packet = PacketView { src: host, ip, ip_proto: 17, ..PacketView::default() };
        let (tables, mut scratch) = (Tables::default(), Scratch::new(&rules));
        let mut scan = Scan::begin(&rules, &tables, &mut scratch, &packet, None);
        scan.packet();
        let found = scan.finish().matches.len();
        assert!(found <= 1 && (found == 1 || !either || rules.is_empty()), "{host}: {found}");
    }
}

/// Contents of at most eight bytes, then a payload: which rules match must be what a search for each
/// content says. A byte for their number; for each a byte for length and modifiers, then its bytes.
pub fn fuzz_prefilter(data: &[u8]) {
    let Some((count, mut rest)) = data.split_first() else { return };
    let (mut text, mut contents) = (String::new(), Vec::new());
    for sid in 1..=u32::from(count % 40) {
        let Some((kind, tail)) = rest.split_first() else { break };
        let Some((content, tail)) = tail.split_at_checked(usize::from(kind & 7) + 1) else { break };
        rest = tail;
        let (nocase, ends) = (kind & 8 != 0, kind & 16 != 0);
        text.push_str("alert udp any any -> any any (content:\"|");
        content.iter().for_each(|byte| text.push_str(&format!("{byte:02x} ")));
        text.push_str("|\"; ");
        text.push_str(if nocase { "nocase; " } else { "" });
        text.push_str(if ends { "endswith; " } else { "" });
        text.push_str(&format!("sid:{sid};)\n"));
        contents.push((sid, content, nocase, ends));
    }
    let payload = rest;
    let same = |nocase: bool, there: &[u8], content: &[u8]| {
        if nocase { there.eq_ignore_ascii_case(content) } else { there == content }
    };
    let expected: Vec<u32> = contents
        .into_iter()
        .filter(|(_, content, nocase, ends)| {
            let mut places = payload.windows(content.len());
            if *ends {
                places.next_back().is_some_and(|there| same(*nocase, there, content))
            } else {
                places.any(|there| same(*nocase, there, content))
            }
        })
        .map(|(sid, ..)| sid)
        .collect();
    let source = Source { name: "fuzz".to_owned(), text: text.into_bytes() };
    let (rules, report) = RuleSet::load(vec![source], &LoadOptions::default());
    assert!(report.rejected.is_empty(), "{:?}", report.rejected);
    let (tables, mut scratch) = (Tables::default(), Scratch::new(&rules));
    let packet = PacketView {
        ip: IpFields { version: 4, ..IpFields::default() },
        ip_proto: 17,
        src_port: Some(1),
        dst_port: Some(80),
        payload,
        ..PacketView::default()
    };
    let mut scan = Scan::begin(&rules, &tables, &mut scratch, &packet, None);
    scan.packet();
    let outcome = scan.finish();
    let sids: Vec<u32> =
        outcome.matches.iter().filter_map(|m| rules.rule(m.rule)).map(|rule| rule.sid).collect();
    let told = sids.len() + usize::try_from(outcome.beyond_limit).unwrap_or(usize::MAX);
    assert_eq!((told, sids.as_slice()), (expected.len(), &expected[..sids.len()]), "{rules:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: &[&str] = &[
        r#"alert tcp any any -> any any (content:"a"; content:"b"; distance:-3; within:9; sid:1;)"#,
        r#"alert ip [1.2.3.4,!$HOME_NET] :80 <> any [1:2,!3] (pcre:"/(a|b)*\1/Ri"; byte_jump:4,-2,relative,from_end,post_offset -9; sid:2;)"#,
        r#"alert udp any any -> any any (byte_extract:2,0,x; content:"c"; offset:x; within:x; base64_decode:relative; base64_data; content:"d"; sid:3;)"#,
        r#"alert http any any -> any any (http.uri; url_decode; content:"x"; pcre:"/^[^a-z\]]+$/U"; threshold:type both,track by_src,count 1,seconds 1; sid:4;)"#,
        r#"drop tcp any any -> any any (byte_math:bytes 8,offset 0,oper /,rvalue 0,result r; asn1:oversize_length 1,relative_offset -5; isdataat:!r,relative; sid:5;)"#,
    ];

    #[test]
    fn the_small_corpus() {
        for rule in RULES {
            fuzz_rules(rule.as_bytes());
            fuzz_scan(format!("{}\n\nabcabcabcd\0\u{1}\u{2}", RULES.join("\n")).as_bytes());
        }
    }

    const REPUTATION: &[&str] = &[
        "1,A,first\n2,B,second\n\n\n1.1.1.1,1,5\n0.0.0.0/0,2,127\n2001:db8::/32,1,0\n::/0,1,3\n",
        "# c\n59,A\n\nip,category,score\r\n10.0.0.1,59,1\r\n10.0.0.0/8,59,2\n",
    ];

    #[test]
    fn files_about_addresses_cut_and_damaged_at_every_byte() {
        let damage = |fuzz: fn(&[u8]), file: &[u8]| {
            fuzz(file);
            for at in 0..file.len() {
                fuzz(&file[..at]);
                for byte in [0, 1, b',', 0x20, 0xff, file[at] ^ 1, file[at] ^ 0x80] {
                    let mut damaged = file.to_vec();
                    damaged[at] = byte;
                    fuzz(&damaged);
                }
            }
        };
        REPUTATION.iter().for_each(|text| damage(fuzz_reputation, text.as_bytes()));
        damage(fuzz_countries, &crate::load::small_database());
    }

    /// Pieces that cost most when there are many of them.
    const PIECES: &[&str] = &[
        "[",
        "]",
        "!",
        ",",
        "$HOME_NET",
        "(",
        "content:\"a\";",
        "dns.query;",
        "nocase;",
        "\\\n",
        "9",
    ];

    #[test]
    fn pieces_repeated_by_the_thousand() {
        for piece in PIECES {
            for before in [
                "",
                "alert ip ",
                "alert ip any any -> any any (",
                "alert dns any any -> any any (content:\"a\"; offset:",
            ] {
                for count in [300, 5_000] {
                    fuzz_rules(format!("{before}{};)", piece.repeat(count)).as_bytes());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn repeated_pieces(pieces in proptest::collection::vec((0..PIECES.len(), 1..100_usize), 1..4)) {
            let text: String = pieces.iter().map(|(which, count)| PIECES[*which].repeat(*count)).collect();
            fuzz_rules(format!("alert ip {text} any -> any any ({text} sid:1;)").as_bytes());
        }

        #[test]
        fn damaged_rules(which in 0..5_usize, at in any::<prop::sample::Index>(), byte: u8, traffic in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut data = RULES[which].as_bytes().to_vec();
            let at = at.index(data.len());
            data[at] = byte;
            fuzz_rules(&data);
            data.extend_from_slice(b"\n\n");
            data.extend_from_slice(&traffic);
            fuzz_scan(&data);
        }

        #[test]
        fn the_prefilter_finds_what_a_search_finds(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            fuzz_prefilter(&data);
            // Few letters, so that much is found.
            fuzz_prefilter(&data.iter().map(|byte| b"aAb\x10\x1b\x0a"[usize::from(*byte) % 6]).collect::<Vec<_>>());
        }

        #[test]
        fn random_bytes(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            fuzz_rules(&data);
            fuzz_scan(&data);
            fuzz_reputation(&data);
            fuzz_countries(&data);
        }
    }
}
