//! What was probably meant: the nearest of some names.

/// Most names looked at.
const MAX_LOOKED: usize = 20_000;

/// A name without what people write differently: case, dots, lines.
fn bare(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(64).collect()
}

/// At most `count` of `names` that are close enough to `word` to have been meant, nearest first.
pub fn nearest<'a>(
    word: &str,
    names: impl IntoIterator<Item = &'a str>,
    count: usize,
) -> Vec<&'a str> {
    let wanted = bare(word);
    let most = wanted.chars().count() / 3;
    let mut found: Vec<(usize, &str)> = names
        .into_iter()
        .take(MAX_LOOKED)
        .filter(|name| *name != word)
        .filter_map(|name| {
            let distance = strsim::osa_distance(&wanted, &bare(name));
            (distance <= most && !wanted.is_empty()).then_some((distance, name))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(count).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["src_ip", "source.ip", "dest_ip", "user.name", "process.name", "count"];
        for (word, expected) in [
            ("src.ip", vec!["src_ip"]),
            ("sourceIp", vec!["source.ip"]),
            ("username", vec!["user.name"]),
            ("user.nmae", vec!["user.name"]),
            ("cuont", vec!["count"]),
            ("src_ip", vec![]),
            ("bytes", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(nearest(word, names, 1), expected, "{word}");
        }
    }
}
