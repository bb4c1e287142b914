//! The keyring: survives kills and damage, refuses other keys, forgets for good.

use super::*;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        MasterKey::create(&folder.path().join("master.key")).unwrap();
        let site = Self { folder };
        let keys =
            vec![("a".to_owned(), [1; 32].into(), false), ("b".to_owned(), [2; 32].into(), true)];
        Keyring::create(&site.ring(), &site.source(), Clock::manual(5), keys).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ring(&self) -> PathBuf {
        self.path("keyring")
    }

    fn source(&self) -> MasterSource {
        MasterSource::File(self.path("master.key"))
    }

    fn open(&self) -> Result<(Keyring, Vec<Note>), KeyringError> {
        Keyring::open(&self.ring(), &self.source(), Clock::manual(7), false)
    }

    fn good(&self) -> Keyring {
        let (keyring, notes) = self.open().unwrap();
        assert_eq!(notes, []);
        keyring
    }

    fn bytes(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let items = std::fs::read_dir(self.folder.path()).unwrap();
        let paths: BTreeSet<PathBuf> = items.map(|item| item.unwrap().path()).collect();
        paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }
}

#[test]
fn keys_stay_the_same_and_new_ones_are_random() {
    let site = Site::new();
    let keyring = site.good();
    assert_eq!(*keyring.get("a").unwrap(), [1; 32]);
    keyring.ensure("c").unwrap();
    keyring.ensure("d").unwrap();
    let (c, d) = (keyring.get("c").unwrap(), keyring.get("d").unwrap());
    assert_ne!(*c, *d);
    let again = site.good();
    assert_eq!(*again.get("c").unwrap(), *c);
    assert_eq!(again.generation(), 3);
    let error = again.get("e").unwrap_err().to_string();
    assert_eq!(error, "the keyring has no key e");
    let shown = format!("{again:?} {:?}", again.list());
    assert!(shown.contains("made: 7") && !shown.contains("secret"), "{shown}");
    for path in [site.ring(), site.path("keyring.copy")] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o077, 0);
    }
    let error = Keyring::create(&site.ring(), &site.source(), Clock::manual(0), Vec::new());
    assert!(matches!(error, Err(KeyringError::Exists { .. })));
}

#[test]
fn either_copy_is_enough_and_the_other_is_made_again() {
    for name in ["keyring", "keyring.copy"] {
        for harm in ["gone", "cut", "flipped", "head"] {
            let site = Site::new();
            site.good().ensure("c").unwrap();
            let path = site.path(name);
            let mut bytes = std::fs::read(&path).unwrap();
            match harm {
                "gone" => std::fs::remove_file(&path).unwrap(),
                "cut" => std::fs::write(&path, &bytes[..40]).unwrap(),
                "head" => {
                    bytes[9] ^= 1;
                    std::fs::write(&path, bytes).unwrap();
                }
                _ => {
                    bytes[100] ^= 1;
                    std::fs::write(&path, bytes).unwrap();
                }
            }
            let (keyring, notes) = site.open().unwrap();
            keyring.get("c").unwrap();
            assert_eq!(notes.len(), 1, "{name} {harm}");
            assert_eq!(notes[0].path, path, "{notes:?}");
            site.good();
        }
    }
}

#[test]
fn looking_writes_nothing() {
    let site = Site::new();
    std::fs::remove_file(site.path("keyring.copy")).unwrap();
    let before = site.bytes();
    let look = Keyring::open(&site.ring(), &site.source(), Clock::manual(0), true);
    assert_eq!(look.unwrap().1.len(), 1);
    assert_eq!(site.bytes(), before);
}

#[test]
fn what_cannot_be_opened_says_why_and_what_to_do() {
    let site = Site::new();
    let before = site.bytes();
    let check = |source: &MasterSource, expected: &str| {
        let error = Keyring::open(&site.ring(), source, Clock::manual(0), false).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.key");
    MasterKey::create(&other).unwrap();
    check(&MasterSource::File(other), "sealed with another master key (identity ");
    check(
        &MasterSource::Env("PIKETT_NO_SUCH".into()),
        "PIKETT_NO_SUCH with the master key is not set",
    );
    assert_eq!(site.bytes(), before, "nothing was written");
    for name in ["keyring", "keyring.copy"] {
        std::fs::write(site.path(name), b"PKTRING\x01").unwrap();
    }
    check(&site.source(), "and its copy are damaged: restore one of them from a backup");
    for name in ["keyring", "keyring.copy"] {
        std::fs::remove_file(site.path(name)).unwrap();
    }
    check(&site.source(), "is missing although there is data");
}

#[test]
fn a_destroyed_key_is_in_no_copy_and_its_deletion_is_noted() {
    let site = Site::new();
    let keyring = site.good();
    keyring.ensure("partition/x").unwrap();
    let mut old = File::open(site.ring()).unwrap();
    let deletion =
        |name: &str| Deletion { partition: name.into(), documents: 9, ..Deletion::default() };
    assert!(keyring.destroy("partition/x", deletion("x")).unwrap().shredded);
    assert!(!keyring.destroy("b", deletion("b")).unwrap().shredded, "it was shared");
    let mut left = Vec::new();
    old.read_to_end(&mut left).unwrap();
    assert!(!left.is_empty() && left.iter().all(|byte| *byte == 0), "overwritten");
    let names = |keyring: &Keyring| -> Vec<String> {
        keyring.list().into_iter().map(|key| key.name).collect()
    };
    for gone in ["keyring", "keyring.copy"] {
        let kept = std::fs::read(site.path(gone)).unwrap();
        std::fs::remove_file(site.path(gone)).unwrap();
        assert_eq!(names(&site.open().unwrap().0), ["a"]);
        std::fs::write(site.path(gone), kept).unwrap();
    }
    let pending = site.good().pending();
    assert_eq!(pending.iter().map(|one| one.shredded).collect::<Vec<_>>(), [true, false]);
    keyring.settled(&pending);
    keyring.ensure("c").unwrap();
    assert_eq!(site.good().pending(), []);
    keyring.forget(|name| name == "c").unwrap();
    let generation = keyring.generation();
    keyring.forget(|name| name == "no such").unwrap();
    assert_eq!((names(&site.good()), keyring.generation()), (vec!["a".to_owned()], generation));
}

#[test]
fn the_master_key_changes_while_another_process_has_the_keyring_open() {
    let site = Site::new();
    let (running, command) = (site.good(), site.good());
    let before = std::fs::read(site.path("master.key")).unwrap();
    command.rotate(None).unwrap();
    assert_ne!(std::fs::read(site.path("master.key")).unwrap(), before);
    assert!(!site.path("master.key.next").exists());
    running.ensure("c").unwrap();
    command.ensure("d").unwrap();
    let keyring = site.good();
    assert_eq!(*keyring.get("a").unwrap(), [1; 32], "data keys stay");
    assert_eq!(*keyring.get("c").unwrap(), *running.get("c").unwrap());
    keyring.get("d").unwrap();
    assert_eq!(running.master().unwrap(), keyring.master().unwrap());
    // The old key opens neither copy any more.
    let old = site.path("old.key");
    std::fs::write(&old, before).unwrap();
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o600)).unwrap();
    let error = Keyring::open(&site.ring(), &MasterSource::File(old), Clock::manual(0), false);
    assert!(matches!(error, Err(KeyringError::OtherKey { .. })));
}

#[test]
fn a_change_of_the_master_key_that_was_cut_short_is_finished_or_undone() {
    // What lies on disk after each step, made by hand from before and after.
    let site = Site::new();
    let before = site.bytes();
    site.good().rotate(None).unwrap();
    let after = site.bytes();
    let of = |list: &[(PathBuf, Vec<u8>)], name: &str| {
        list.iter().find(|(path, _)| path.ends_with(name)).unwrap().1.clone()
    };
    for step in 0..4 {
        let new = |at: usize, name: &str| of(if step >= at { &after } else { &before }, name);
        std::fs::write(site.path("master.key.next"), of(&after, "master.key")).unwrap();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(site.path("master.key.next"), private).unwrap();
        for (at, name) in [(1, "keyring"), (2, "keyring.copy"), (3, "master.key")] {
            std::fs::write(site.path(name), new(at, name)).unwrap();
        }
        let (keyring, _) = site.open().unwrap();
        assert_eq!(*keyring.get("a").unwrap(), [1; 32], "step {step}");
        keyring.ensure(&format!("step {step}")).unwrap();
        site.good();
        // And it can be changed again from there.
        site.good().rotate(None).unwrap();
        site.good().get(&format!("step {step}")).unwrap();
    }
}

#[test]
fn another_source_takes_over_and_a_source_that_is_not_ours_is_not_changed() {
    let site = Site::new();
    let next = site.path("next.key");
    MasterKey::create(&next).unwrap();
    let next = MasterSource::File(next);
    site.good().rotate(Some(&next)).unwrap();
    assert!(matches!(site.open(), Err(KeyringError::OtherKey { .. })));
    let (keyring, _) = Keyring::open(&site.ring(), &next, Clock::manual(0), false).unwrap();
    keyring.get("a").unwrap();
    let command = MasterSource::Command(vec![
        "/bin/cat".to_owned(),
        site.path("next.key").display().to_string(),
    ]);
    let (keyring, _) = Keyring::open(&site.ring(), &command, Clock::manual(0), false).unwrap();
    let error = keyring.rotate(None).unwrap_err().to_string();
    assert_eq!(
        error,
        "the master key comes from command /bin/cat: put a new one beside it and name it with --to"
    );
    keyring.ensure("c").unwrap();
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(40))]
    #[test]
    fn hostile_bytes_are_no_keyring(mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), magic: bool) {
        let master = MasterKey::new(Zeroizing::new([0; 32]));
        if magic && bytes.len() > 16 {
            bytes[..8].copy_from_slice(b"PKTRING\x01");
            bytes[8..16].copy_from_slice(&master.id().unwrap());
        }
        let found = file::open(&bytes, &master).unwrap();
        proptest::prop_assert!(matches!(found, Found::Damaged | Found::OtherKey(_)));
    }
}
