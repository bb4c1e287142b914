//! Records of sensors beside us: what Suricata and Zeek write, cut, forged and odd.

use event::Kind;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_795_359_845);

fn shown(format: Format, head: &str, line: &str) -> String {
    let parser = Parser::new(format, Zone::utc()).of_file(head.as_bytes());
    let (event, parsed) = parser.event(line.as_bytes(), NOW);
    format!("{} {} {parsed} {}\n", event.time, event.kind, Value::Object(event.fields))
}

fn check(format: Format, head: &str, lines: &[&str], expected: &Expect) {
    expected.assert_eq(&lines.iter().map(|line| shown(format, head, line)).collect::<String>());
}

const EVE_ALERT: &str = r#"{"timestamp":"2026-11-22T15:04:05.123456+0000","flow_id":7,"event_type":"alert","src_ip":"203.0.113.9","src_port":443,"dest_ip":"10.0.0.5","dest_port":50000,"proto":"TCP","host":"sensor3","alert":{"action":"allowed","gid":1,"signature_id":2024,"rev":3,"signature":"ET MALWARE Beacon","category":"A Network Trojan was detected","severity":1,"metadata":{"mitre_technique_id":["T1071"]}},"flow":{"src_ip":"10.0.0.5","dest_ip":"203.0.113.9"},"detection":{"engine":"health"}}"#;

#[test]
fn alerts_of_suricata_become_detections() {
    check(
        Format::Eve,
        "",
        &[EVE_ALERT],
        &expect![[r#"
            2026-11-22T15:04:05.123456+0000 alert true {"flow_id":7,"src_ip":"203.0.113.9","src_port":443,"dest_ip":"10.0.0.5","dest_port":50000,"proto":"TCP","host":{"name":"sensor3"},"alert":{"action":"allowed","gid":1,"signature_id":2024,"rev":3,"signature":"ET MALWARE Beacon","category":"A Network Trojan was detected","severity":1,"metadata":{"mitre_technique_id":["T1071"]}},"flow":{"src_ip":"10.0.0.5","dest_ip":"203.0.113.9"},"detection":{"engine":"signature","rule_id":"2024","rule_rev":"3","title":"ET MALWARE Beacon","severity":"high","category":"A Network Trojan was detected","entity":{"field":"src_ip","value":"10.0.0.5"},"explanation":"signature 1:2024 of Suricata matched TCP from 203.0.113.9 to 10.0.0.5 port 50000","advice":"","evidence":[],"attack":["T1071"],"rule_text":""},"event":{"module":"suricata"}}
        "#]],
    );
}

#[test]
fn other_records_keep_type_and_fields_and_forge_nothing() {
    check(
        Format::Eve,
        "",
        &[
            r#"{"timestamp":"2026-11-22T15:04:05.000000+0000","event_type":"dns","dns":{"type":"query","rrname":"a.example"}}"#,
            r#"{"event_type":"audit","detection":{"a":1},"timestamp":"soon"}"#,
            r#"{"event_type":"alert","alert":"none"}"#,
            r#"{"event_type":7}"#,
            r#"{"a":1}"#,
            "no json",
        ],
        &expect![[r#"
            2026-11-22T15:04:05.000000+0000 dns true {"dns":{"type":"query","rrname":"a.example"},"event":{"module":"suricata"}}
            2026-11-22T15:04:05.000000+0000 suricata true {"original":{"timestamp":"soon"},"event":{"module":"suricata"}}
            2026-11-22T15:04:05.000000+0000 alert true {"alert":"none","detection":{"engine":"signature","rule_id":"0","rule_rev":"0","title":"","severity":"high","category":"","entity":{"field":"src_ip","value":"unknown"},"explanation":"signature 0:0 of Suricata matched  from  to  port 0","advice":"","evidence":[],"attack":[],"rule_text":""},"event":{"module":"suricata"}}
            2026-11-22T15:04:05.000000+0000 log false {"log":{"flags":["unparsed"]},"message":"{\"event_type\":7}","event":{"original":"{\"event_type\":7}"}}
            2026-11-22T15:04:05.000000+0000 log false {"log":{"flags":["unparsed"]},"message":"{\"a\":1}","event":{"original":"{\"a\":1}"}}
            2026-11-22T15:04:05.000000+0000 log false {"log":{"flags":["unparsed"]},"message":"no json","event":{"original":"no json"}}
        "#]],
    );
}

/// The head of a file as Zeek writes it.
const CONN: &str = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n\
    #open\t2026-11-22-15-00-00\n\
    #fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_pkts\tresp_pkts\tconn_state\tlocal_orig\ttunnel_parents\n\
    #types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\tbool\tset[string]\n";

#[test]
fn zeek_as_tsv() {
    check(
        Format::Zeek,
        CONN,
        &[
            "#path\tconn",
            "1795359845.250000\tC1\t10.0.0.5\t50000\t203.0.113.9\t443\ttcp\tssl\t1.5\t7\t9\tSF\tT\t(empty)",
            "1795359846.000000\tC2\t10.0.0.5\t1\t203.0.113.9\t53\tudp\t-\t-\t1\t-\tS0\tF\tA\\x41,b",
            "1795359847.0\tC3",
            "soon\tC4",
            "",
        ],
        &expect![[r#"
            2026-11-22T15:04:05.000000+0000 log true {}
            2026-11-22T15:04:05.250000+0000 flow true {"src_ip":"10.0.0.5","src_port":50000,"dest_ip":"203.0.113.9","dest_port":443,"app_proto":"ssl","flow":{"pkts_toserver":7,"pkts_toclient":9,"age":1.5,"state":"SF"},"proto":"TCP","zeek":{"conn":{"ts":1795359845.25,"uid":"C1","id.orig_h":"10.0.0.5","id.orig_p":50000,"id.resp_h":"203.0.113.9","id.resp_p":443,"proto":"tcp","service":"ssl","duration":1.5,"orig_pkts":7,"resp_pkts":9,"conn_state":"SF","local_orig":true,"tunnel_parents":[],"_path":"conn"}},"event":{"module":"zeek","dataset":"zeek.conn"}}
            2026-11-22T15:04:06.000000+0000 flow true {"src_ip":"10.0.0.5","src_port":1,"dest_ip":"203.0.113.9","dest_port":53,"flow":{"pkts_toserver":1,"state":"S0"},"proto":"UDP","zeek":{"conn":{"ts":1795359846.0,"uid":"C2","id.orig_h":"10.0.0.5","id.orig_p":1,"id.resp_h":"203.0.113.9","id.resp_p":53,"proto":"udp","orig_pkts":1,"conn_state":"S0","local_orig":false,"tunnel_parents":["AA","b"],"_path":"conn"}},"event":{"module":"zeek","dataset":"zeek.conn"}}
            2026-11-22T15:04:07.000000+0000 flow true {"zeek":{"conn":{"ts":1795359847.0,"uid":"C3","_path":"conn"}},"event":{"module":"zeek","dataset":"zeek.conn"}}
            2026-11-22T15:04:05.000000+0000 log false {"log":{"flags":["unparsed"]},"message":"soon\tC4","event":{"original":"soon\tC4"}}
            2026-11-22T15:04:05.000000+0000 log false {"log":{"flags":["unparsed"]}}
        "#]],
    );
    // Without its head nobody knows what the columns are.
    assert!(shown(Format::Zeek, "", "1795359845.25\tC1\t10.0.0.5").contains("unparsed"));
}

#[test]
fn zeek_as_json() {
    check(
        Format::Zeek,
        "",
        &[
            r#"{"ts":1795359845.5,"uid":"C1","id.orig_h":"10.0.0.5","id.orig_p":5353,"id.resp_h":"10.0.0.1","id.resp_p":53,"proto":"udp","query":"a.example","qtype_name":"A","rcode_name":"NXDOMAIN"}"#,
            r#"{"_path":"http","ts":"2026-11-22T15:04:05.500000Z","id":{"orig_h":"10.0.0.5","resp_h":"10.0.0.1"},"method":"GET","host":"a.example","uri":"/x","status_code":404}"#,
            r#"{"ts":1795359845.5,"fuid":"F1","tx_hosts":["203.0.113.9"],"rx_hosts":["10.0.0.5"],"md5":"aa","total_bytes":9}"#,
            r#"{"_path":"notice","ts":1795359845.5,"note":"Scan::Port_Scan","msg":"scanned","src":"203.0.113.9"}"#,
            r#"{"_path":"../evil","ts":1795359845.5}"#,
            r#"{"no":"time"}"#,
        ],
        &expect![[r#"
            2026-11-22T15:04:05.500000+0000 dns true {"src_ip":"10.0.0.5","src_port":5353,"dest_ip":"10.0.0.1","dest_port":53,"dns":{"rrname":"a.example","rrtype":"A","rcode":"NXDOMAIN"},"proto":"UDP","zeek":{"dns":{"ts":1795359845.5,"uid":"C1","id.orig_h":"10.0.0.5","id.orig_p":5353,"id.resp_h":"10.0.0.1","id.resp_p":53,"proto":"udp","query":"a.example","qtype_name":"A","rcode_name":"NXDOMAIN"}},"event":{"module":"zeek","dataset":"zeek.dns"}}
            2026-11-22T15:04:05.500000+0000 http true {"src_ip":"10.0.0.5","dest_ip":"10.0.0.1","http":{"http_method":"GET","hostname":"a.example","url":"/x","status":404},"zeek":{"http":{"_path":"http","ts":"2026-11-22T15:04:05.500000Z","id":{"orig_h":"10.0.0.5","resp_h":"10.0.0.1"},"method":"GET","host":"a.example","uri":"/x","status_code":404}},"event":{"module":"zeek","dataset":"zeek.http"}}
            2026-11-22T15:04:05.500000+0000 fileinfo true {"src_ip":"203.0.113.9","dest_ip":"10.0.0.5","fileinfo":{"size":9,"md5":"aa"},"zeek":{"files":{"ts":1795359845.5,"fuid":"F1","tx_hosts":["203.0.113.9"],"rx_hosts":["10.0.0.5"],"md5":"aa","total_bytes":9}},"event":{"module":"zeek","dataset":"zeek.files"}}
            2026-11-22T15:04:05.500000+0000 log true {"event":{"action":"Scan::Port_Scan","module":"zeek","dataset":"zeek.notice"},"message":"scanned","src_ip":"203.0.113.9","zeek":{"notice":{"_path":"notice","ts":1795359845.5,"note":"Scan::Port_Scan","msg":"scanned","src":"203.0.113.9"}}}
            2026-11-22T15:04:05.500000+0000 log true {"zeek":{"evil":{"_path":"../evil","ts":1795359845.5}},"event":{"module":"zeek","dataset":"zeek.evil"}}
            2026-11-22T15:04:05.000000+0000 log false {"log":{"flags":["unparsed"]},"message":"{\"no\":\"time\"}","event":{"original":"{\"no\":\"time\"}"}}
        "#]],
    );
}

#[test]
fn the_formats_have_their_names() {
    assert_eq!(Format::named("eve"), Some(Format::Eve));
    assert_eq!(Format::named("zeek"), Some(Format::Zeek));
    assert!(Parser::new(Format::Zeek, Zone::utc()).wants_head());
    assert!(!Parser::new(Format::Eve, Zone::utc()).wants_head());
}

proptest! {
    #[test]
    fn any_head_and_line(head in "(#(separator \\\\x09|set_separator\t.?|unset_field\t-|path\t.{0,5}|fields\t[a-z.\t]{0,20}|types\t[a-z\\[\\]\t]{0,20})\n){0,6}", line in ".{0,60}") {
        for format in [Format::Zeek, Format::Eve] {
            let parser = Parser::new(format, Zone::utc()).of_file(head.as_bytes());
            let (event, parsed) = parser.event(line.as_bytes(), NOW);
            prop_assert!(parsed || event.kind == Kind::Log);
        }
    }
}
