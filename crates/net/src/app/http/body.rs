//! Message bodies: content encodings undone, kept up to a limit.

mod layer;

use layer::Layer;

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
    /// LZMA is undone, too.
    lzma: bool,
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

    pub(super) fn allow_lzma(&mut self, allow: bool) {
        self.lzma = allow;
    }

    /// The body has ended: what decoders still hold comes out; false when one gave up.
    pub(super) fn finish(&mut self) -> bool {
        let mut layers = std::mem::take(&mut self.layers);
        let (mut rest, mut good) = (layers.as_mut_slice(), true);
        while let Some((layer, inner)) = rest.split_first_mut() {
            let (out, content) = layer.finish();
            good &= content;
            for piece in out.chunks(STEP.saturating_mul(16)) {
                if self.truncated {
                    break;
                }
                good &= self.through(inner, piece);
            }
            rest = inner;
        }
        good
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
            let Some(layer) = Layer::of(&name, self.lzma) else { continue };
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
