//! The audit log over restarts, files, cuts, kills and changes by somebody else.

use super::*;
use crate::keys::MasterSource;
use crate::testing::vault;
use crate::vault::Vault;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn did(action: &str) -> Act {
    Act { by: By::Person, who: "ada".into(), action: action.into(), ..Act::default() }
}

/// A vault's audit log of 40 records in files of about ten each; and its folder.
fn forty() -> (tempfile::TempDir, Keyring, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path());
    let mut audit = again(folder.path(), &vault.keyring, Cut::default());
    audit.set_file_bytes(3_000);
    for n in 0..40 {
        let number = audit.append_at(n, did(&format!("act {n}")), n % 3 == 0).unwrap();
        assert_eq!(i64::try_from(number), Ok(n));
    }
    let audits = audit.folder().to_owned();
    assert!(list(&audits).unwrap().len() > 3);
    (folder, vault.keyring.clone(), audits)
}

fn again(data: &Path, keyring: &Keyring, cut: Cut) -> Audit {
    let parts = (keyring.clone(), Clock::manual(1_000));
    Audit::open(&crate::vault::folder(data), parts, cut, false).unwrap()
}

fn found(folder: &Path, keyring: &Keyring, cut: &Cut) -> Looked {
    look(folder, keyring, cut, &BTreeSet::new()).unwrap()
}

fn actions(page: &Page) -> Vec<&str> {
    page.records.iter().map(|entry| entry.what.action.as_str()).collect()
}

#[test]
fn records_follow_each_other_over_files_and_restarts() {
    let (folder, keyring, audits) = forty();
    let audit = again(folder.path(), &keyring, Cut::default());
    assert_eq!(audit.append(did("later"), true).unwrap(), 40);
    let looked = found(&audits, &keyring, &Cut::default());
    assert_eq!((looked.findings, looked.records), (vec![], 41));
    assert_eq!(looked.end, audit.head().unwrap());
    let page = audit.page(|_| true, None, 3).unwrap();
    assert_eq!((actions(&page), page.next), (vec!["later", "act 39", "act 38"], Some(38)));
    let page = audit.page(|entry| entry.what.action.ends_with('7'), Some(38), 3).unwrap();
    assert_eq!((actions(&page), page.next), (vec!["act 37", "act 27", "act 17"], Some(17)));
    let raw: Vec<u8> = list(&audits)
        .unwrap()
        .iter()
        .flat_map(|number| std::fs::read(path_of(&audits, *number)).unwrap())
        .collect();
    assert!(!raw.windows(3).any(|bytes| bytes == b"ada"));
}

#[test]
fn a_collector_and_a_command_take_turns() {
    let (folder, keyring, audits) = forty();
    let mut one = again(folder.path(), &keyring, Cut::default());
    one.set_file_bytes(3_000);
    let parts = (keyring.clone(), Clock::manual(1));
    let two = Audit::open(&crate::vault::folder(folder.path()), parts, Cut::default(), true);
    let two = two.unwrap();
    for n in 0..20 {
        one.append(did(&format!("one {n}")), false).unwrap();
        two.append(did(&format!("two {n}")), true).unwrap();
    }
    let looked = found(&audits, &keyring, &Cut::default());
    assert_eq!((looked.findings, looked.records), (vec![], 80));
}

/// A vault whose audit log has small files, with 40 records.
fn small(folder: &Path) -> Vault {
    let vault = vault(folder);
    let mut vault = std::sync::Arc::into_inner(vault).unwrap();
    vault.audit.set_file_bytes(3_000);
    for n in 0..40 {
        vault.audit.append_at(n, did(&format!("act {n}")), false).unwrap();
    }
    vault
}

#[test]
fn what_retention_cuts_is_signed_for_and_its_key_destroyed() {
    let folder = tempfile::tempdir().unwrap();
    let vault = small(folder.path());
    assert!(vault.retain_audit(0, u64::MAX).unwrap().is_none());
    let copy = path_of(vault.audit.folder(), 1);
    let kept = std::fs::read(&copy).unwrap();
    let cut = vault.retain_audit(25, u64::MAX).unwrap().unwrap();
    assert!((11..=25).contains(&cut.upto.count), "{cut:?}");
    assert_eq!((cut.from, cut.reason.as_str()), (0, "age"));
    assert_eq!(u64::try_from(cut.newest).unwrap() + 1, cut.upto.count);
    let key = vault.keyring.file_key(names::JOURNAL).unwrap();
    let journal = crate::journal::scan(vault.journal.path(), &key).unwrap();
    let proofs: Vec<Option<Cut>> = journal
        .entries
        .iter()
        .filter_map(|(entry, _)| match &entry.what {
            crate::journal::What::Cut { proof, .. } => Some(proof.check(&vault.signer().public())),
            _ => None,
        })
        .collect();
    assert_eq!(proofs, [Some(cut.clone())]);
    let looked = found(vault.audit.folder(), &vault.keyring, &cut);
    assert_eq!((looked.findings, looked.records), (vec![], 40 - cut.upto.count));
    // A copy of the file that is gone does not open any more.
    std::fs::write(&copy, kept).unwrap();
    assert!(seal_of(&vault.keyring, 1).is_err());
    let more = vault.retain_audit(0, 4_000).unwrap().unwrap();
    assert_eq!((more.from, more.reason.as_str()), (cut.upto.count, "size"));
    let audits = vault.audit.folder().to_owned();
    drop(vault);
    let vault = crate::testing::vault(folder.path());
    assert!(!copy.exists());
    assert_eq!((vault.problems(), list(&audits).unwrap().len()), (vec![], 1));
    assert_eq!(vault.audit.append(did("after"), true).unwrap(), 40);
    let checked = vault.audit.check().unwrap();
    assert_eq!((checked.findings, checked.upto, checked.from), (vec![], 41, more.upto.count));
}

#[test]
fn a_cut_that_a_kill_interrupts_is_ended_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let vault = small(folder.path());
    let cut = vault.audit.due(25, u64::MAX).unwrap().unwrap();
    let proof = vault.signer().sign(&cut).unwrap();
    vault.note(crate::journal::What::Cut { cut: cut.clone(), proof }).unwrap();
    let audits = vault.audit.folder().to_owned();
    assert!(found(&audits, &vault.keyring, &cut).findings.is_empty());
    assert!(path_of(&audits, 1).exists());
    drop(vault);
    let vault = crate::testing::vault(folder.path());
    assert_eq!((vault.problems(), path_of(&audits, 1).exists()), (vec![], false));
    let looked = found(&audits, &vault.keyring, &cut);
    assert_eq!((looked.findings, looked.records), (vec![], 40 - cut.upto.count));
}

/// Lines of all files, changed by `change`; gives places and words of what is found.
fn changed(change: impl Fn(&mut Vec<Vec<String>>)) -> Vec<String> {
    let (_folder, keyring, audits) = forty();
    let numbers = list(&audits).unwrap();
    let read = |number: &u64| std::fs::read_to_string(path_of(&audits, *number)).unwrap();
    let mut files: Vec<Vec<String>> =
        numbers.iter().map(|number| read(number).lines().map(str::to_owned).collect()).collect();
    change(&mut files);
    for (number, lines) in numbers.iter().zip(&files) {
        let path = path_of(&audits, *number);
        if lines.is_empty() {
            std::fs::remove_file(path).unwrap();
        } else {
            std::fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>())
                .unwrap();
        }
    }
    let findings = found(&audits, &keyring, &Cut::default()).findings;
    let word = |one: &Problem| {
        let file = one.path.rsplit('/').next().unwrap().trim_start_matches('0');
        format!("{file}: {}", one.what.split(": ch").next().unwrap())
    };
    findings.iter().map(word).collect()
}

#[test]
fn records_changed_removed_or_moved_are_located() {
    let per = |files: &[Vec<String>]| files[0].len();
    assert_eq!(changed(|_| {}), [""; 0]);
    let first = std::cell::Cell::new(0);
    let gone = changed(|files| {
        first.set(per(files));
        files[0].remove(4);
    });
    assert_eq!(gone, ["1.audit: line 5: entry 5 does not follow from entry 3"]);
    let swapped = changed(|files| files[0].swap(2, 3));
    assert_eq!(swapped[0], "1.audit: line 3: entry 3 does not follow from entry 1");
    let broken = changed(|files| files[1][1].replace_range(30..31, "!"));
    let second = first.get() + 2;
    let words =
        format!("2.audit: line 2: entry {second} does not follow from entry {}", second - 2);
    assert_eq!(broken, [words]);
    // The last record of a file is told by the first of the next.
    let end = changed(|files| {
        let last = files[0].len() - 1;
        files[0][last].replace_range(30..31, "!");
    });
    let words = format!("entry {} does not follow from entry {}", first.get(), first.get() - 2);
    assert_eq!(end, [format!("1.audit: line {}: {words}", first.get())]);
    let file = changed(|files| files[1].clear());
    assert_eq!(file[0], "2.audit: file of the audit log is gone");
    let front = changed(|files| files[0].clear());
    assert_eq!(front[0], "1.audit: file of the audit log is gone");
}

#[test]
fn a_cut_off_end_is_told_by_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let vault = small(folder.path());
    vault.checkpoint(true).unwrap();
    let audits = vault.audit.folder().to_owned();
    drop(vault);
    let last = path_of(&audits, *list(&audits).unwrap().last().unwrap());
    let bytes = std::fs::read(&last).unwrap();
    let end = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    std::fs::write(&last, &bytes[..end]).unwrap();
    let vault = crate::testing::vault(folder.path());
    let words: Vec<String> = vault.problems().into_iter().map(|one| one.what).collect();
    assert_eq!(words, ["has been put back or cut: it is at step 39, and had come to step 40"]);
    // While it runs, the log itself tells.
    vault.audit.append(did("one"), true).unwrap();
    std::fs::write(&last, &bytes[..end]).unwrap();
    let checked = vault.audit.check().unwrap();
    assert_eq!(checked.findings.len(), 1);
    assert!(checked.findings[0].what.starts_with("ends at record 39 of 40"), "{checked:?}");
    assert_eq!(vault.audit.problems().len(), 1);
}

#[test]
fn records_that_cannot_be_kept_are_counted_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path());
    let audits = vault.audit.folder().to_owned();
    std::fs::write(&audits, "in the way").unwrap();
    assert!(vault.audit.append(did("lost"), true).is_err());
    assert!(!vault.audit.is_ready());
    assert!(vault.problems()[0].what.starts_with("audit records are not kept: "));
    std::fs::remove_file(&audits).unwrap();
    assert!(vault.audit.is_ready());
    assert_eq!(vault.problems(), []);
    let page = vault.audit.page(|_| true, None, 10).unwrap();
    assert_eq!(actions(&page), ["records are kept again"]);
    assert_eq!(page.records[0].what.about["lost"], "2");
}

#[test]
fn commands_keep_records_with_the_key_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path());
    let source = MasterSource::File(folder.path().join("master-3.key"));
    let beside = crate::vault::keyring(folder.path(), &source, Clock::system()).unwrap();
    crate::vault::note_beside(folder.path(), &beside, did("token")).unwrap();
    vault.audit.append(did("after"), true).unwrap();
    let page = vault.audit.page(|_| true, None, 10).unwrap();
    assert_eq!(actions(&page), ["after", "token"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_flip_before_the_last_line_is_found(at in 0_usize..20_000, bit in 0..8_u32) {
        let (_folder, keyring, audits) = forty();
        let numbers = list(&audits).unwrap();
        let number = numbers[at % (numbers.len() - 1)];
        let path = path_of(&audits, number);
        let mut bytes = std::fs::read(&path).unwrap();
        let place = at % bytes.len();
        bytes[place] ^= 1 << bit;
        std::fs::write(&path, bytes).unwrap();
        let looked = found(&audits, &keyring, &Cut::default());
        prop_assert!(!looked.findings.is_empty());
        prop_assert!(looked.findings[0].path.ends_with(&format!("{number:010}.audit")), "{looked:?}");
    }
}
