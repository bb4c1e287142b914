//! The files of `rules/parsers` inside the program.

use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../rules/parsers"]
struct Files;

/// Name and text of every built-in parser.
pub(super) fn parsers() -> impl Iterator<Item = (String, String)> {
    Files::iter().filter_map(|file| {
        let name = file.strip_suffix(".toml")?.to_owned();
        let data = Files::get(&file)?.data;
        Some((name, String::from_utf8_lossy(&data).into_owned()))
    })
}
