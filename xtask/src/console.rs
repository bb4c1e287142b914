//! Builds the console into `dashboards/dist`, which the collector embeds.

use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::steps::root;

/// Builds the console when a source is newer than what was built.
pub(crate) fn build() -> Result<()> {
    let folder = root().join("dashboards");
    if !folder.join("package-lock.json").exists() {
        bail!("dashboards/package-lock.json is missing: this checkout is incomplete");
    }
    let built = folder.join("dist/app.js").metadata().and_then(|file| file.modified());
    if built.is_ok_and(|built| newest(&folder.join("src")).is_some_and(|source| source < built)) {
        return Ok(());
    }
    for arguments in
        [&["ci", "--no-audit", "--no-fund"][..], &["run", "check"], &["test"], &["run", "build"]]
    {
        println!("\n$ npm {} (dashboards)", arguments.join(" "));
        let status = Command::new("npm")
            .args(arguments)
            .current_dir(&folder)
            .status()
            .context("cannot start npm")?;
        if !status.success() {
            bail!("npm {} failed", arguments.join(" "));
        }
    }
    Ok(())
}

/// Time of the newest file below a folder.
fn newest(folder: &std::path::Path) -> Option<SystemTime> {
    let mut latest = None;
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        let time = if path.is_dir() {
            newest(&path)
        } else {
            entry.metadata().and_then(|file| file.modified()).ok()
        };
        latest = latest.max(time);
    }
    latest
}
