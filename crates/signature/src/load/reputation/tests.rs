//! Files as they come, and as they should not.

use expect_test::expect;

use super::*;

const CATEGORIES: &str = "# known\n1,BadHosts,Known bad hosts\n\n 59 , Good-Hosts_2 , \n3,CnC\n";

fn source(name: &str, text: &[u8]) -> Source {
    Source { name: name.to_owned(), text: text.to_vec() }
}

/// What is refused, one a line.
fn told(report: &Report) -> String {
    let one = |bad: &Rejected| format!("{}:{}:{} {}\n", bad.file, bad.line, bad.column, bad.error);
    report.rejected.iter().map(one).collect()
}

/// Scores of all categories, and what is refused.
fn read(text: &str) -> (Scores, String) {
    let mut report = Report::default();
    let categories = categories(&source("cat", CATEGORIES.as_bytes()), &mut report);
    let scores = scores(&[source("rep", text.as_bytes())], &categories, u64::MAX, &mut report);
    (scores, told(&report))
}

fn score(scores: &Scores, category: usize, address: &str) -> Option<u64> {
    scores[category].at(address.parse().unwrap()).map(Score::get)
}

#[test]
fn categories_have_numbers_and_short_names() {
    let mut report = Report::default();
    let known = categories(&source("cat", CATEGORIES.as_bytes()), &mut report);
    assert_eq!(told(&report), "");
    assert_eq!(known.names(), ["BadHosts", "CnC", "Good-Hosts_2"]);
    assert_eq!(
        ["BadHosts", "Good-Hosts_2", "badhosts"].map(|name| known.number(name)),
        [Some(1), Some(59), None]
    );
    let bad = "0,Zero,x\n60,Sixty,x\n+1,Plus,x\n,None\n7\n8,\n9,no blanks,x\n10,ok\n10,again\n11,ok\n12,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";
    let known = categories(&source("cat", bad.as_bytes()), &mut report);
    assert_eq!(known.names(), ["ok"]);
    expect![[r#"
        cat:1:1 reputation: expected a category id from 1 to 59: "0"
        cat:2:1 reputation: expected a category id from 1 to 59: "60"
        cat:3:1 reputation: expected a category id from 1 to 59: "+1"
        cat:4:1 reputation: expected a category id from 1 to 59: ""
        cat:5:2 reputation: expected id,short name,description: "7"
        cat:6:3 reputation: expected id,short name,description: "8,"
        cat:7:3 reputation: short names are up to 31 letters, digits, _ and -: "no blanks"
        cat:9:1 reputation: the id or short name is on a line before: "10,again"
        cat:10:1 reputation: the id or short name is on a line before: "11,ok"
        cat:11:4 reputation: short names are up to 31 letters, digits, _ and -: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "#]].assert_eq(&told(&report));
}

#[test]
fn the_most_specific_network_has_the_score_and_a_host_before_all() {
    let text = "\u{feff}ip,category,score\r\n# hosts\r\n10.0.0.0/8,1,10\r\n10.1.0.0/16,1,20\n10.1.2.3/32,1,30\n10.1.2.3,1,40\n\
                10.1.2.4/32,1,50\n0.0.0.0/0,3,1\n10.1.2.3 , 3 , 0\n2001:db8::/32,1,60\n2001:db8::1,1,127\n::/0,3,2\n10.9.9.9/16,59,7\n";
    let (scores, bad) = read(text);
    assert_eq!(bad, "");
    let cases = [
        (1, "9.255.255.255", None),
        (1, "10.0.0.0", Some(10)),
        (1, "10.255.255.255", Some(10)),
        (1, "11.0.0.0", None),
        (1, "10.1.0.1", Some(20)),
        (1, "10.1.255.255", Some(20)),
        (1, "10.1.2.3", Some(40)),
        (1, "10.1.2.4", Some(50)),
        (1, "10.1.2.5", Some(20)),
        (3, "10.1.2.3", Some(0)),
        (3, "255.255.255.255", Some(1)),
        (1, "2001:db8::1", Some(127)),
        (1, "2001:db8::2", Some(60)),
        (1, "2001:db9::", None),
        (3, "2001:db9::", Some(2)),
        // What is written beyond the prefix does not matter.
        (59, "10.9.0.0", Some(7)),
        (59, "10.8.255.255", None),
    ];
    for (category, address, expected) in cases {
        assert_eq!(score(&scores, category, address), expected, "{category} {address}");
    }
}

#[test]
fn of_lines_on_the_same_the_last_host_and_the_first_network_count() {
    let (scores, bad) =
        read("1.1.1.1,1,1\n1.1.1.1,1,2\n2.2.0.0/16,1,3\n2.2.9.9/16,1,4\n1.1.1.1,3,9\n");
    assert_eq!(bad, "");
    assert_eq!(["1.1.1.1", "2.2.2.2"].map(|at| score(&scores, 1, at)), [Some(2), Some(3)]);
}

#[test]
fn bad_lines_are_named_and_the_others_count() {
    let text = "1.2.3,1,1\n1.2.3.4/33,1,1\n1.2.3.4/+8,1,1\n::1/129,1,1\nhost.example,1,1\n1.2.3.4,0,1\n1.2.3.4,2,1\n\
                1.2.3.4,1,128\n1.2.3.4,1,-1\n1.2.3.4,1\n1.2.3.4\n1.2.3.4,1,1,x\n  1.2.3.4 ,  x , 1\n,,\n5.5.5.5,1,5\n";
    let (scores, bad) = read(text);
    assert_eq!(score(&scores, 1, "5.5.5.5"), Some(5));
    assert_eq!(score(&scores, 1, "1.2.3.4"), None);
    expect![[r#"
        rep:1:1 reputation: expected an address, or a network as 192.0.2.0/24: "1.2.3"
        rep:2:1 reputation: expected an address, or a network as 192.0.2.0/24: "1.2.3.4/33"
        rep:3:1 reputation: expected an address, or a network as 192.0.2.0/24: "1.2.3.4/+8"
        rep:4:1 reputation: expected an address, or a network as 192.0.2.0/24: "::1/129"
        rep:5:1 reputation: expected an address, or a network as 192.0.2.0/24: "host.example"
        rep:6:9 reputation: expected a category id from 1 to 59: "0"
        rep:7:9 reputation: no category 2 in cat: name it there: "1.2.3.4,2,1"
        rep:8:11 reputation: expected a score from 0 to 127: "128"
        rep:9:11 reputation: expected a score from 0 to 127: "-1"
        rep:10:10 reputation: expected a score from 0 to 127: "1.2.3.4,1"
        rep:11:8 reputation: expected a category id from 1 to 59: "1.2.3.4"
        rep:12:13 reputation: more than address,category id,score: "x"
        rep:13:14 reputation: expected a category id from 1 to 59: "x"
        rep:14:1 reputation: expected an address, or a network as 192.0.2.0/24: ""
    "#]]
    .assert_eq(&bad);
}

#[test]
fn bytes_and_lines_that_are_no_text() {
    let mut report = Report::default();
    let known = categories(&source("cat", CATEGORIES.as_bytes()), &mut report);
    let long = [b"1.2.3.4,1,1\n\xff,1,1\n".to_vec(), vec![b'9'; MAX_LINE + 1], b"\n\0\n".to_vec()]
        .concat();
    let found = scores(&[source("rep", &long)], &known, u64::MAX, &mut report);
    assert_eq!(score(&found, 1, "1.2.3.4"), Some(1));
    let lines: Vec<(u32, u32)> = report.rejected.iter().map(|bad| (bad.line, bad.column)).collect();
    assert_eq!(lines, [(2, 1), (3, 1), (4, 1)]);
    assert!(told(&report).len() < 400);
}

#[test]
fn scores_of_categories_without_a_rule_are_not_kept() {
    let mut report = Report::default();
    let known = categories(&source("cat", CATEGORIES.as_bytes()), &mut report);
    let text = source("rep", b"1.1.1.1,1,1\n1.1.1.1,3,3\nbad,3,3\n");
    let found = scores(&[text], &known, 1 << 1, &mut report);
    assert_eq!((score(&found, 1, "1.1.1.1"), score(&found, 3, "1.1.1.1")), (Some(1), None));
    assert_eq!(report.rejected.len(), 1, "their lines are looked at all the same");
}

#[test]
fn no_more_scores_than_there_is_room_for() {
    let mut report = Report::default();
    let known = categories(&source("cat", CATEGORIES.as_bytes()), &mut report);
    let files =
        [source("a", b"1.1.1.1,1,1\n2.2.2.2,1,2\n"), source("b", b"3.3.3.3,1,3\n4.4.4.4,1,4\n")];
    let found = at_most(3, &files, (&known, u64::MAX), &mut report);
    let hosts = ["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"];
    assert_eq!(hosts.map(|at| score(&found, 1, at)), [Some(1), Some(2), Some(3), None]);
    expect![[r#"
        b:2:1 reputation: more than 3 scores in all files: "4.4.4.4,1,4"
    "#]]
    .assert_eq(&told(&report));
}
