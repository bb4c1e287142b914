//! How common bytes are in traffic, to pick the part of a pattern that traffic seldom has.

use std::sync::LazyLock;

use hashbrown::HashSet;

/// Cost of one byte (folded to lowercase): about twice the base-2 logarithm of how often it appears.
#[inline]
fn byte_cost(byte: u8) -> u32 {
    COSTS[usize::from(byte)]
}

/// Asked for every byte of every pattern, several times: looked up.
static COSTS: [u32; 256] = {
    let mut costs = [0; 256];
    let mut byte = 0_u8;
    loop {
        costs[byte as usize] = cost_of_byte(byte);
        if byte == u8::MAX {
            break costs;
        }
        byte += 1;
    }
};

const fn cost_of_byte(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        0x00 => 17,
        b'e' | b' ' | b't' | b'a' => 16,
        b'o' | b'i' | b'n' | b's' | b'r' | b'0' => 15,
        b'c' | b'l' | b'd' | b'p' | b'm' | b'1' | b'/' | b'.' | b'-' => 14,
        b'h' | b'u' | b'=' | b'2' | b'g' | b'f' | b':' | b'\r' | b'\n' => 13,
        b'b' | b'w' | b'3' | b'4' | b'5' | b'6' | b'7' | b'8' | b'9' | b';' | b',' | b'"' => 12,
        b'v' | b'y' | b'k' | b'_' | b'<' | b'>' | b'(' | b')' | b'&' => 11,
        b'x' | b'?' | b'%' | b'\'' | b'+' | 0xff | 0x01..=0x04 => 10,
        b'j' | b'z' | b'q' | b'{' | b'}' | b'[' | b']' | b'*' | b'|' | b'!' => 9,
        0x05..=0x1f => 7,
        _ => 6,
    }
}

/// Four-byte runs (lowercase) that most traffic of some protocol has.
const COMMON: &[&str] = &[
    "http", "ttp/", "tp/1", "p/1.", "/1.1", "/1.0", "www.", ".com", "com\r", "host", "ost:",
    "user", "ser-", "er-a", "r-ag", "agen", "gent", "ent:", "moz", "ozil", "zill", "illa", "lla/",
    "acce", "ccep", "cept", "ept:", "ept-", "cont", "onte", "nten", "tent", "ent-", "type", "ype:",
    "pe: ", "leng", "engt", "ngth", "gth:", "th: ", "enco", "ncod", "codi", "odin", "ding", "conn",
    "onne", "nnec", "nect", "ecti", "ctio", "tion", "ion:", "keep", "eep-", "p-al", "aliv", "live",
    "cach", "ache", "che-", "cont", "text", "ext/", "html", "appl", "ppli", "plic", "lica", "icat",
    "cati", "atio", "imag", "mage", "java", "avas", "scri", "crip", "ript", "func", "unct", "ncti",
    "var ", "post", "get ", ".php", ".exe", ".asp", "java", "goog", "wind", "indo", "ndow", "dows",
    "ows ", "date", "cook", "ooki", "okie", "kie:", "refe", "efer", "fere", "erer", "rer:", "form",
    "name", "valu", "0000", "\r\n\r\n", "://w", "s://", "tps:", "ttps", "p://", "tp:/", "; ch",
    "char", "hars", "utf-", "tf-8", "gzip", "defl", "xml ", "http", ".net", ".org", ".inf", "info",
    ".top", ".xyz", ".onl", "onli", "nlin", "line", ".clu", "club", ".sit", "site",
];

/// Runs that every message of DNS has in its header, or most questions and answers; the marks of SMB.
const HEADERS: &[[u8; 4]] = &[
    [1, 0, 0, 1],
    [0, 0, 1, 0],
    [0, 1, 0, 0],
    [1, 0, 0, 0],
    [0, 0, 0, 0],
    [0, 0, 0, 1],
    [0x81, 0x80, 0, 1],
    [0x80, 0, 1, 0],
    [0, 1, 0, 1],
    [1, 0, 1, 0],
    [1, 0, 1, 0xc0],
    [0, 0, 1, 0xc0],
    [0, 1, 0xc0, 0x0c],
    [1, 0xc0, 0x0c, 0],
    [0xc0, 0x0c, 0, 1],
    [0x0c, 0, 1, 0],
    *b"\x03com",
    *b"com\0",
    *b"om\0\0",
    *b"\xffSMB",
    *b"\xfeSMB",
    *b"\x03www",
    *b"\x03net",
    *b"net\0",
];

/// Headers of most queries and of most responses of DNS, from the flags on.
const USUAL: [[u8; 10]; 2] = [[1, 0, 0, 1, 0, 0, 0, 0, 0, 0], [0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]];

/// Whether most queries or most responses of DNS have these bytes at this place; `None` when it is not in the header.
pub(crate) fn is_usual_header(at: u64, bytes: &[u8]) -> Option<bool> {
    let from = usize::try_from(at.checked_sub(2)?).ok()?;
    let places = USUAL.iter().map(|header| header.get(from..from.checked_add(bytes.len())?));
    let mut places = places.collect::<Option<Vec<_>>>()?.into_iter();
    Some(places.any(|there| there == bytes))
}

/// Runs for looking up.
struct Runs {
    /// A bit for a hash of each: most runs that are asked for are not among them.
    bits: [u64; 64],
    runs: HashSet<[u8; 4], foldhash::fast::RandomState>,
}

impl Runs {
    fn new(runs: impl Iterator<Item = [u8; 4]>) -> Self {
        let mut new = Self { bits: [0; 64], runs: runs.collect() };
        for run in &new.runs {
            let (word, bit) = Self::place(*run);
            new.bits[word] |= 1 << bit;
        }
        new
    }

    const fn place(run: [u8; 4]) -> (usize, u32) {
        let hash = u32::from_le_bytes(run).wrapping_mul(0x9E37_79B1) >> 20;
        ((hash / 64) as usize, hash % 64)
    }

    #[inline]
    fn has(&self, run: [u8; 4]) -> bool {
        let (word, bit) = Self::place(run);
        self.bits[word] >> bit & 1 != 0 && self.runs.contains(&run)
    }
}

static IS_COMMON: LazyLock<Runs> = LazyLock::new(|| {
    Runs::new(COMMON.iter().filter_map(|run| <[u8; 4]>::try_from(run.as_bytes()).ok()))
});

static IS_HEADER: LazyLock<Runs> = LazyLock::new(|| Runs::new(HEADERS.iter().copied()));

/// Folds the way the gram scan folds.
pub(crate) const fn fold(gram: u32) -> u32 {
    gram | 0x2020_2020
}

/// Cost of a window: higher = more common.
pub(crate) fn gram_cost(window: [u8; 4]) -> u32 {
    let lower = window.map(|b| b.to_ascii_lowercase());
    let mut cost: u32 = lower.iter().map(|b| byte_cost(*b)).sum();
    if IS_COMMON.has(lower) {
        cost += 16;
    }
    if IS_HEADER.has(window) {
        cost += 45;
    }
    // The end of a name's last label but one.
    if let [_, b'.', b'c', b'o'] | [_, _, b'.', b'c'] = lower {
        cost += 12;
    }
    // Where there is one of a byte there are often many: padding, and numbers with all bits set.
    if lower == [lower[0]; 4] {
        cost += 30;
    }
    cost
}

/// Place of the byte of a pattern that traffic has least.
pub(crate) fn rarest_byte(pattern: &[u8]) -> u16 {
    (0_u16..).zip(pattern).min_by_key(|(_, byte)| byte_cost(**byte)).map_or(0, |(at, _)| at)
}

/// Place of the two bytes side by side that traffic has least; of a pattern of one byte, of that.
pub(crate) fn rarest_pair(pattern: &[u8]) -> usize {
    let pairs =
        pattern.windows(2).map(|pair| pair.iter().map(|byte| byte_cost(*byte)).sum::<u32>());
    pairs.enumerate().min_by_key(|(_, cost)| *cost).map_or(0, |(at, _)| at)
}

/// Cost of a pattern that is shorter than a window: its bytes, and something for a search of its own.
fn short_cost(pattern: &[u8]) -> u32 {
    let missing = 4_u32.saturating_sub(u32::try_from(pattern.len()).unwrap_or(4));
    pattern.iter().map(|byte| byte_cost(*byte)).sum::<u32>() + missing * 20 + 12
}

/// Cost of the best two windows side by side of a pattern, or of its only one; short patterns cost most.
pub(crate) fn pattern_cost(pattern: &[u8]) -> u32 {
    let mut costs = pattern.windows(4).filter_map(|window| Some(gram_cost(*window.first_chunk()?)));
    let Some(first) = costs.next() else { return short_cost(pattern) };
    let (mut before, mut best) = (first, None);
    for cost in costs {
        let both = before.max(cost);
        best = Some(best.map_or(both, |best: u32| best.min(both)));
        before = cost;
    }
    best.unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_dns_are_usual_in_their_place() {
        for (at, bytes, usual) in [
            (2, &[1, 0, 0, 1, 0, 0][..], Some(true)),
            (4, &[0, 1, 0, 1], Some(true)),
            (4, &[0, 1, 0, 0, 0, 0], Some(true)),
            (4, &[0, 1, 0, 0, 0, 1], Some(false)),
            (3, &[0, 0, 1, 0], Some(true)),
            (2, &[0x81, 0x83, 0, 1], Some(false)),
            (11, &[0], Some(true)),
            // The identifier is any, and what follows too.
            (0, &[0x7f, 0x7f, 1, 0], None),
            (10, &[0, 0, 3, b'w'], None),
            (200, &[1, 2, 3], None),
        ] {
            assert_eq!(is_usual_header(at, bytes), usual, "{at} {bytes:?}");
        }
    }

    #[test]
    fn ends_of_names_are_common() {
        for (common, seldom) in [(b"s.co", b"aide"), (b".xyz", b"ofxy"), (b"es.c", b"ides")] {
            assert!(gram_cost(*common) > gram_cost(*seldom), "{common:?}");
        }
    }
}
