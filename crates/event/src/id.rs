//! Identities: which agent, which run of it, which event of that run.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest agent identity accepted, bytes.
const MAX_AGENT: usize = 64;

/// Identity of an agent: 1 to 64 bytes of `[A-Za-z0-9._:-]`, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(Arc<str>);

/// Why a text is no identity.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    /// Empty or longer than 64 bytes.
    #[error("agent id must have 1 to 64 bytes, has {bytes}")]
    Length {
        /// Bytes it has.
        bytes: usize,
    },
    /// A character outside `[A-Za-z0-9._:-]`.
    #[error("agent id may hold letters, digits, '.', '_', ':' and '-' only, found {found:?}")]
    Character {
        /// The first one that does not fit.
        found: char,
    },
    /// Not `agent/boot/sequence`.
    #[error("event id must read agent/boot/sequence")]
    Shape,
}

impl AgentId {
    /// Checks and takes a text as identity.
    ///
    /// # Errors
    /// [`IdError::Length`] or [`IdError::Character`].
    pub fn new(text: &str) -> Result<Self, IdError> {
        if text.is_empty() || text.len() > MAX_AGENT {
            return Err(IdError::Length { bytes: text.len() });
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
        match text.chars().find(|c| !fits(*c)) {
            Some(found) => Err(IdError::Character { found }),
            None => Ok(Self(text.into())),
        }
    }

    /// The identity as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Serialize for AgentId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AgentId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

/// Identity of an event: agent, boot (a number drawn at each start of the agent's spool) and
/// sequence (1, 2, 3 ... within the boot). Unique for ever; the key of deduplication.
///
/// The text form is `agent/boot/sequence` with the boot in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Who saw it.
    pub agent: AgentId,
    /// Which run of the agent.
    pub boot: u64,
    /// Position within the run, from 1, without holes.
    pub seq: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{:016x}/{}", self.agent, self.boot, self.seq)
    }
}

impl FromStr for EventId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut parts = text.splitn(3, '/');
        let (Some(agent), Some(boot), Some(seq)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(IdError::Shape);
        };
        Ok(Self {
            agent: AgentId::new(agent)?,
            boot: u64::from_str_radix(boot, 16).map_err(|_| IdError::Shape)?,
            seq: seq.parse().map_err(|_| IdError::Shape)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_id_round_trip() {
        let id = EventId { agent: AgentId::new("web-1").unwrap(), boot: 0xfeed, seq: 42 };
        assert_eq!(id.to_string(), "web-1/000000000000feed/42");
        assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
    }

    #[test]
    fn bounds_of_an_identity() {
        let longest = "a".repeat(MAX_AGENT);
        for text in ["a", "A.b_c:d-9", "...", &longest] {
            assert_eq!(AgentId::new(text).unwrap().as_str(), text);
            let json = serde_json::to_string(&AgentId::new(text).unwrap()).unwrap();
            assert_eq!(serde_json::from_str::<AgentId>(&json).unwrap().as_str(), text);
        }
        for text in ["\"\"", "\"a/b\"", "\"a\\u0000\"", "7", "null"] {
            assert!(serde_json::from_str::<AgentId>(text).is_err(), "{text}");
        }
        assert_eq!(AgentId::new("ä").unwrap_err(), IdError::Character { found: 'ä' });
        // Bytes are counted, not characters.
        assert_eq!(AgentId::new(&"ä".repeat(33)).unwrap_err(), IdError::Length { bytes: 66 });
    }

    #[test]
    fn messages_say_what_is_allowed() {
        let told: Vec<String> = ["", "a b"]
            .iter()
            .map(|text| AgentId::new(text).unwrap_err().to_string())
            .chain([IdError::Shape.to_string()])
            .collect();
        expect_test::expect![[r#"
            agent id must have 1 to 64 bytes, has 0
            agent id may hold letters, digits, '.', '_', ':' and '-' only, found ' '
            event id must read agent/boot/sequence"#]]
        .assert_eq(&told.join("\n"));
    }

    proptest::proptest! {
        #[test]
        fn print_and_parse_agree(agent in "[A-Za-z0-9._:-]{1,64}", boot: u64, seq: u64) {
            let id = EventId { agent: AgentId::new(&agent).unwrap(), boot, seq };
            proptest::prop_assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
        }

        #[test]
        fn any_text_is_an_identity_or_an_error(text in "\\PC{0,20}(/\\PC{0,20}){0,3}") {
            if let Ok(id) = text.parse::<EventId>() {
                proptest::prop_assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
            }
        }
    }

    #[test]
    fn refusals_name_the_reason() {
        assert_eq!(AgentId::new(""), Err(IdError::Length { bytes: 0 }));
        assert_eq!(AgentId::new(&"a".repeat(65)), Err(IdError::Length { bytes: 65 }));
        assert_eq!(AgentId::new("a b"), Err(IdError::Character { found: ' ' }));
        assert_eq!(AgentId::new("<x>"), Err(IdError::Character { found: '<' }));
        for text in ["a", "a/1", "a/zz/1", "a/1/x", "a/1/2/3"] {
            assert_eq!(text.parse::<EventId>(), Err(IdError::Shape), "{text}");
        }
    }
}
