//! Files in transit, kept by workers and had back by people.

use net::Direction;
use net::app::file::{File as InTransit, FileConfig as Limits};

use super::*;
use crate::sensor::store::{Fate, Store};

fn files(folder: &Path) -> Files {
    Files::new(folder, FileKey::derive(&[3; 32]).unwrap())
}

fn config(keep: KeepFiles) -> FilesConfig {
    FilesConfig { keep, ..FilesConfig::default() }
}

/// Keeps a file with that content; what became of it.
fn keep(store: &mut Store, content: &[u8]) -> Fate {
    let limits = Limits { stream: true, ..Limits::default() };
    let mut file = InTransit::new(Direction::ToClient, b"a.bin", &limits);
    file.append(content);
    store.write((1, 2, 0), file.fresh());
    file.close();
    store.end(1, 2, (0, &file))
}

fn name_of(fate: Fate) -> String {
    match fate {
        Fate::Stored(name) => name,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_kept_file_is_sealed_listed_and_had_back() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let options = files.options(&config(KeepFiles::All)).unwrap();
    let mut store = Store::new(&options).unwrap();
    let content = b"MZ this program cannot be run in a sandbox".repeat(5000);
    let name = name_of(keep(&mut store, &content));
    let listed = files.list().unwrap();
    assert_eq!(listed.iter().map(|kept| kept.name.as_str()).collect::<Vec<_>>(), [&name]);
    let on_disk = fs::read(&listed[0].path).unwrap();
    assert!(!on_disk.windows(20).any(|part| part == &content[..20]), "it is sealed");
    let out = folder.path().join("out");
    assert_eq!(files.export(&name.to_uppercase(), &out).unwrap(), content.len() as u64);
    assert_eq!(fs::read(&out).unwrap(), content);
    // What is there already stays as it is.
    assert!(matches!(files.export(&name, &out), Err(FilesError::Io { path, .. }) if path == out));
    assert_eq!(fs::read(&out).unwrap(), content);
}

#[test]
fn names_and_files_that_are_none_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    assert!(files.list().unwrap().is_empty());
    let out = folder.path().join("out");
    for name in ["", "../../etc/passwd", &"g".repeat(64), &"é".repeat(32)] {
        assert!(matches!(files.export(name, &out), Err(FilesError::Name { .. })), "{name}");
    }
    let unknown = files.export(&"a".repeat(64), &out).unwrap_err().to_string();
    assert!(unknown.starts_with("no file aaaa") && unknown.contains("lists"), "{unknown}");
    // One that was changed gives no file, not even a part of one.
    let options = files.options(&config(KeepFiles::All)).unwrap();
    let name = name_of(keep(&mut Store::new(&options).unwrap(), &[7; 100_000]));
    let path = files.list().unwrap().remove(0).path;
    let mut bytes = fs::read(&path).unwrap();
    bytes[70_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(files.export(&name, &out).is_err());
    assert!(!out.exists());
}

#[test]
fn the_oldest_make_room_and_what_is_used_is_known_again() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let mut options = files.options(&config(KeepFiles::All)).unwrap();
    options.quota = 100_000;
    let mut store = Store::new(&options).unwrap();
    let mut names = Vec::new();
    for n in 0..9_u64 {
        names.push(name_of(keep(&mut store, &[u8::try_from(n).unwrap(); 9_900])));
        let name = names.last().unwrap();
        let path = files.folder.join(name.get(..2).unwrap()).join(name);
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + n);
        File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
    }
    // The same content again takes no more room.
    let before = options.used.get();
    name_of(keep(&mut store, &[8; 9_900]));
    assert_eq!((options.used.get(), options.used.files()), (before, 9));
    assert_eq!(keep(&mut store, &[99; 20_000]), Fate::Refused("quota"));
    assert_eq!(store.refused(), 1);
    files.make_room(&options, MOST).unwrap();
    let used = options.used.get();
    assert_eq!(files.list().unwrap().len(), 9, "nine tenths are not used: {used}");
    name_of(keep(&mut store, &[77; 5_000]));
    files.make_room(&options, MOST).unwrap();
    let left: Vec<String> = files.list().unwrap().into_iter().map(|kept| kept.name).collect();
    assert!(!left.contains(&names[0]) && !left.contains(&names[1]), "the oldest are gone");
    assert!(left.contains(&names[7]) && options.used.get() <= 80_000);
    name_of(keep(&mut store, &[99; 15_000]));
    // Many small ones make room too.
    files.make_room(&options, 5).unwrap();
    assert!(files.list().unwrap().len() <= 4);
    drop(store);
    // A part that a crash left goes, the rest is counted.
    fs::create_dir_all(files.folder.join("tmp")).unwrap();
    fs::write(files.folder.join("tmp/1-1"), b"part").unwrap();
    let again = files.options(&config(KeepFiles::Wanted)).unwrap();
    assert!(!files.folder.join("tmp").exists());
    let sizes: u64 = files.list().unwrap().iter().map(|kept| kept.size).sum();
    assert_eq!((again.used.get(), again.used.files(), again.all), (sizes, 4, false));
}

#[test]
fn nothing_is_made_when_nothing_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let options = files(folder.path()).options(&config(KeepFiles::None)).unwrap();
    assert!(Store::new(&options).is_none());
    assert!(!folder.path().join("files").exists());
}
