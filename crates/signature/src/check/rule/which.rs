//! Which of the numbers of a transaction a comparison is about (`any`, `all`, a place, a count).

use super::Cmp;

/// Which of several numbers a comparison is about; a stretch counts from the end when negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Any {
        absent: bool,
        stretch: (i32, i32),
    },
    All {
        absent: bool,
        stretch: (i32, i32),
    },
    /// The one at that place; `beyond`: or there is none.
    At {
        place: i32,
        beyond: bool,
    },
    /// How many fulfil it.
    Fulfil {
        count: Cmp,
        stretch: (i32, i32),
    },
    /// How many there are is what is compared.
    Count,
}

impl Default for Which {
    fn default() -> Self {
        Self::Any { absent: false, stretch: (0, i32::MAX) }
    }
}

impl Which {
    /// Whether the comparison holds for the list.
    pub(crate) fn holds(self, list: &[u64], cmp: Cmp) -> bool {
        let place = |at: i32| match usize::try_from(at) {
            Ok(at) => at,
            Err(_) => list.len().saturating_sub(at.unsigned_abs() as usize),
        };
        let part = |(from, to): (i32, i32)| {
            let end = place(to).min(list.len());
            list.get(place(from).min(end)..end).unwrap_or_default()
        };
        match self {
            Self::Any { absent, .. } | Self::All { absent, .. } if list.is_empty() => absent,
            Self::Any { stretch, .. } => part(stretch).iter().any(|value| cmp.holds(*value)),
            Self::All { stretch, .. } => {
                let part = part(stretch);
                !part.is_empty() && part.iter().all(|value| cmp.holds(*value))
            }
            Self::At { place: at, beyond } => {
                let before = at < 0 && at.unsigned_abs() as usize > list.len();
                let value = if before { None } else { list.get(place(at)) };
                value.map_or(beyond, |value| cmp.holds(*value))
            }
            Self::Fulfil { count, stretch } => {
                let fulfil = part(stretch).iter().filter(|value| cmp.holds(**value)).count();
                count.holds(fulfil as u64)
            }
            Self::Count => cmp.holds(list.len() as u64),
        }
    }
}
