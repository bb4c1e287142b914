//! The public rules and their regression events, when they are beside the checkout.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{Options, Record, RuleSet, Scratch};

fn corpus() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let root = std::env::var_os("PIKETT_CORPUS").map_or_else(beside, PathBuf::from);
    let found = root.join("sigma");
    if found.is_dir() {
        return Some(found);
    }
    println!("skipped: no corpus");
    None
}

fn rules(folder: &Path, out: &mut Vec<(String, String)>) {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort_unstable();
    for path in paths {
        if path.is_dir() {
            rules(&path, out);
        } else if path.extension().is_some_and(|known| known == "yml") {
            out.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

type Table = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn table(path: &Path) -> Table {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn all_rules_load_and_find_exactly_what_is_expected() {
    let Some(corpus) = corpus() else { return };
    let mut texts = Vec::new();
    rules(&corpus.join("rules"), &mut texts);
    let total = texts.len();
    let (set, report) = RuleSet::load(texts.into_iter(), &Options::default());
    assert_eq!(report.rejected, []);
    let inert: BTreeSet<String> = report.inert.into_iter().map(|rule| rule.id).collect();
    let wanted = std::fs::read_to_string(corpus.join("inert.json")).unwrap();
    assert_eq!(inert, serde_json::from_str::<BTreeSet<String>>(&wanted).unwrap());
    assert_eq!(report.accepted + inert.len(), total);

    let folder = corpus.join("regression");
    let mut scratch = Scratch::new();
    for mode in ["gated", "ungated"] {
        let expected = table(&folder.join(format!("expected-{mode}.json")));
        let optional = table(&folder.join(format!("optional-{mode}.json")));
        let at = |table: &Table, file: &str, event: usize| {
            let event = table.get(file).and_then(|events| events.get(&event.to_string()));
            event.cloned().unwrap_or_default()
        };
        for entry in std::fs::read_dir(folder.join("ndjson")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            for (number, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
                let event: event::Object = serde_json::from_str(line).unwrap();
                let record = Record::new(&event);
                let found = if mode == "gated" {
                    set.evaluate(&record, &mut scratch)
                } else {
                    set.evaluate_all(&record, &mut scratch)
                };
                let found: BTreeSet<String> =
                    found.iter().map(|&rule| set.meta(rule).unwrap().id.clone()).collect();
                let optional = at(&optional, &name, number + 1);
                let wanted = at(&expected, &name, number + 1);
                let (found, wanted) = (&found - &optional, &wanted - &optional);
                assert_eq!(found, wanted, "{mode} {name}:{}", number + 1);
            }
        }
    }
}
