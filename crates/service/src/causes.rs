//! An error and everything that caused it, as one line for logs and people.

use std::error::Error;

/// Most causes told; a chain that goes on is cut there.
const MOST: usize = 16;

/// `error: its cause: the cause of that`, on one line. A cause that only repeats the words before
/// it is left out.
#[must_use]
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut last = text.clone();
    let mut next = error.source();
    for _ in 0..MOST {
        let Some(cause) = next else { break };
        let words = cause.to_string();
        if words != last {
            text.push_str(": ");
            text.push_str(&words);
        }
        last = words;
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Self>>);

    impl std::fmt::Display for Layer {
        fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|inner| inner as _)
        }
    }

    fn layers(words: &[&'static str]) -> Layer {
        let (first, rest) = words.split_first().unwrap();
        Layer(first, (!rest.is_empty()).then(|| Box::new(layers(rest))))
    }

    #[test]
    fn every_cause_is_told_once() {
        for (words, expected) in [
            (&["alone"][..], "alone"),
            (&["cannot send", "no route"], "cannot send: no route"),
            (&["a", "b", "c"], "a: b: c"),
            (&["no route", "no route", "os error 101"], "no route: os error 101"),
        ] {
            assert_eq!(causes(&layers(words)), expected);
        }
    }

    #[test]
    fn an_endless_chain_is_cut() {
        let text = causes(&layers(&["x", "y"].repeat(500)));
        assert_eq!(text.matches(": ").count(), MOST);
    }
}
