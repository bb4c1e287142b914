//! Every reason for refusing a rule, from rules as people get them wrong: the place, what is wrong, what to do.

use expect_test::{Expect, expect};

use crate::tests::{everything, reasons};

/// Options of rules that must all be refused, one rule a line.
pub(super) fn check(options: &[&str], expected: &Expect) {
    let text: String = (1..)
        .zip(options)
        .map(|(sid, option)| format!("alert ip any any -> any any ({option} sid:{sid};)\n"))
        .collect();
    expected.assert_eq(&reasons(text.as_bytes(), &everything()));
}

#[test]
fn contents() {
    check(
        &[
            r#"content;"#,
            r#"content:;"#,
            r#"content:"abc;"#,
            r#"content:abc";"#,
            r#"content:!abc;"#,
            r#"content:"a"b";"#,
            r#"content:"a\nb";"#,
            r#"content:"|4 1|x|4|";"#,
            r#"content:"|zz|";"#,
            r#"content:"|41";"#,
            r#"content:"a"; offset:-1;"#,
            r#"content:"a"; offset:65536;"#,
            r#"content:"a"; depth:0;"#,
            r#"content:"a"; depth:x;"#,
            r#"content:"a"; distance:-65536;"#,
            r#"content:"a"; within:0;"#,
            r#"content:"a"; within:1; within:2;"#,
            r#"content:"a"; offset:1; startswith;"#,
            r#"content:"a"; startswith; distance:0;"#,
            r#"content:"a"; endswith; endswith;"#,
            r#"content:"a"; nocase:yes;"#,
            r#"content:"a"; fast_pattern; fast_pattern:only;"#,
            r#"content:"a"; fast_pattern:0;"#,
            r#"content:"abc"; fast_pattern:1,0;"#,
            r#"content:"abc"; fast_pattern:3,1;"#,
            r#"depth:5; content:"a";"#,
            r#"content:"a"; rawbytes:1;"#,
        ],
        &expect![[r#"
            0 accepted
            1:30 sid 1: content: needs quotes: ""
            2:30 sid 2: content: needs quotes: ""
            3:30 sid 3: content: unbalanced quotes: ""abc"
            4:30 sid 4: content: needs quotes: "abc""
            5:30 sid 5: content: needs quotes: "!abc"
            6:30 sid 6: content: unescaped quote: ""a"b""
            7:30 sid 7: content: a backslash may only stand before \ ; : ": ""a\nb""
            8:30 sid 8: content: odd number of hex digits: ""|4 1|x|4|""
            9:30 sid 9: content: not a hex digit between "|": ""|zz|""
            10:30 sid 10: content: hex part without closing "|": ""|41""
            11:43 sid 11: offset: out of range: "-1"
            12:43 sid 12: offset: out of range: "65536"
            13:43 sid 13: depth: smaller than the content: "0"
            14:43 sid 14: depth: neither a number nor a value read before: "x"
            15:43 sid 15: distance: out of range: "-65536"
            16:43 sid 16: within: smaller than the content: "0"
            17:53 sid 17: within: given twice for one content
            18:53 sid 18: startswith: cannot be combined with depth, offset, distance or within
            19:55 sid 19: distance: cannot be combined with startswith
            20:53 sid 20: endswith: given twice
            21:43 sid 21: nocase: takes no value: "yes"
            22:57 sid 22: fast_pattern: given twice
            23:43 sid 23: fast_pattern: expected only, or offset,length: "0"
            24:45 sid 24: fast_pattern: the part is not inside the content
            25:45 sid 25: fast_pattern: the part is not inside the content
            26:30 sid 26: depth: needs a preceding content
            27:43 sid 27: rawbytes: takes no value: "1"
        "#]],
    );
}

#[test]
fn expressions_and_sizes() {
    check(
        &[
            r#"pcre;"#,
            r#"pcre:"a";"#,
            r#"pcre:"/a";"#,
            r#"pcre:"/a/q";"#,
            r#"pcre:"/[a/";"#,
            r#"pcre:"/a{3,1}/";"#,
            r#"pcre:"/(?P<n>a)/, flow:n";"#,
            r#"pcre:"/(a)\1/E";"#,
            r#"pcre:"/a/UH";"#,
            r#"http.header; content:"b"; pcre:"/a/U";"#,
            r#"isdataat;"#,
            r#"isdataat:-1;"#,
            r#"isdataat:65536;"#,
            r#"isdataat:1,absolute;"#,
            r#"isdataat:unknown;"#,
            r#"dsize:65536;"#,
            r#"dsize:5<>5;"#,
            r#"dsize:9<>5;"#,
            r#"dsize:large;"#,
            r#"http.uri; bsize:>;"#,
            r#"urilen:5,upper;"#,
            r#"urilen:70000;"#,
            r#"http.uri; absent:maybe;"#,
            r#"absent;"#,
            r#"http.uri; absent; content:"a";"#,
        ],
        &expect![[r#"
            1 accepted
            1:30 sid 1: pcre: expected /expression/flags: ""
            2:30 sid 2: pcre: expected /expression/flags: ""a""
            3:30 sid 3: pcre: no closing "/": ""/a""
            4:30 sid 4: pcre: unknown flag "q": ""/a/q""
            5:30 sid 5: pcre: invalid expression: PCRE2: error compiling pattern at offset 2: missing terminating ] for character class: ""/[a/""
            6:30 sid 6: pcre: invalid expression: PCRE2: error compiling pattern at offset 5: numbers out of order in {} quantifier: ""/a{3,1}/""
            7:30 sid 7: keyword "pcre" is not evaluated: captures into variables
            9:30 sid 9: pcre: two buffer flags: ""/a/UH""
            10:56 sid 10: pcre: its buffer flag contradicts the buffer it stands in
            11:30 sid 11: isdataat: needs a value: ""
            12:30 sid 12: isdataat: out of range: "-1"
            13:30 sid 13: isdataat: out of range: "65536"
            14:30 sid 14: isdataat: unknown modifier: "1,absolute"
            15:30 sid 15: isdataat: neither a number nor a value read before: "unknown"
            16:30 sid 16: dsize: not a comparison or out of range: "65536"
            17:30 sid 17: dsize: not a comparison or out of range: "5<>5"
            18:30 sid 18: dsize: not a comparison or out of range: "9<>5"
            19:30 sid 19: dsize: not a comparison or out of range: "large"
            20:40 sid 20: bsize: not a comparison or out of range: ">"
            21:30 sid 21: urilen: expected norm or raw: "5,upper"
            22:30 sid 22: urilen: not a comparison or out of range: "70000"
            23:40 sid 23: absent: expected or_else: "maybe"
            24:30 sid 24: absent: must follow a buffer
            25:1 sid 25: absent: cannot stand with contents; use absent:or_else
        "#]],
    );
}

const NUMBERS: &[&str] = &[
    "byte_test:1,=,1;",
    "byte_test:0,=,1,0;",
    "byte_test:9,=,1,0;",
    "byte_test:24,=,1,0,string,dec;",
    "byte_test:1,~,1,0;",
    "byte_test:1,=,many,0;",
    "byte_test:1,=,1,here;",
    "byte_test:1,=,1,0,upwards;",
    "byte_test:1,=,1,0,dec;",
    "byte_test:1,=,1,0,bitmask 0;",
    "byte_test:1,=,1,0,bitmask 0x1ffffffff;",
    "byte_test:1,=,1,0,dce;",
    "byte_jump:1;",
    "byte_jump:9,0;",
    "byte_jump:1,0,multiplier 0;",
    "byte_jump:1,0,multiplier 65536;",
    "byte_jump:1,0,post_offset 65536;",
    "byte_jump:1,0,post_offset;",
    "byte_jump:1,0,sideways;",
    "byte_jump:1,0,dce;",
    "byte_extract:1,0;",
    "byte_extract:1,0,1st;",
    "byte_extract:1,0,n,align 3;",
    "byte_extract:1,0,n,multiplier -1;",
    "byte_extract:1,0,n,up;",
    "byte_math:bytes 1,offset 0,oper +,rvalue 1;",
    "byte_math:bytes 1,offset 0,oper %,rvalue 1,result r;",
    "byte_math:bytes 1,offset 0,oper +,rvalue q,result r;",
    "byte_math:bytes 1,offset 0,oper +,rvalue 1,result r,endian middle;",
    "byte_math:bytes 1,offset 0,oper +,rvalue 1,result r,dizzy;",
    "byte_math:bytes 1,offset 0,oper +,rvalue 1,result r,endian dce;",
    "base64_decode:bytes x;",
    "base64_decode:offset 65536;",
    "base64_decode:sideways;",
    "base64_data;",
    r#"base64_decode; content:"a"; base64_data;"#,
    "asn1:oversize_length;",
    "asn1:double;",
    "asn1:relative_offset 70000;",
];

#[test]
fn numbers_in_traffic() {
    check(
        NUMBERS,
        &expect![[r#"
            0 accepted
            1:30 sid 1: byte_test: expected bytes,operator,value,offset: "1,=,1"
            2:30 sid 2: byte_test: byte count and encoding do not fit: "0,=,1,0"
            3:30 sid 3: byte_test: byte count and encoding do not fit: "9,=,1,0"
            4:30 sid 4: byte_test: byte count and encoding do not fit: "24,=,1,0,string,dec"
            5:30 sid 5: byte_test: unknown operator: "1,~,1,0"
            6:30 sid 6: byte_test: value is neither a number nor read before: "1,=,many,0"
            7:30 sid 7: byte_test: neither a number nor a value read before: "here"
            8:30 sid 8: byte_test: unknown modifier: "1,=,1,0,upwards"
            9:30 sid 9: byte_test: byte count and encoding do not fit: "1,=,1,0,dec"
            10:30 sid 10: byte_test: unknown modifier: "1,=,1,0,bitmask 0"
            11:30 sid 11: byte_test: unknown modifier: "1,=,1,0,bitmask 0x1ffffffff"
            12:1 sid 12: keyword "dce" is not evaluated: byte order of DCERPC outside of its buffers
            13:30 sid 13: byte_jump: expected bytes,offset: "1"
            14:30 sid 14: byte_jump: byte count and encoding do not fit: "9,0"
            15:30 sid 15: byte_jump: multiplier out of range: "1,0,multiplier 0"
            16:30 sid 16: byte_jump: multiplier out of range: "1,0,multiplier 65536"
            17:30 sid 17: byte_jump: post_offset out of range: "1,0,post_offset 65536"
            18:30 sid 18: byte_jump: post_offset out of range: "1,0,post_offset"
            19:30 sid 19: byte_jump: unknown modifier: "1,0,sideways"
            20:1 sid 20: keyword "dce" is not evaluated: byte order of DCERPC outside of its buffers
            21:30 sid 21: byte_extract: expected bytes,offset,name: "1,0"
            22:30 sid 22: byte_extract: too many values, or not a name: "1,0,1st"
            23:30 sid 23: byte_extract: align must be 2 or 4: "1,0,n,align 3"
            24:30 sid 24: byte_extract: multiplier out of range: "1,0,n,multiplier -1"
            25:30 sid 25: byte_extract: unknown modifier: "1,0,n,up"
            26:30 sid 26: byte_math: bytes, offset, oper, rvalue and result are needed: "bytes 1,offset 0,oper +,rvalue 1"
            27:30 sid 27: byte_math: bytes, offset, oper, rvalue and result are needed: "bytes 1,offset 0,oper %,rvalue 1,result r"
            28:30 sid 28: byte_math: bytes, offset, oper, rvalue and result are needed: "bytes 1,offset 0,oper +,rvalue q,result r"
            29:30 sid 29: byte_math: unknown modifier: "bytes 1,offset 0,oper +,rvalue 1,result r,endian middle"
            30:30 sid 30: byte_math: unknown modifier: "bytes 1,offset 0,oper +,rvalue 1,result r,dizzy"
            31:1 sid 31: keyword "dce" is not evaluated: byte order of DCERPC outside of its buffers
            32:30 sid 32: base64_decode: expected bytes N, offset N, relative: "bytes x"
            33:30 sid 33: base64_decode: expected bytes N, offset N, relative: "offset 65536"
            34:30 sid 34: base64_decode: expected bytes N, offset N, relative: "sideways"
            35:30 sid 35: base64_data: must follow base64_decode
            36:58 sid 36: base64_data: must follow base64_decode
            37:30 sid 37: asn1: not a number: "oversize_length"
            38:30 sid 38: asn1: unknown modifier: "double"
            39:30 sid 39: asn1: not a number: "relative_offset 70000"
        "#]],
    );
}

const PACKETS: &[&str] = &[
    "flow;",
    "flow:;",
    "flow:established,established;",
    "flow:to_server,from_server;",
    "flow:established,not_established;",
    "flow:no_stream,only_stream;",
    "flow:no_frag,only_frag;",
    "flow:established,upwards;",
    "flags:X;",
    "flags:+;",
    "flags:S,X;",
    "fragbits:Q;",
    "fragbits:+;",
    "ipopts:nope;",
    "sameip:yes;",
    "ttl:256;",
    "ttl:-1;",
    "ttl:5-;",
    "ip_proto:256;",
    "ip_proto:avian;",
    "itype:256;",
    "icmp_id:65536;",
    "seq:4294967296;",
    "window:65536;",
    "stream_size:server;",
    "stream_size:nobody,>,5;",
    "stream_size:both,?,5;",
    "flow.pkts:both;",
    "flow.age:old;",
    "app-layer-protocol:gopher;",
    "app-layer-protocol:rdp;",
    "app-layer-protocol:http,final;",
    "app-layer-event:gopher.broken;",
    "tls.version:2.0;",
    "tls.version:0x10000;",
    "dns.opcode:256;",
    "dns.opcode:1; tls.version:1.2;",
];

#[test]
fn packets_and_flows() {
    check(
        PACKETS,
        &expect![[r#"
            1 accepted
            1:30 sid 1: flow: needs a value: ""
            2:30 sid 2: flow: needs a value: ""
            3:30 sid 3: flow: the same word twice: "established,established"
            4:30 sid 4: flow: contradicting words: "to_server,from_server"
            5:30 sid 5: flow: contradicting words: "established,not_established"
            6:30 sid 6: flow: contradicting words: "no_stream,only_stream"
            7:30 sid 7: flow: contradicting words: "no_frag,only_frag"
            8:30 sid 8: flow: unknown word: "established,upwards"
            9:30 sid 9: flags: not understood: "X"
            10:30 sid 10: flags: not understood: "+"
            11:30 sid 11: flags: not understood: "S,X"
            12:30 sid 12: fragbits: not understood: "Q"
            13:30 sid 13: fragbits: not understood: "+"
            14:30 sid 14: ipopts: unknown option: "nope"
            15:30 sid 15: sameip: takes no value: "yes"
            16:30 sid 16: ttl: not a comparison or out of range: "256"
            17:30 sid 17: ttl: not a comparison or out of range: "-1"
            18:30 sid 18: ttl: not a comparison or out of range: "5-"
            19:30 sid 19: ip_proto: not a comparison or out of range: "256"
            20:30 sid 20: ip_proto: not a comparison or out of range: "avian"
            21:30 sid 21: itype: not a comparison or out of range: "256"
            22:30 sid 22: icmp_id: not a comparison or out of range: "65536"
            23:30 sid 23: seq: not a comparison or out of range: "4294967296"
            24:30 sid 24: window: not a comparison or out of range: "65536"
            25:30 sid 25: stream_size: not understood: "server"
            26:30 sid 26: stream_size: not understood: "nobody,>,5"
            27:30 sid 27: stream_size: not understood: "both,?,5"
            28:30 sid 28: flow.pkts: not understood: "both"
            29:30 sid 29: flow.age: not a comparison or out of range: "old"
            30:30 sid 30: app-layer-protocol: unknown protocol: "gopher"
            31:30 sid 31: keyword "rdp" is not evaluated: this protocol is not detected
            33:30 sid 33: app-layer-event: unknown protocol: "gopher.broken"
            34:30 sid 34: tls.version: not one known version: "2.0"
            35:30 sid 35: tls.version: not one known version: "0x10000"
            36:30 sid 36: dns.opcode: not a comparison or out of range: "256"
            37:44 sid 37: tls.version: does not exist in dns
        "#]],
    );
}

const MEMORY: &[&str] = &[
    "flowbits:set;",
    "flowbits:set,;",
    "flowbits:set,a b;",
    "flowbits:set,a|b;",
    "flowbits:isset,a||b;",
    "flowbits:raise,a;",
    "xbits:set;",
    "xbits:set,a;",
    "xbits:set,a,track tx;",
    "xbits:set,a,track ip_src,expire 0;",
    "xbits:set,,track ip_src;",
    "xbits:raise,a,track ip_src;",
    "hostbits:set,a,nowhere;",
    "flowint:;",
    "flowint:n;",
    "flowint:n,+;",
    "flowint:n,*,2;",
    "flowint:n,=,4294967296;",
    "threshold:;",
    "threshold:type limit;",
    "threshold:type limit,track by_src,count 0,seconds 5;",
    "threshold:type limit,track by_src,count 1,seconds 0;",
    "threshold:type limit,track by_moon,count 1,seconds 5;",
    "threshold:type sometimes,track by_src,count 1,seconds 5;",
    "threshold:type limit,track by_src,count x,seconds 5;",
    "threshold:type limit,track by_src,count 1,seconds 5,often;",
    "threshold:type backoff,track by_src,count 1,multiplier 2;",
    "threshold:type backoff,track by_flow,count 1;",
    "threshold:type limit,track by_src,count 1,seconds 5; detection_filter:track by_src,count 1,seconds 5;",
    "detection_filter:type limit,track by_src,count 1,seconds 5;",
    "detection_filter:track by_src,count 1,seconds 5,unique_on src_port;",
    "tag:session,0,packets;",
    "tag:session,5,stones;",
    "tag:host,5,packets;",
    "tag:session,5;",
    "noalert:yes;",
];

#[test]
fn rules_with_memory() {
    check(
        MEMORY,
        &expect![[r#"
            1 accepted
            1:30 sid 1: flowbits: needs a name: "set"
            2:30 sid 2: flowbits: needs a name: "set,"
            3:30 sid 3: flowbits: not a name: "set,a b"
            4:30 sid 4: flowbits: | is only for isset and isnotset: "set,a|b"
            5:30 sid 5: flowbits: not a name: "isset,a||b"
            6:30 sid 6: flowbits: unknown command: "raise,a"
            7:30 sid 7: xbits: expected command,name,track: "set"
            8:30 sid 8: xbits: needs track: "set,a"
            9:30 sid 9: keyword "xbits" is not evaluated: track tx
            10:30 sid 10: xbits: not understood: "set,a,track ip_src,expire 0"
            11:30 sid 11: xbits: needs a name: "set,,track ip_src"
            12:30 sid 12: xbits: unknown command: "raise,a,track ip_src"
            13:30 sid 13: hostbits: not understood: "set,a,nowhere"
            14:30 sid 14: flowint: needs a value: ""
            15:30 sid 15: flowint: needs an operator: "n"
            16:30 sid 16: flowint: needs a value: "n,+"
            17:30 sid 17: flowint: unknown operator: "n,*,2"
            18:30 sid 18: flowint: out of range: "n,=,4294967296"
            19:30 sid 19: threshold: needs a value: ""
            20:30 sid 20: threshold: type, track and count are needed: "type limit"
            21:30 sid 21: threshold: type, track and count are needed: "type limit,track by_src,count 0,seconds 5"
            22:30 sid 22: threshold: seconds are needed: "type limit,track by_src,count 1,seconds 0"
            23:30 sid 23: threshold: unknown track: "type limit,track by_moon,count 1,seconds 5"
            24:30 sid 24: threshold: unknown type: "type sometimes,track by_src,count 1,seconds 5"
            25:30 sid 25: threshold: not a number: "type limit,track by_src,count x,seconds 5"
            26:30 sid 26: threshold: unknown word: "type limit,track by_src,count 1,seconds 5,often"
            27:30 sid 27: threshold: backoff needs track by_flow: "type backoff,track by_src,count 1,multiplier 2"
            28:30 sid 28: threshold: backoff needs a multiplier: "type backoff,track by_flow,count 1"
            29:83 sid 29: detection_filter: only one threshold or detection_filter a rule
            30:30 sid 30: detection_filter: unknown word: "type limit,track by_src,count 1,seconds 5"
            32:30 sid 32: tag: count out of range: "session,0,packets"
            33:30 sid 33: tag: unknown metric: "session,5,stones"
            34:30 sid 34: tag: expected session, or host with src or dst: "host,5,packets"
            35:30 sid 35: tag: expected type,count,metric: "session,5"
            36:30 sid 36: noalert: takes no value: "yes"
        "#]],
    );
}

#[test]
fn descriptions() {
    check(
        &[
            "msg:unquoted;",
            "msg:!\"no\";",
            "msg:\"half;",
            "msg:\"a\"; msg:\"b\";",
            "rev:x;",
            "rev:-1;",
            "gid:4294967296;",
            "priority:0;",
            "priority:256;",
            "priority:high;",
            "classtype:nonsense;",
            "classtype:;",
            "reference:url;",
            "target:both;",
            "rev:1; rev:2;",
            "gid:1; gid:2;",
            "sid:77;",
            "sid:+78;",
        ],
        &expect![[r#"
            0 accepted
            1:30 sid 1: msg: needs quotes: "unquoted"
            2:30 sid 2: msg: needs quotes: "!"no""
            3:30 sid 3: msg: unbalanced quotes: ""half"
            4:39 sid 4: msg: given twice
            5:30 sid 5: rev: not a number: "x"
            6:30 sid 6: rev: not a number: "-1"
            7:30 sid 7: gid: not a number: "4294967296"
            8:30 sid 8: priority: expected 1 to 255: "0"
            9:30 sid 9: priority: expected 1 to 255: "256"
            10:30 sid 10: priority: not a number: "high"
            11:30 sid 11: classtype: unknown class: "nonsense"
            12:30 sid 12: classtype: needs a value: ""
            13:30 sid 13: reference: expected system,id: "url"
            14:30 sid 14: target: expected src_ip or dest_ip: "both"
            15:37 sid 15: rev: given twice
            16:37 sid 16: gid: given twice
            17:38 sid 17: sid: given twice
            18:30 sid 18: sid: not a number: "+78"
        "#]],
    );
}

const HEADERS: &[&str] = &[
    "alert tcp any any -> any any",
    "alert tcp any any any any (",
    "alert tcp any any - > any any (",
    "alert tcp any any >< any any (",
    "(",
    "alert (",
    "permit tcp any any -> any any (",
    "config tcp any any -> any any (",
    "alert tpc any any -> any any (",
    "alert unknown any any -> any any (",
    "alert tcp 10.0.0.256 any -> any any (",
    "alert tcp 10.0.0.0/33 any -> any any (",
    "alert tcp 10.0.0.0/255.0.255.0 any -> any any (",
    "alert tcp 10.0.0.9-10.0.0.1 any -> any any (",
    "alert tcp 10.0.0.1-2001:db8::1 any -> any any (",
    "alert tcp [10.0.0.1 any -> any any (",
    "alert tcp 10.0.0.1] any -> any any (",
    "alert tcp [10.0.0.1,,10.0.0.2] any -> any any (",
    "alert tcp [] any -> any any (",
    "alert tcp !any any -> any any (",
    "alert tcp !!10.0.0.1 any -> any any (",
    "alert tcp [10.0.0.1,!10.0.0.1] any -> any any (",
    "alert tcp $MY_NET any -> any any (",
    "alert tcp \u{ff11}0.0.0.1 any -> any any (",
    "alert tcp any 65536 -> any any (",
    "alert tcp any 90:80 -> any any (",
    "alert tcp any http -> any any (",
    "alert tcp any !any -> any any (",
    "alert tcp any [80,!80] -> any any (",
    "alert tcp any $HOME_PORTS -> any any (",
    "alert tcp any [[[[[[[[[[[[[[[[[80]]]]]]]]]]]]]]]]] -> any any (",
    "alert tcp any +80 -> any any (",
    "alert icmp any any -> any any (http.uri; content:\"a\";",
    "alert udp any any -> any any (http.uri; content:\"a\";",
    "alert dns any any -> any any (http.uri; content:\"a\";",
    "alert tcp any any => any any (content:\"a\";",
    "alert tcp-pkt any any -> any any (flow:only_stream; content:\"a\";",
    "alert tcp-stream any any -> any any (dsize:5; content:\"a\";",
];

#[test]
fn headers() {
    let text: String =
        (1..).zip(HEADERS).map(|(sid, header)| format!("{header} sid:{sid};)\n")).collect();
    expect![[r#"
        0 accepted
        1:37 sid 1: rule header: no "(" before the options
        2:1 sid 2: rule header: expected 7 fields before "(" (action protocol address port direction address port), found 6
        3:1 sid 3: rule header: expected 7 fields before "(" (action protocol address port direction address port), found 8
        4:1 sid 4: rule header: direction must be ->, <> or =>, not "><"
        5:1 sid 5: rule header: expected 7 fields before "(" (action protocol address port direction address port), found 0
        6:1 sid 6: rule header: expected 7 fields before "(" (action protocol address port direction address port), found 1
        7:1 sid 7: rule header: unknown action "permit"
        8:1 sid 8: the action config needs the keyword config
        9:1 sid 9: rule header: unknown protocol "tpc"
        10:1 sid 10: rule header: unknown protocol "unknown"
        11:1 sid 11: address: not understood: "10.0.0.256"
        12:1 sid 12: address: not understood: "10.0.0.0/33"
        13:1 sid 13: address: not understood: "10.0.0.0/255.0.255.0"
        14:1 sid 14: address: not understood: "10.0.0.9-10.0.0.1"
        15:1 sid 15: address: not understood: "10.0.0.1-2001:db8::1"
        16:36 sid 16: rule header: "[" without "]"
        17:19 sid 17: rule header: "]" without "["
        18:1 sid 18: address: empty entry in list: "10.0.0.1,,10.0.0.2"
        19:1 sid 19: address: empty entry in list: ""
        20:1 sid 20: address: nothing can match this: "!any"
        21:1 sid 21: address: doubly negated: "!!10.0.0.1"
        22:1 sid 22: address: nothing can match this: "[10.0.0.1,!10.0.0.1]"
        23:1 sid 23: variable $MY_NET is not defined
        24:1 sid 24: rule header: address or port is not ASCII
        25:1 sid 25: port: not understood: "65536"
        26:1 sid 26: port: not understood: "90:80"
        27:1 sid 27: port: not understood: "http"
        28:1 sid 28: port: nothing can match this: "!any"
        29:1 sid 29: port: nothing can match this: "[80,!80]"
        30:1 sid 30: variable $HOME_PORTS is not defined
        31:1 sid 31: port: nested too deeply: "[80]"
        32:1 sid 32: port: not understood: "+80"
        33:1 sid 33: application buffers do not exist in icmp
        34:1 sid 34: http buffers do not exist in udp
        35:31 sid 35: http.uri: does not exist in dns
        36:1 sid 36: => needs buffers of a transaction
        37:1 sid 37: only_stream contradicts a packet rule
        38:1 sid 38: dsize: packet sizes have no meaning on streams and transactions
    "#]].assert_eq(&reasons(text.as_bytes(), &everything()));
}

#[test]
fn what_the_sensor_does_not_parse() {
    let text = "alert smtp any any -> any any (smtp.helo; content:\"a\"; sid:1;)\n\
        alert tcp any any -> any any (ssh.proto; content:\"a\"; sid:2;)\n\
        alert ssh any any -> any any (content:\"a\"; sid:3;)\n\
        alert nfs any any -> any any (content:\"a\"; sid:4;)\n\
        alert tcp any any -> any any (file.data; content:\"a\"; sid:5;)\n\
        alert smb any any -> any any (file.data; content:\"a\"; sid:6;)\n\
        alert tcp any any -> any any (ja3.hash; content:\"a\"; sid:7;)\n\
        alert tcp any any -> any any (app-layer-event:smtp.invalid_reply; sid:8;)\n";
    expect![[r#"
        7 accepted
        4:1 sid 4: keyword "nfs" is not evaluated: this protocol is not detected
    "#]]
    .assert_eq(&reasons(text.as_bytes(), &crate::LoadOptions::default()));
}

#[test]
fn long_values_are_shown_short() {
    let long = "x".repeat(100_000);
    for rule in [
        format!("alert ip any any -> any any (classtype:{long}; sid:1;)"),
        format!("alert ip any any -> any any ({long}; sid:1;)"),
        format!("alert ip any any -> any any (content:{long}; sid:1;)"),
        format!("{long} ip any any -> any any (sid:1;)"),
        format!("alert {long} any any -> any any (sid:1;)"),
        format!("alert ip ${long} any -> any any (sid:1;)"),
        format!("alert ip {long} any -> any any (sid:1;)"),
        format!("alert ip any any {long} any any (sid:1;)"),
        format!("alert ip any any -> any any (sid:1; {long})"),
        format!("alert ip any any -> any any (app-layer-protocol:http,{long}; sid:1;)"),
        format!("alert ip any any -> any any (pcre:\"/{long}(/\"; sid:1;)"),
    ] {
        let shown = reasons(rule.as_bytes(), &everything());
        assert!(
            shown.starts_with("0 accepted") && shown.len() < 400,
            "{} bytes for {}",
            shown.len(),
            rule.chars().take(60).collect::<String>()
        );
    }
}
