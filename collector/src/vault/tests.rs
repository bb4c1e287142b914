//! The vault: a new one, one made out of an older collector's keys, deletions with their proof.

use super::*;
use crate::keys::MasterKey;
use crate::store::Key;
use crate::store::log::checkpoint;
use crate::testing::vault;
use std::collections::BTreeSet;

fn source(data: &Path) -> MasterSource {
    let path = data.join("master.key");
    if !path.exists() {
        MasterKey::create(&path).unwrap();
    }
    MasterSource::File(path)
}

fn open(data: &Path) -> Result<Arc<Vault>, VaultError> {
    Vault::open(data, &source(data), Clock::manual(77))
}

#[test]
fn a_new_vault_has_its_keys_and_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let one = open(folder.path()).unwrap();
    let names = [names::STATE, names::STORE, names::MEMORY, names::LINKS, names::SIGNING];
    let keys: BTreeSet<_> = names.iter().map(|name| *one.keyring.get(name).unwrap()).collect();
    assert_eq!(keys.len(), names.len(), "all different");
    let two = open(folder.path()).unwrap();
    assert_eq!(one.signer().public(), two.signer().public());
    let elsewhere = tempfile::tempdir().unwrap();
    assert_ne!(open(elsewhere.path()).unwrap().signer().public(), one.signer().public());
}

/// An older collector's folder: what of it the vault looks at.
fn older(data: &Path) -> MasterKey {
    let master = source(data).load().unwrap();
    for folder in ["events/log", "events/index/2026-11-20", "events/index/past@2026-11-21"] {
        std::fs::create_dir_all(data.join(folder)).unwrap();
    }
    std::fs::write(data.join("events/log/00000000000000000009.log"), b"").unwrap();
    let key = Key::new(*master.derive("store").unwrap());
    checkpoint::write(&data.join("events/key.check"), &key, b"pikett store 1", true).unwrap();
    master
}

#[test]
fn an_older_collector_moves_over_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let master = older(data);
    let vault = open(data).unwrap();
    assert!(!data.join("events/key.check").exists());
    let same = |name: &str, usage: &str| {
        assert_eq!(*vault.keyring.get(name).unwrap(), *master.derive(usage).unwrap(), "{name}");
    };
    same("state", "state");
    same("page links", "page links");
    same("memory", "memory");
    same("partition/2026-11-20", "store");
    same("partition/past@2026-11-21", "store");
    same("log/00000000000000000001", "store");
    assert!(vault.keyring.get("partition/2026-11-22").is_err());
    let shared = vault.keyring.list().into_iter().filter(|key| key.shared).count();
    assert_eq!(shared, 4);
    // A kill before the check was removed changes nothing.
    let key = Key::new(*master.derive("store").unwrap());
    checkpoint::write(&data.join("events/key.check"), &key, b"pikett store 1", true).unwrap();
    assert_eq!(open(data).unwrap().keyring.generation(), vault.keyring.generation());
    // Without its keyring it is not taken for an older one again.
    std::fs::remove_dir_all(data.join("vault")).unwrap();
    let error = open(data).unwrap_err().to_string();
    assert!(error.contains("is missing although there is data"), "{error}");
}

#[test]
fn an_older_collector_with_another_master_key_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    older(data);
    std::fs::remove_file(data.join("master.key")).unwrap();
    assert!(matches!(open(data), Err(VaultError::Keys(KeyringError::Missing { .. }))));
    assert!(data.join("events/key.check").exists() && !data.join("vault").exists());
}

#[test]
fn deletions_are_proven_and_listed_once() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path());
    let deletion = |name: &str| Deletion {
        partition: name.into(),
        documents: 12,
        bytes: 345,
        reason: "age".into(),
        ..Deletion::default()
    };
    vault.keyring.ensure("partition/2026-11-20").unwrap();
    vault.destroy(deletion("2026-11-20")).unwrap();
    // As a kill between keyring and journal leaves it.
    vault.keyring.ensure("partition/2026-11-21").unwrap();
    vault.keyring.destroy("partition/2026-11-21", deletion("2026-11-21")).unwrap();
    assert!(vault.was_deleted("2026-11-20") && !vault.was_deleted("2026-11-21"));
    for _ in 0..2 {
        let vault = crate::testing::vault(folder.path());
        let key = vault.keyring.file_key(names::JOURNAL).unwrap();
        let found = journal::scan(vault.journal.path(), &key).unwrap();
        let public = vault.signer().public();
        let proven: Vec<_> = deletions(&found.entries)
            .map(|(one, proof)| (one.partition.clone(), proof.check::<Deletion>(&public)))
            .collect();
        assert_eq!(proven.len(), 2);
        for (name, proven) in proven {
            let proven = proven.unwrap();
            assert_eq!((proven.partition, proven.documents, proven.shredded), (name, 12, true));
        }
        assert!(vault.was_deleted("2026-11-21"));
    }
}
