//! The rules of the house that no compiler checks: directions between crates, sizes of files,
//! heads of modules, inherited lints, reasons for dependencies.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::steps::root;

mod layers;

/// Most production lines of one file.
const MAX_LINES: usize = 600;

/// Checks everything and lists all that is wrong.
///
/// # Errors
/// When anything is wrong.
pub(crate) fn tidy() -> Result<()> {
    let root = root();
    let mut problems = layers::check(&root)?;
    let mut sources = Vec::new();
    for folder in ["crates", "agent", "collector", "cli", "xtask", "tests", "fuzz"] {
        collect(&root.join(folder), &mut sources)?;
    }
    let (mut production, mut tests) = (0, 0);
    for path in &sources {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.strip_prefix(&root).unwrap_or(path).display().to_string();
        let own = production_lines(&name, &text);
        production += own;
        tests += text.lines().count() - own;
        problems.extend(file(&name, &text, own));
    }
    problems.extend(dependencies(&root)?);
    let ratio = f64::from(u32::try_from(tests)?) / f64::from(u32::try_from(production.max(1))?);
    println!(
        "tidy: {} files, {production} production lines, {tests} test lines (ratio {ratio:.2})",
        sources.len()
    );
    if problems.is_empty() {
        return Ok(());
    }
    for problem in &problems {
        eprintln!("tidy: {problem}");
    }
    bail!("{} things are untidy", problems.len())
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        let skipped =
            path.file_name().is_some_and(|name| name == "target" || name == "node_modules");
        if path.is_dir() && !skipped {
            collect(&path, out)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            out.push(path);
        }
    }
    out.sort();
    Ok(())
}

/// Whether a whole file is tests.
fn is_test(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    file == "tests.rs"
        || file == "testing.rs"
        || file.ends_with("_tests.rs")
        || name.contains("/tests/")
        || name.starts_with("tests/")
        || name.contains("/benches/")
}

/// Lines up to the module of tests at the end.
fn production_lines(name: &str, text: &str) -> usize {
    if is_test(name) {
        return 0;
    }
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        matches!(pair, [gate, module] if gate.trim() == "#[cfg(test)]"
            && module.trim_start().starts_with("mod ")
            && module.trim_end().ends_with('{'))
    });
    tests.unwrap_or(lines.len())
}

/// Where unsafe code may be; every other crate forbids it.
const UNSAFE_ROOMS: [&str; 3] =
    ["crates/capture/", "crates/net/src/prefetch.rs", "crates/signature/src/compile/simd.rs"];

/// Whether the root file `root` is of the crate that `room` is in.
fn same_crate(root: &str, room: &str) -> bool {
    let name = room.trim_start_matches("crates/").split('/').next();
    name.is_some_and(|name| root.contains(&format!("crates/{name}/")))
}

fn file(name: &str, text: &str, own: usize) -> Vec<String> {
    let mut out = Vec::new();
    if own > MAX_LINES {
        out.push(format!("{name}: {own} production lines, at most {MAX_LINES}: split it"));
    }
    if !is_test(name) && !text.starts_with("//!") {
        out.push(format!("{name}: no //! head that says what it is"));
    }
    let is_root = name.ends_with("src/lib.rs") || name.ends_with("src/main.rs");
    let may_forbid = !UNSAFE_ROOMS.iter().any(|room| same_crate(name, room));
    if is_root && may_forbid && !text.contains("#![forbid(unsafe_code)]") {
        out.push(format!("{name}: no #![forbid(unsafe_code)]"));
    }
    let expects = ["expect(", "unsafe_code"].concat();
    if text.contains(&expects) && !UNSAFE_ROOMS.iter().any(|room| name.contains(room)) {
        out.push(format!("{name}: unsafe code belongs into {}", UNSAFE_ROOMS.join(", ")));
    }
    let allow = ["#[", "allow("].concat();
    if text.contains(&allow) {
        out.push(format!("{name}: {allow}..)]: use #[expect(.., reason = \"..\")]"));
    }
    out
}

/// Every dependency of the workspace has a line that says why.
fn dependencies(root: &Path) -> Result<Vec<String>> {
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    let reasons = fs::read_to_string(root.join("docs/dependencies.md"))
        .context("docs/dependencies.md is missing")?;
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split_once(" = ").map(|(name, _)| name));
    let foreign = names.filter(|name| !section.contains(&format!("{name} = {{ path")));
    let missing = foreign.filter(|name| !reasons.contains(&format!("`{name}`")));
    Ok(missing.map(|name| format!("docs/dependencies.md gives no reason for {name}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        tidy().unwrap();
    }

    #[test]
    fn tests_do_not_count_as_production() {
        let text = "//! x\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        assert_eq!(production_lines("crates/a/src/b.rs", text), 3);
        assert_eq!(production_lines("crates/a/src/b_tests.rs", text), 0);
        assert_eq!(
            production_lines("crates/a/src/b.rs", "#[cfg(test)]\nmod tests;\nfn c() {}\n"),
            3
        );
    }

    #[test]
    fn whole_files_of_tests_are_known_by_their_place() {
        for (name, test) in [
            ("crates/a/src/tests.rs", true),
            ("crates/a/src/testing.rs", true),
            ("crates/a/src/x/edge_tests.rs", true),
            ("crates/a/tests/all.rs", true),
            ("tests/browser/main.rs", true),
            ("crates/a/benches/speed.rs", true),
            ("crates/a/src/test.rs", false),
            ("crates/a/src/contests.rs", false),
            ("crates/a/src/protests/x.rs", false),
        ] {
            assert_eq!(is_test(name), test, "{name}");
        }
    }

    #[test]
    fn a_file_at_the_limit_is_tidy_and_needs_its_head() {
        let name = "crates/a/src/b.rs";
        assert!(file(name, "//! x\n", MAX_LINES).is_empty());
        assert_eq!(
            file(name, "fn f() {}\n", MAX_LINES + 1),
            [
                "crates/a/src/b.rs: 601 production lines, at most 600: split it",
                "crates/a/src/b.rs: no //! head that says what it is",
            ]
        );
        // The room that may hold unsafe code, and files of tests, are spared what does not concern them.
        assert!(file("crates/capture/src/lib.rs", "//! x\n", 1).is_empty());
        assert!(file("crates/a/src/tests.rs", "fn f() {}\n", 0).is_empty());
    }

    #[test]
    fn every_dependency_needs_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("docs")).unwrap();
        let manifest = "[package]\nx = 1\n[workspace.dependencies]\nour = { path = \"crates/our\" }\n\
                        serde = \"1\"\nserde_json = { version = \"1\" }\n\n[profile.dev]\ndebug = 1\n";
        write("Cargo.toml", manifest);
        assert!(dependencies(folder.path()).is_err(), "the reasons are missing");
        write("docs/dependencies.md", "| `serde_json` | documents |\n");
        assert_eq!(
            dependencies(folder.path()).unwrap(),
            ["docs/dependencies.md gives no reason for serde"]
        );
        write("docs/dependencies.md", "`serde`, `serde_json`\n");
        assert!(dependencies(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn sources_are_collected_without_what_is_built() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["src/b.rs", "src/a.rs", "target/x.rs", "node_modules/y.rs", "src/c.txt"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let mut found = Vec::new();
        collect(folder.path(), &mut found).unwrap();
        assert_eq!(found, [folder.path().join("src/a.rs"), folder.path().join("src/b.rs")]);
        collect(&folder.path().join("gone"), &mut found).unwrap();
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn each_rule_finds_its_breach() {
        let long = format!("//! x\n{}", "fn f() {}\n".repeat(MAX_LINES));
        assert_eq!(file("crates/a/src/b.rs", &long, MAX_LINES + 1).len(), 1);
        assert_eq!(file("crates/a/src/b.rs", "fn f() {}\n", 1).len(), 1);
        assert_eq!(file("crates/a/src/lib.rs", "//! x\n", 1).len(), 1);
        let allowed = ["//! x\n#[", "allow(dead_code)]\n"].concat();
        assert_eq!(file("crates/a/src/b.rs", &allowed, 2).len(), 1);
        assert!(file("crates/a/src/lib.rs", "//! x\n#![forbid(unsafe_code)]\n", 2).is_empty());
        assert!(file("crates/signature/src/lib.rs", "//! x\n", 1).is_empty());
        let unsafe_file = ["//! x\n#![expect(", "unsafe_code)]\n"].concat();
        assert!(file("crates/signature/src/compile/simd.rs", &unsafe_file, 2).is_empty());
        assert_eq!(file("crates/signature/src/load.rs", &unsafe_file, 2).len(), 1);
    }
}
