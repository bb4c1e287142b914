//! What is told of stored events: alike from an open store and from names of folders.

use expect_test::expect;
use serde_json::json;

use super::*;
use crate::keyring::Deletion;
use crate::vault::Signed;

fn now() -> Timestamp {
    "2026-11-22T15:04:05Z".parse().unwrap()
}

fn partition(name: &str, warm: bool, standing: Standing, megabytes: u64) -> PartitionFigures {
    let documents = (standing == Standing::Searched).then_some(megabytes * 1_000);
    PartitionFigures { name: name.to_owned(), warm, standing, documents, bytes: megabytes << 20 }
}

fn folder_figures(path: &str, warm: bool, there: bool) -> FolderFigures {
    let free = there.then_some(5 << 30);
    FolderFigures { path: path.into(), warm, there, free, ..FolderFigures::default() }
}

fn limits() -> (RetentionConfig, StorageConfig) {
    let limits = json!({"days": 30, "gigabytes": 1, "class": [
        {"name": "alerts", "days": 365, "select": {"event_type": ["alert"]}}]});
    let places = json!({"warm": "/mnt/big", "hot_days": 2});
    (serde_json::from_value(limits).unwrap(), serde_json::from_value(places).unwrap())
}

fn stored(there: bool) -> StorageFigures {
    let away = if there { Standing::Searched } else { Standing::Away };
    StorageFigures {
        folders: vec![
            folder_figures("/data", false, true),
            folder_figures("/mnt/big", true, there),
        ],
        partitions: vec![
            partition("2026-11-18", true, away, 100),
            partition("2026-11-19", true, away, 100),
            partition("2026-11-20", false, Standing::Unreadable, 0),
            partition("2026-11-21", false, Standing::Searched, 50),
            partition("2026-11-21_alerts", false, Standing::Searched, 5),
            partition("2026-11-22", false, Standing::Searched, 10),
            partition("2026-11-22_old", false, Standing::Searched, 1),
        ],
    }
}

#[test]
fn classes_folders_moves_and_what_is_not_searched() {
    let (limits, places) = limits();
    let told = of(stored(true), (&limits, &places), now());
    expect![[r#"
        default: 261 MiB in 5 partitions of 4 days, 62 MiB a day, lasts 16 days (by size); next to go: 2026-11-18 (100 MiB) on 2026-12-04 by size
        alerts: 5 MiB in 1 partitions of 1 days, 5 MiB a day, lasts 365 days (by age); next to go: 2026-11-21_alerts (5 MiB) on 2027-11-22 by age
        data folder /data: 0 MiB in 0 partitions, 5120 MiB free
        warm folder /mnt/big: 0 MiB in 0 partitions, 5120 MiB free
        next to move to the warm folder: 2026-11-21 (50 MiB) on 2026-11-24 by age"#]]
    .assert_eq(&told.lines().join("\n"));
    let documents: Vec<_> =
        told.classes.iter().map(|one| (one.documents, one.warm_bytes)).collect();
    assert_eq!(documents, [(Some(261_000), 200 << 20), (Some(5_000), 0)]);
    let lacking: Vec<_> = told.lacking.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(lacking, ["2026-11-20"]);
}

#[test]
fn a_folder_that_is_away_is_named_and_what_lies_in_it_is_lacking() {
    let (limits, places) = limits();
    let told = of(stored(false), (&limits, &places), now());
    let away =
        "warm folder /mnt/big: it is not there; its disk is not mounted, or nothing was moved yet";
    assert!(told.lines().contains(&away.to_owned()), "{told:?}");
    let lacking: Vec<_> =
        told.lacking.iter().map(|one| (one.name.as_str(), one.standing)).collect();
    assert_eq!(
        lacking,
        [
            ("2026-11-18", Standing::Away),
            ("2026-11-19", Standing::Away),
            ("2026-11-20", Standing::Unreadable)
        ]
    );
    assert_eq!(told.classes[0].documents, Some(61_000));
}

#[test]
fn without_an_open_store_the_names_tell_the_same() {
    let data = tempfile::tempdir().unwrap();
    let (events, warm) = (data.path().join("events/index"), data.path().join("warm"));
    for (folder, name) in [(&events, "2026-11-21"), (&events, "2026-11-22"), (&warm, "2026-11-18")]
    {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        std::fs::write(folder.join(name).join("x"), [0; 1_000]).unwrap();
    }
    let config = json!({
        "data": data.path(), "console_url": "https://c", "link_names": ["c:1"], "storage": {"warm": warm}
    });
    let config: Config = serde_json::from_value(config).unwrap();
    let told = outside(&config, now()).unwrap();
    let class = &told.classes[0];
    assert_eq!((class.outlook.partitions, class.outlook.bytes), (3, 3_000));
    assert_eq!((class.documents, class.warm_bytes), (None, 1_000));
    let there: Vec<_> = told.folders.iter().map(|one| (one.there, one.bytes)).collect();
    assert_eq!(there, [(true, 2_000), (false, 1_000)], "an empty mount point is no warm folder");
    std::fs::write(warm.join("pikett-warm"), "").unwrap();
    let told = outside(&config, now()).unwrap();
    assert!(told.folders[1].there && told.folders[1].free.is_some());
    let next = told.moves.unwrap().next.unwrap();
    assert_eq!((next.partition.as_str(), next.on.as_deref()), ("2026-11-21", Some("2026-11-29")));
}

#[test]
fn of_what_is_destroyed_the_last_are_told_and_all_are_counted() {
    let signed =
        || Signed { statement: String::new(), signature: "s".into(), public_key: "p".into() };
    let gone = |n: u64| Proven {
        deletion: Deletion {
            partition: format!("p{n}"),
            documents: 2,
            bytes: 3,
            ..Deletion::default()
        },
        when: String::new(),
        proof: signed(),
    };
    let told = Destroyed::from((1..=30).map(gone).collect::<Vec<_>>());
    assert_eq!((told.partitions, told.documents, told.bytes), (30, 60, 90));
    let names: Vec<_> = told.last.iter().map(|one| one.deletion.partition.as_str()).collect();
    assert_eq!((names.len(), names[0], names[19]), (20, "p30", "p11"));
}
