//! Expressions at run time: built on first use, bounded in work.

use std::sync::OnceLock;

use crate::check::pcre::Expression;

/// Largest compiled form of one expression, in bytes.
const SIZE_LIMIT: usize = 4 << 20;

enum Engine {
    Linear(regex::bytes::Regex),
    Full(pcre2::bytes::Regex),
    Unusable,
}

/// An expression and, once used, its engine.
pub(crate) struct LazyRegex {
    expression: Expression,
    engine: OnceLock<Box<Engine>>,
}

impl std::fmt::Debug for LazyRegex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LazyRegex").field(&self.expression.full).finish()
    }
}

/// What a search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Search {
    Found {
        start: usize,
        end: usize,
    },
    Missing,
    /// A limit was hit: counted, taken as missing.
    Limit,
}

impl LazyRegex {
    pub(crate) const fn new(expression: Expression) -> Self {
        Self { expression, engine: OnceLock::new() }
    }

    fn build(&self) -> Engine {
        if let Some(linear) = &self.expression.linear {
            let built = regex::bytes::RegexBuilder::new(linear)
                .unicode(false)
                .size_limit(SIZE_LIMIT)
                .build();
            if let Ok(regex) = built {
                return Engine::Linear(regex);
            }
        }
        match pcre2::bytes::RegexBuilder::new().jit_if_available(true).build(&self.expression.full)
        {
            Ok(regex) => Engine::Full(regex),
            Err(_) => Engine::Unusable,
        }
    }

    /// First match that begins at or after `from`.
    pub(crate) fn find(&self, subject: &[u8], from: usize) -> Search {
        if from > subject.len() {
            return Search::Missing;
        }
        match self.engine.get_or_init(|| Box::new(self.build())).as_ref() {
            Engine::Linear(regex) => match regex.find_at(subject, from) {
                Some(found) => Search::Found { start: found.start(), end: found.end() },
                None => Search::Missing,
            },
            Engine::Full(regex) => match regex.find_at(subject, from) {
                Ok(Some(found)) => Search::Found { start: found.start(), end: found.end() },
                Ok(None) => Search::Missing,
                Err(_) => Search::Limit,
            },
            Engine::Unusable => Search::Limit,
        }
    }

    /// First group of the first match.
    pub(crate) fn group<'s>(&self, subject: &'s [u8]) -> Option<&'s [u8]> {
        let range = match self.engine.get_or_init(|| Box::new(self.build())).as_ref() {
            Engine::Linear(regex) => regex.captures(subject)?.get(1)?.range(),
            Engine::Full(regex) => {
                let captures = regex.captures(subject).ok().flatten()?;
                let group = captures.get(1)?;
                group.start()..group.end()
            }
            Engine::Unusable => return None,
        };
        subject.get(range)
    }
}
