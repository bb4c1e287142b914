//! The index answers every query as the in-memory matcher does, also combined and negated.

use super::*;
use crate::search::Matcher;

fn corpus() -> Vec<Value> {
    vec![
        json!({"src_ip": "10.0.0.1", "dest_ip": "fe80::1", "src_port": 40000, "dest_port": 443,
               "event_type": "tls", "tls": {"sni": "www.Example.com", "version": "TLS 1.3"}}),
        json!({"source": {"ip": "10.0.1.2", "port": "80"}, "event_type": "http",
               "http": {"hostname": "evil.example", "url": "/cgi-bin/x_y.php?a=b", "status": 404}}),
        json!({"message": "Failed password for invalid user root from 10.0.0.1 port 22",
               "process": {"name": "sshd", "command_line": "sshd: [accepted]"}, "log": {"level": "warn"}}),
        json!({"message": "", "flow": {"alerted": true, "age": 0.5, "start": "2026-11-22T10:00:00Z"}}),
        json!({"alert": {"signature": "ET SCAN Nmap", "signature_id": 2_000_001, "severity": 1},
               "flow": {"alerted": "false", "age": 12}, "vlan": [10, 20]}),
        json!({"own": {"n": 5, "t": "a b", "b": true}, "big": u64::MAX, "neg": -3, "frac": 2.5}),
        json!({"own": {"n": "5", "t": ["x", "Ж", "東京*"]}, "neg": 3, "frac": 2, "src_port": "http"}),
        json!({"own": {"n": 7.0}, "src_ip": "not an address", "big": 1, "dest_port": 65535}),
        json!({"dns": {"rrname": "a.b.example", "answers": [{"rdata": "1.2.3.4"}, {"rdata": "x"}]},
               "message": "a b c", "event": {"original": "b c d"}}),
    ]
}

const QUERIES: &[&str] = &[
    "",
    "*",
    "src_ip:10.0.0.1",
    "source.ip:10.0.0.0/16",
    "src_ip:10.0.*",
    "src_ip:*",
    "dest_ip:fe80::/10",
    "src_ip:[10.0.0.0 TO 10.0.0.255]",
    "src_ip:>10.0.0.1",
    "NOT src_ip:*",
    "dest_port:443",
    "dest_port:>=443",
    "dest_port:[1 TO 443}",
    "src_port:http",
    "src_port:80",
    "src_port:*",
    "event_type:(tls OR http)",
    "event_type:tls",
    "tls.sni:www.Example.com",
    "tls.sni:www.example.com",
    "tls.sni:*.Example.*",
    "tls.version:\"TLS 1.3\"",
    "tls.version:TLS*",
    "http.hostname:evil*",
    "url.original:x_y",
    "http.url:\"cgi bin\"",
    "message:failed",
    "message:\"invalid USER root\"",
    "message:\"user invalid\"",
    "message:pass*",
    "message:*",
    "message:\"a b\"",
    "message:\"c b\"",
    "root",
    "ROOT",
    "evil.example",
    "example",
    "\"www.example.com\"",
    "exam*",
    "10.0.0.1",
    "10.0.0.0/8",
    "fe80::1",
    "flow.alerted:true",
    "flow.alerted:false",
    "flow.age:0.5",
    "flow.age:<1",
    "flow.age:[0.4 TO 12]",
    "flow.start:>2026-11-21",
    "flow.start:2026-11-22",
    "vlan:20",
    "vlan:>10",
    "rule.id:2000001",
    "alert.signature_id:200*",
    "alert.signature:nmap",
    "own.n:5",
    "own.n:>4",
    "own.n:*",
    "own.n:[5 TO 7}",
    "own.t:\"a b\"",
    "own.t:東京\\*",
    "own.t:?",
    "own.t:*",
    "own.t:>b",
    "own.b:true",
    "own:*",
    "big:1",
    "big:>5",
    "big:18446744073709551615",
    "neg:-3",
    "neg:<0",
    "frac:2.5",
    "frac:2",
    "frac:>=2",
    "frac:>2",
    "dns.answers.rdata:x",
    "dns.answers.rdata:1.2.*",
    "event.original:\"b c\"",
    "event.id:*",
    "event.id:a/*",
    "event.id:>b",
    "a b",
    "\"b c\"",
    "log.level:warn AND NOT process.name:cron",
    "NOT (own:* OR own.n:*)",
    "-message:*",
    "process.command_line:sshd accepted",
    "tls.sni:/www\\.Ex.*/",
    "tls.sni:/WWW.*/i",
    "tls.sni:/Example/",
    "message:/pass.*|c/",
    "message:/PASSWORD/",
    "/evil.*/",
    "/10\\.0\\.0\\.[0-9]/ OR /EX.mple/",
    "own.t:/[xЖ]|a b/",
    "event.id:/a.*[1-3]/",
    "own.n IN (5, 7.0)",
    "event_type NOT IN (tls, http)",
    "src_ip IN (10.0.0.0/16, fe80::1)",
    "no.such:1",
    "no.such:*",
    "src_ip:\"not an address\" OR neg:3",
    "\"---\"",
];

fn corpus_store(directory: &Path) -> (Embedded, Vec<Document>) {
    let store = open(directory);
    let source = source("a");
    let documents: Vec<Document> = corpus()
        .into_iter()
        .zip(1..)
        .map(|(fields, seq)| {
            document(
                &source,
                seq,
                &now().plus_seconds(-86_400 * i64::try_from(seq).unwrap() / 3).to_string(),
                fields,
            )
        })
        .collect();
    // Two appends with a commit between, so that there are several segments.
    append(&store, &source, documents[..4].to_vec());
    store.flush().unwrap();
    append(&store, &source, documents[4..].to_vec());
    store.flush().unwrap();
    (store, documents)
}

fn compare(store: &Embedded, documents: &[Document], query: &str) {
    let matcher = match Matcher::new(query, now()) {
        Ok(matcher) => matcher,
        Err(error) => {
            let request = SearchRequest { query: query.into(), ..SearchRequest::default() };
            let other = store.search(&request, &Cancel::new()).unwrap_err();
            assert_eq!(error.to_string(), other.to_string());
            return;
        }
    };
    let id = |d: &Document| d["event"]["id"].as_str().unwrap().to_owned();
    let expected: BTreeSet<String> =
        documents.iter().filter(|d| matcher.matches(d)).map(id).collect();
    let response = find(store, query);
    let found: BTreeSet<String> = response.hits.iter().map(|hit| hit.id.clone()).collect();
    assert_eq!(response.failures, [], "{query}");
    assert_eq!(found, expected, "{query}");
    assert_eq!(response.total, expected.len() as u64, "{query}");
}

#[test]
fn the_index_answers_as_the_matcher_does() {
    let directory = tempfile::tempdir().unwrap();
    let (store, documents) = corpus_store(directory.path());
    for query in QUERIES {
        compare(&store, &documents, query);
        compare(&store, &documents, &format!("NOT ({query})"));
    }
    let nothing = |query: &&&str| {
        let request = SearchRequest { query: (**query).to_owned(), ..SearchRequest::default() };
        store.search(&request, &Cancel::new()).is_ok_and(|found| found.total == 0)
    };
    let empty: Vec<_> = QUERIES.iter().filter(nothing).collect();
    // Everything else finds something, so that agreeing means something.
    let expected = [
        "dest_port:[1 TO 443}",
        "tls.sni:www.example.com",
        "message:\"user invalid\"",
        "message:\"c b\"",
        "own:*",
        "event.id:>b",
        "tls.sni:/Example/",
        "no.such:1",
        "no.such:*",
        "\"---\"",
    ];
    assert_eq!(empty, expected.iter().collect::<Vec<_>>());
}

#[test]
fn combined_queries_agree_too() {
    let directory = tempfile::tempdir().unwrap();
    let (store, documents) = corpus_store(directory.path());
    let leaf = proptest::sample::select(QUERIES).prop_filter("a term", |q| !q.is_empty());
    let query = leaf.prop_map(str::to_owned).prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) AND ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) OR ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) -({b})")),
            inner.prop_map(|a| format!("NOT ({a})")),
        ]
    });
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    runner
        .run(&query, |query| {
            compare(&store, &documents, &query);
            Ok(())
        })
        .unwrap();
}
