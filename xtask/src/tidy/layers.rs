//! Directions between the crates of the workspace, from cargo's own metadata.

use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

/// Most crates of the product; xtask is none.
const MAX_CRATES: usize = 14;

/// What each crate may use of ours; anything else is an error.
const ALLOWED: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("net", &[]),
    ("signature", &[]),
    ("capture", &[]),
    ("service", &[]),
    ("sigma", &["event"]),
    ("anomaly", &["event"]),
    ("intel", &["event"]),
    ("link", &["event", "service"]),
    ("logs", &["event", "service"]),
    ("api", &["event", "service"]),
    (
        "pikett-agent",
        &[
            "event",
            "net",
            "signature",
            "sigma",
            "anomaly",
            "intel",
            "link",
            "logs",
            "capture",
            "service",
        ],
    ),
    (
        "pikett-collector",
        &[
            "event",
            "sigma",
            "anomaly",
            "intel",
            "signature",
            "net",
            "link",
            "logs",
            "api",
            "service",
        ],
    ),
    ("pikett", &["api", "event", "logs", "sigma", "signature", "service"]),
    ("xtask", &[]),
];

/// Lists every direction that is not allowed, and every manifest that does not inherit the lints.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo metadata failed")?;
    let mut problems = Vec::new();
    let crates = metadata.packages.iter().filter(|package| package.name != "xtask").count();
    if crates > MAX_CRATES {
        problems.push(format!("{crates} crates, at most {MAX_CRATES}"));
    }
    for package in &metadata.packages {
        let name = package.name.as_str();
        let Some((_, allowed)) = ALLOWED.iter().find(|(one, _)| *one == name) else {
            problems.push(format!("crate {name} has no place in the layers"));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|one| one.path.is_some()) {
            if !allowed.contains(&dependency.name.as_str()) {
                problems.push(format!("{name} must not use {}", dependency.name));
            }
        }
        let manifest = std::fs::read_to_string(&package.manifest_path)?;
        if !manifest.contains("[lints]\nworkspace = true") {
            problems.push(format!("{} does not inherit the lints", package.manifest_path));
        }
    }
    Ok(problems)
}
