//! Message bodies: content encodings undone, kept up to a limit.

use flate2::write::{DeflateDecoder, GzDecoder, ZlibDecoder};

/// Compressed bytes handed to a decoder at once: bounds what one step can expand to.
const STEP: usize = 1024;

/// A body as far as it was seen, decoded.
#[derive(Debug, Default)]
pub struct Body {
    data: Vec<u8>,
    limit: usize,
    message_len: u64,
    decoded_len: u64,
    truncated: bool,
    gap: bool,
    layers: Vec<Layer>,
}

impl Body {
    /// Decoded bytes from the beginning, up to the limit.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Bytes of the body as sent, after dechunking.
    #[must_use]
    pub fn message_len(&self) -> u64 {
        self.message_len
    }

    /// Bytes after decoding, kept or not.
    #[must_use]
    pub fn decoded_len(&self) -> u64 {
        self.decoded_len
    }

    /// True when the limit cut something off.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// True when a part was not seen.
    #[must_use]
    pub fn has_gap(&self) -> bool {
        self.gap
    }

    /// True when an encoding is undone.
    pub(in crate::app) fn is_encoded(&self) -> bool {
        !self.layers.is_empty()
    }

    pub(in crate::app) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(super) fn mark_gap(&mut self, missing: u64) {
        self.gap = true;
        self.message_len = self.message_len.saturating_add(missing);
    }

    /// Encodings in the order they were applied; they are undone from the last to the first.
    /// False when there are more than `max` of them.
    pub(in crate::app) fn set_encodings(&mut self, value: &[u8], max: usize) -> bool {
        let mut all = true;
        for name in value.rsplit(|b| *b == b',') {
            let name = name.to_ascii_lowercase();
            // Clients forgive what stands around the word.
            let layer = if memchr::memmem::find(&name, b"gzip").is_some() {
                Layer::gzip()
            } else if memchr::memmem::find(&name, b"deflate").is_some() {
                Layer::Start { held: Vec::new() }
            } else {
                continue;
            };
            if self.layers.len() >= max {
                all = false;
                break;
            }
            self.layers.push(layer);
        }
        all
    }

    /// Adds bytes as sent; false when a decoder gave up on them.
    pub(in crate::app) fn add(&mut self, bytes: &[u8]) -> bool {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.message_len = self.message_len.saturating_add(len);
        if self.layers.is_empty() {
            self.keep(bytes);
            return true;
        }
        if self.truncated {
            return true;
        }
        let mut layers = std::mem::take(&mut self.layers);
        let mut good = true;
        for step in bytes.chunks(STEP) {
            good &= self.through(&mut layers, step);
            if self.truncated {
                break;
            }
        }
        self.layers = layers;
        good
    }

    fn through(&mut self, layers: &mut [Layer], bytes: &[u8]) -> bool {
        let Some((layer, rest)) = layers.split_first_mut() else {
            self.keep(bytes);
            return true;
        };
        let (out, good) = layer.decode(bytes);
        let mut all_good = good;
        for piece in out.chunks(STEP.saturating_mul(16)) {
            all_good &= self.through(rest, piece);
            if self.truncated {
                break;
            }
        }
        all_good
    }

    fn keep(&mut self, bytes: &[u8]) {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.decoded_len = self.decoded_len.saturating_add(len);
        let room = self.limit.saturating_sub(self.data.len());
        let kept = bytes.get(..room).unwrap_or(bytes);
        self.data.extend_from_slice(kept);
        if kept.len() < bytes.len() {
            self.truncated = true;
        }
    }
}

/// One content encoding being undone.
enum Layer {
    /// `deflate`: the first bytes tell zlib (as specified) from raw (as often sent).
    Start {
        held: Vec<u8>,
    },
    Gzip {
        decoder: Box<GzDecoder<Vec<u8>>>,
        seen: usize,
    },
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
    Raw(Box<DeflateDecoder<Vec<u8>>>),
    /// The decoder gave up before any output: bytes pass unchanged.
    Pass,
    /// The decoder gave up later, or has reached its end: the rest is dropped.
    Done,
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Start { .. } => "Start",
            Self::Gzip { .. } => "Gzip",
            Self::Zlib(_) => "Zlib",
            Self::Raw(_) => "Raw",
            Self::Pass => "Pass",
            Self::Done => "Done",
        })
    }
}

impl Layer {
    fn gzip() -> Self {
        Self::Gzip { decoder: Box::new(GzDecoder::new(Vec::new())), seen: 0 }
    }

    /// Output for more input, and whether the decoder is content.
    fn decode(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        if let Self::Start { held } = self {
            held.extend_from_slice(bytes);
            if held.len() < 2 {
                return (Vec::new(), true);
            }
            let bytes = std::mem::take(held);
            *self = match bytes.as_slice() {
                [0x1f, 0x8b, ..] => Self::gzip(),
                [cmf, flg, ..] if cmf & 15 == 8 && u16::from_be_bytes([*cmf, *flg]) % 31 == 0 => {
                    Self::Zlib(Box::new(ZlibDecoder::new(Vec::new())))
                }
                _ => Self::Raw(Box::new(DeflateDecoder::new(Vec::new()))),
            };
            return self.decode(&bytes);
        }
        let (result, out) = match self {
            Self::Gzip { decoder, seen } => {
                if *seen == 0 && !bytes.is_empty() && bytes.first() != Some(&0x1f) {
                    // Called gzip, but is not: often plain deflate or nothing at all.
                    return self.not_gzip(bytes);
                }
                *seen = seen.saturating_add(bytes.len());
                (push(decoder.as_mut(), bytes), std::mem::take(decoder.get_mut()))
            }
            Self::Zlib(decoder) => {
                (push(decoder.as_mut(), bytes), std::mem::take(decoder.get_mut()))
            }
            Self::Raw(decoder) => {
                (push(decoder.as_mut(), bytes), std::mem::take(decoder.get_mut()))
            }
            Self::Pass => return (bytes.to_vec(), true),
            Self::Start { .. } | Self::Done => return (Vec::new(), true),
        };
        if result.is_err() {
            *self = Self::Done;
            return (out, false);
        }
        (out, true)
    }

    fn not_gzip(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut raw = DeflateDecoder::new(Vec::new());
        if push(&mut raw, bytes).is_ok() && !raw.get_ref().is_empty() {
            let out = std::mem::take(raw.get_mut());
            *self = Self::Raw(Box::new(raw));
            return (out, true);
        }
        *self = Self::Pass;
        (bytes.to_vec(), false)
    }
}

/// Hands bytes to a decoder and makes it give out all it can: it would keep the last 32 KiB.
fn push(decoder: &mut impl std::io::Write, bytes: &[u8]) -> std::io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        // A decoder that has reached its end takes nothing more.
        match decoder.write(rest)? {
            0 => break,
            n => rest = rest.get(n..).unwrap_or_default(),
        }
    }
    decoder.flush()
}
