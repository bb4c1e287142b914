//! Sealed exports with the real binary: what opens, what is told, exit codes.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use api::export::ExportKey;
use service::key::KeyBytes;

const KEY: [u8; 32] = [7; 32];
const EVENTS: &str = "{\"message\":\"a\u{1b}[2J\"}\n{\"message\":\"b\"}\n";
const WHOLE: &str = "{\"_summary\":{\"sent\":2,\"complete\":true,\"missing\":[],\"error\":null}}\n";
const PART: &str =
    "{\"_summary\":{\"sent\":2,\"complete\":false,\"missing\":[],\"error\":\"time is over\"}}\n";

/// Exit code, standard output and standard error of one run in `folder`.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pikett"));
    for name in ["PIKETT_URL", "PIKETT_TOKEN_FILE", "PIKETT_AUTHORITY"] {
        command.env_remove(name);
    }
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    let done = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

fn private(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn sealed(text: &str) -> Vec<u8> {
    let key = ExportKey::Key(KeyBytes::new(KEY));
    let mut writer = api::export::seal(Vec::new(), &key).unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap()
}

/// A folder with the key, another key, and a file `f` with these bytes.
fn folder(file: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    private(&folder.path().join("k"), &KEY);
    private(&folder.path().join("other"), &[8; 32]);
    std::fs::write(folder.path().join("f"), file).unwrap();
    folder
}

#[test]
fn a_sealed_export_opens_and_says_whether_it_is_everything() {
    let check = |summary: &str, code: i32, told: &str| {
        let text = format!("{EVENTS}{summary}");
        let folder = folder(&sealed(&text));
        let (found, out, error) = run(folder.path(), &["open", "f", "--key-file", "k"]);
        assert_eq!((found, out.as_str(), error.as_str()), (code, text.as_str(), told));
        // Into a file that its owner alone can read, and never over one.
        let into = ["open", "f", "--key-file", "k", "--output", "plain"];
        assert_eq!(run(folder.path(), &into), (code, String::new(), told.to_owned()));
        let plain = folder.path().join("plain");
        assert_eq!(std::fs::read_to_string(&plain).unwrap(), text);
        assert_eq!(plain.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let (found, _, error) = run(folder.path(), &into);
        assert!(found == 2 && error.contains("plain is there already"), "{error}");
    };
    check(WHOLE, 0, "");
    check(PART, 1, "partial: time is over\n");
    check("", 1, "partial: the summary of the export is missing\n");
}

#[test]
fn what_was_changed_is_told_and_only_what_is_genuine_goes_out() {
    let text = format!("{}{WHOLE}", EVENTS.repeat(2_000));
    let whole = sealed(&text);
    let piece = service::pieces::PIECE;
    let mut flipped = whole.clone();
    flipped[piece + 200] ^= 1;
    let head = whole.len() - text.len() - (text.len() / piece + 1) * service::pieces::TAG;
    let cut = &whole[..head + piece + service::pieces::TAG];
    let longer = [&whole[..], b"more"].concat();
    let last = text.len() / piece * piece;
    for (file, genuine, words) in [
        (&flipped[..], piece, "damaged at piece 1: changed, moved or cut off there"),
        (cut, piece, "damaged at piece 1: its end is cut off"),
        (&longer, last, "changed, moved or cut off there"),
    ] {
        let folder = folder(file);
        let (code, out, error) = run(folder.path(), &["open", "f", "--key-file", "k"]);
        assert_eq!((code, out.as_bytes()), (1, &text.as_bytes()[..genuine]), "{error}");
        assert!(error.contains(words) && error.contains(&format!("{genuine} bytes")), "{error}");
        let into = ["open", "f", "--key-file", "k", "--output", "plain"];
        let (code, _, error) = run(folder.path(), &into);
        assert!(code == 1 && error.contains("nothing was kept"), "{error}");
        assert!(!folder.path().join("plain").exists());
    }
}

#[test]
fn what_cannot_be_opened_says_why_and_puts_nothing_out() {
    let folder = folder(&sealed(EVENTS));
    std::fs::write(folder.path().join("text"), EVENTS).unwrap();
    private(&folder.path().join("short"), b"too short");
    for (arguments, words) in [
        (&["open", "f", "--key-file", "other"][..], "f: this is not its key"),
        (&["open", "f", "--passphrase", "env:PATH"], "f: it was sealed with a key"),
        (&["open", "f"], "f: it was sealed with a key: give --key-file PATH"),
        (&["open", "text", "--key-file", "k"], "text: no sealed export"),
        (&["open", "none"], "cannot read none"),
        (&["open", "f", "--key-file", "text"], "key file text can be read by others"),
        (&["open", "f", "--key-file", "short"], "key file short holds no key"),
        (&["open", "f", "--passphrase", "words"], "never the secret itself"),
        (&["open", "f", "--passphrase", "env:NONE_SUCH"], "NONE_SUCH is not set"),
        (&["open", "f", "--key-file", "k", "--passphrase", "env:PATH"], "cannot be used with"),
    ] {
        let (code, out, error) = run(folder.path(), arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {error}");
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
}

#[test]
fn a_search_refuses_before_it_asks_the_collector() {
    let authority = include_bytes!("authority.pem");
    let folder = folder(b"");
    private(&folder.path().join("authority.pem"), authority);
    private(&folder.path().join("t"), b"token");
    private(&folder.path().join("words"), b"too short");
    // Nobody listens there: whoever asks ends with 3.
    let remote =
        ["--url", "https://127.0.0.1:1", "--token-file", "t", "--authority", "authority.pem"];
    for (arguments, code, words) in [
        (&["--output", "new"][..], 2, "no terminal to ask for the passphrase"),
        (&["--output", "f", "--plain"], 2, "f is there already"),
        (&["--output", "new", "--passphrase", "file:words"], 2, "at least 12 characters"),
        (&["--output", "no/new", "--plain"], 2, "cannot make a file for no/new"),
        (&["--plain"], 2, "--output <PATH>"),
        (&["--key-file", "k"], 2, "give --output PATH"),
        (&["--output", "new", "--plain", "--key-file", "k"], 2, "cannot be used with"),
        (&["--output", "new", "--limit", "5"], 2, "cannot be used with"),
        (&["--output", "new", "--key-file", "k"], 3, "cannot reach"),
        (&["--output", "new", "--plain"], 3, "cannot reach"),
    ] {
        let arguments = [&["search", "*"], arguments, &remote].concat();
        let (found, out, error) = run(folder.path(), &arguments);
        assert_eq!((found, out.as_str()), (code, ""), "{arguments:?}: {error}");
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().collect();
    names.retain(|file| {
        file.file_name().to_str().is_some_and(|name| name.contains("new") || name.starts_with('.'))
    });
    assert!(names.is_empty(), "{names:?}");
}
