//! How text becomes words, the same for indexing, querying and in-memory matching.
//!
//! A word is a run of letters, digits and underscores, lowercased, cut at [`MAX_WORD`] characters.
//! No stemming and no stop words: security text is full of names.

/// Longest word kept, characters; the rest of a longer run is ignored.
pub const MAX_WORD: usize = 128;
/// Longest whole value that a bare query term can find besides its words, bytes.
pub const MAX_WHOLE: usize = 128;

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The words of a text with their byte ranges, in order.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    rest: &'a str,
    offset: usize,
}

/// Splits text into words.
#[must_use]
pub const fn words(text: &str) -> Words<'_> {
    Words { rest: text, offset: 0 }
}

impl Words<'_> {
    /// Writes the next word into `out` and gives its byte range in the text.
    pub fn next_into(&mut self, out: &mut String) -> Option<(usize, usize)> {
        let start = self.rest.find(in_word)?;
        let tail = self.rest.get(start..)?;
        let length = tail.find(|c| !in_word(c)).unwrap_or(tail.len());
        let (word, rest) = tail.split_at_checked(length)?;
        let from = self.offset.saturating_add(start);
        let to = from.saturating_add(length);
        self.rest = rest;
        self.offset = to;
        lower_into(word, out);
        Some((from, to))
    }
}

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut word = String::new();
        self.next_into(&mut word).map(|_| word)
    }
}

fn lower_into(word: &str, out: &mut String) {
    out.clear();
    if word.is_ascii() {
        out.push_str(word.get(..MAX_WORD).unwrap_or(word));
        out.make_ascii_lowercase();
    } else {
        out.extend(word.chars().take(MAX_WORD).flat_map(char::to_lowercase));
    }
}

/// The form in which a whole value is found by a bare term: lowercased; `None` when too long or
/// without any word character.
#[must_use]
pub fn whole(value: &str) -> Option<String> {
    let fits = !value.is_empty() && value.len() <= MAX_WHOLE && value.contains(in_word);
    fits.then(|| value.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_and_lowers() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(words(text).collect::<Vec<_>>(), expected, "{text}");
        };
        check("", &[]);
        check("--- !", &[]);
        check("Failed password for ROOT", &["failed", "password", "for", "root"]);
        check("/cgi-bin/x_y.php?id=1", &["cgi", "bin", "x_y", "php", "id", "1"]);
        check("Müller ЖУК 東京", &["müller", "жук", "東京"]);
        assert_eq!(words(&"a".repeat(500)).next().unwrap().len(), MAX_WORD);
    }

    #[test]
    fn whole_values() {
        assert_eq!(whole("Evil.Example").as_deref(), Some("evil.example"));
        assert_eq!(whole(""), None);
        assert_eq!(whole("---"), None);
        assert_eq!(whole(&"a".repeat(129)), None);
    }

    proptest! {
        #[test]
        fn ranges_lie_in_the_text_and_words_are_stable(text in ".{0,200}") {
            let mut stream = words(&text);
            let mut word = String::new();
            let mut end = 0;
            while let Some((from, to)) = stream.next_into(&mut word) {
                prop_assert!(from >= end && to > from && to <= text.len());
                prop_assert!(text.get(from..to).is_some());
                end = to;
            }
        }
    }
}
