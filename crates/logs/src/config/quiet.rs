//! After how much silence of a source an alarm is raised.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// Longest time that can be configured.
const MAX: u64 = 366 * 86_400;

/// After how much silence an alarm is raised: `15m`, `2h`, `1d`, `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Quiet {
    /// It may be silent for ever.
    Never,
    /// After so long.
    After(Duration),
}

impl TryFrom<String> for Quiet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no time such as 90s, 15m, 2h or 1d, nor never");
        if text == "never" {
            return Ok(Self::Never);
        }
        let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
        let read = |(unit, seconds): (char, u64)| {
            text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(seconds)
        };
        let seconds = units.into_iter().find_map(read).ok_or_else(wrong)?;
        if !(10..=MAX).contains(&seconds) {
            return Err(format!("{text:?} is not between 10s and 366d"));
        }
        Ok(Self::After(Duration::from_secs(seconds)))
    }
}

impl JsonSchema for Quiet {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quiet".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "a time such as 90s, 15m, 2h or 1d, or never"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let read = |text: &str| Quiet::try_from(text.to_owned());
        let after = |seconds| Ok(Quiet::After(Duration::from_secs(seconds)));
        assert_eq!(read("90s"), after(90));
        assert_eq!(read("15m"), after(900));
        assert_eq!(read("2h"), after(7_200));
        assert_eq!(read("1d"), after(86_400));
        assert_eq!(read("never"), Ok(Quiet::Never));
        for wrong in
            ["", "m", "15", "-1m", "9s", "1.5h", "99999999999999999999d", "400d", "\u{e9}m"]
        {
            assert!(read(wrong).unwrap_err().starts_with(&format!("{wrong:?} is no")), "{wrong}");
        }
    }
}
