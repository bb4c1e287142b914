//! Records: survive, are sealed, cannot be read, changed, moved, removed or put back unseen.

use super::*;
use serde::Deserialize;
use zeroize::Zeroizing;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Thing {
    id: String,
    secret: String,
}

impl Record for Thing {
    const KIND: &'static str = "thing";
    fn id(&self) -> &str {
        &self.id
    }
}

fn thing(id: &str) -> Thing {
    Thing { id: id.into(), secret: "attack at dawn".into() }
}

fn open(folder: &tempfile::TempDir, key: u8) -> State {
    State::open(&folder.path().join("state.db"), &Zeroizing::new([key; 32])).unwrap()
}

#[test]
fn records_survive_and_are_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder, 1);
    state.put(&thing("b")).unwrap();
    state.put(&thing("a")).unwrap();
    drop(state);
    let state = open(&folder, 1);
    assert_eq!(state.list::<Thing>().unwrap(), [thing("a"), thing("b")]);
    assert_eq!(state.get::<Thing>("c").unwrap(), None);
    assert!(state.remove::<Thing>("a").unwrap());
    assert!(!state.remove::<Thing>("a").unwrap());
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"attack"));
    }
}

#[test]
fn another_key_and_moved_records_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder, 1);
    state.put(&thing("a")).unwrap();
    let path = folder.path().join("state.db");
    let error = State::open(&path, &Zeroizing::new([2; 32])).unwrap_err().to_string();
    assert_eq!(error, "state record sum/ is damaged or sealed with another key");
    let connection = state.connection.lock().unwrap();
    let admin = state.sealer.hash("thing", "admin");
    connection.execute("UPDATE sealed SET id = ?1", [admin]).unwrap();
    drop(connection);
    let error = state.get::<Thing>("admin").unwrap_err().to_string();
    assert_eq!(error, "state record thing/admin is damaged or sealed with another key");
    assert!(state.list::<Thing>().is_err());
}

#[test]
fn nothing_of_a_record_lies_in_clear_not_even_in_the_log_of_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder, 1);
    for n in 0..200 {
        state.put(&thing(&format!("canary-{n}"))).unwrap();
    }
    (0..100).for_each(|n| assert!(state.remove::<Thing>(&format!("canary-{n}")).unwrap()));
    let mut files = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for canary in [&b"canary"[..], b"attack"] {
            assert!(!bytes.windows(6).any(|window| window == canary));
        }
        files += 1;
    }
    assert!(files > 1, "the log of the database too");
}

/// What was found, each with its place.
fn found(folder: &tempfile::TempDir) -> Vec<String> {
    let path = folder.path().join("state.db");
    let (findings, _) = verify(&path, &Zeroizing::new([1; 32])).unwrap();
    findings.into_iter().map(|(place, what)| format!("{place}: {what}")).collect()
}

#[test]
fn records_removed_added_or_put_back_are_told_with_their_kind() {
    let site = || {
        let folder = tempfile::tempdir().unwrap();
        let state = open(&folder, 1);
        ["a", "b", "c"].iter().for_each(|id| state.put(&thing(id)).unwrap());
        state.put(&Thing { secret: "other".into(), ..thing("a") }).unwrap();
        state.remove::<Thing>("c").unwrap();
        assert_eq!(found(&folder), [] as [String; 0]);
        assert_eq!(state.head().unwrap().count, 5);
        (folder, state)
    };
    let sql = |state: &State, sql: &str| {
        assert!(state.connection.lock().unwrap().execute(sql, []).unwrap() > 0, "{sql}");
    };
    for (harm, expected) in [
        ("DELETE FROM sealed WHERE id = (SELECT id FROM sealed LIMIT 1)", "1 of 2 are there"),
        ("DELETE FROM sealed", "0 of 2 are there"),
        ("DELETE FROM sums WHERE kind = 'thing'", "2 records without their sum"),
        (
            "UPDATE sums SET content = (SELECT content FROM sums WHERE kind = '') WHERE kind = 'thing'",
            "sum does not open",
        ),
        (
            "UPDATE sealed SET kind = 'other' WHERE id = (SELECT id FROM sealed LIMIT 1)",
            "record does not open",
        ),
        ("UPDATE sealed SET content = zeroblob(40)", "record does not open"),
    ] {
        let (folder, state) = site();
        sql(&state, harm);
        let found = found(&folder);
        assert!(
            found.iter().any(|one| one.contains("thing") || one.contains("other/")),
            "{found:?}"
        );
        assert!(found.iter().any(|one| one.contains(expected)), "{harm}: {found:?}");
    }
    // An older content of a record put back: it opens, and the sum tells.
    let (folder, state) = site();
    let copy = |state: &State| -> Vec<u8> {
        let connection = state.connection.lock().unwrap();
        let query = "SELECT content FROM sealed WHERE id = ?1";
        connection.query_row(query, [state.sealer.hash("thing", "b")], |row| row.get(0)).unwrap()
    };
    let old = copy(&state);
    state.put(&Thing { secret: "newer".into(), ..thing("b") }).unwrap();
    let hash = state.sealer.hash("thing", "b");
    let connection = state.connection.lock().unwrap();
    connection.execute("UPDATE sealed SET content = ?1 WHERE id = ?2", params![old, hash]).unwrap();
    drop(connection);
    assert_eq!(state.get::<Thing>("b").unwrap(), Some(thing("b")));
    assert!(found(&folder).iter().any(|one| one.contains("put back: 2 of 2 are there")));
}

#[test]
fn an_older_database_is_brought_over_and_nothing_stays_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let key = Zeroizing::new([1; 32]);
    let sealer = Sealer::new(&key).unwrap();
    let older = Connection::open(&path).unwrap();
    older
        .execute_batch(
            "PRAGMA journal_mode = WAL; CREATE TABLE records (kind TEXT NOT NULL, id TEXT NOT NULL, \
             sealed BLOB NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;",
        )
        .unwrap();
    let ids: Vec<String> = (0..300).map(|n| format!("canary-{n:03}")).collect();
    for id in &ids {
        let content = serde_json::to_vec(&thing(id)).unwrap();
        let sealed = sealer.seal_bytes(format!("thing\0{id}").as_bytes(), content).unwrap();
        older.execute("INSERT INTO records VALUES ('thing', ?1, ?2)", params![id, sealed]).unwrap();
    }
    assert!(is_older(&path, &key) && !is_older(&path, &Zeroizing::new([2; 32])));
    drop(older);
    assert!(State::open(&path, &Zeroizing::new([2; 32])).is_err(), "another key changes nothing");
    for _ in 0..2 {
        let state = open(&folder, 1);
        let found: Vec<String> = state.list::<Thing>().unwrap().into_iter().map(|t| t.id).collect();
        assert_eq!(found, ids);
    }
    assert!(!is_older(&path, &key));
    assert_eq!(found(&folder), [] as [String; 0]);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
    }
}

#[test]
fn a_failed_transaction_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder, 1);
    let outcome = state.write(|batch| {
        batch.put(&thing("a"))?;
        Err(StateError::Crypto)
    });
    assert!(outcome.is_err());
    assert_eq!(state.get::<Thing>("a").unwrap(), None);
}

#[test]
fn a_record_changed_in_any_byte_or_under_another_name_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder, 1);
    let hash = state.sealer.hash("thing", "a");
    let seal = || state.sealer.seal(&hash, &thing("a")).unwrap();
    let unseal = |hash: &[u8], sealed: &[u8]| state.sealer.unseal::<Thing>("a", hash, sealed);
    let sealed = seal();
    assert_eq!(unseal(&hash, &sealed).unwrap(), thing("a"));
    assert!(unseal(&state.sealer.hash("thing", "b"), &sealed).is_err());
    for at in 0..sealed.len() {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        assert!(unseal(&hash, &bad).is_err(), "byte {at}");
        assert!(unseal(&hash, &sealed[..at]).is_err(), "cut at {at}");
    }
    assert_ne!(seal(), sealed, "no nonce is used twice");
}

#[test]
fn content_of_another_shape_names_the_record() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Other {
        id: String,
        number: u32,
    }
    impl Record for Other {
        const KIND: &'static str = "thing";
        fn id(&self) -> &str {
            &self.id
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder, 1);
    state.put(&thing("a")).unwrap();
    let error = state.get::<Other>("a").unwrap_err();
    assert_eq!(
        service::causes(&error),
        "state record thing/a cannot be read: missing field `number` at line 1 column 36"
    );
}

#[test]
fn files_that_are_no_database_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    let error = State::open(&path, &Zeroizing::new([1; 32])).unwrap_err().to_string();
    assert!(error.ends_with("state.db: cannot prepare it"), "{error}");
    let missing = folder.path().join("no/such/state.db");
    let error = State::open(&missing, &Zeroizing::new([1; 32])).unwrap_err().to_string();
    assert!(error.ends_with("state.db: cannot open it"), "{error}");
}

#[test]
fn many_threads_write_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder, 1);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let state = &state;
            scope.spawn(move || {
                (0..10).for_each(|n| state.put(&thing(&format!("{thread}-{n}"))).unwrap());
            });
        }
    });
    assert_eq!(state.list::<Thing>().unwrap().len(), 40);
}
