//! What is shown to people: text of rules, files and events is foreign and must not drive the terminal.

/// Text that cannot move the cursor, change colours, break the line or turn the order of reading round.
pub(crate) fn plain(text: &str) -> String {
    let drives = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if drives(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_drives_a_terminal_is_left() {
        for (text, expected) in [
            ("", ""),
            ("plain ASCII, ä, 漢, 🦀", "plain ASCII, ä, 漢, 🦀"),
            ("a\u{1b}[2Jb\r\n\tc", "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}c"),
            ("\u{9b}31m\u{7f}\u{0}", "\u{fffd}31m\u{fffd}\u{fffd}"),
            ("gpj.\u{202e}exe\u{2069}", "gpj.\u{fffd}exe\u{fffd}"),
            ("a\u{2028}b", "a\u{fffd}b"),
        ] {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }
}
