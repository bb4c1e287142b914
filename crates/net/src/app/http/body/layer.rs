//! One content encoding being undone, as forgiving as browsers are.
//!
//! What calls itself gzip may be deflate, and the reverse, or not compressed at all: while a decoder has given
//! out nothing, the bytes it took are held, and when it gives up they go to the next guess.

use std::io::Write;

use brotli::DecompressorWriter;
use flate2::write::{DeflateDecoder, ZlibDecoder};

/// Most bytes held for another guess; a decoder that gives out nothing for so long has no second chance.
const MAX_HELD: usize = 64 << 10;
/// Most bytes of LZMA that are held: it is only undone when it is there whole.
const MAX_LZMA: usize = 256 << 10;
/// Memory an LZMA decoder may use, KiB.
const LZMA_MEMORY: u32 = 16 << 10;
/// Most bytes that come out of one LZMA body.
const MAX_OUT: u64 = 1 << 20;

/// A decoder, or what stands in for one.
enum Decoder {
    /// `deflate`: the first bytes tell zlib (as specified) from raw (as often sent).
    Deflate,
    /// Before the end of a gzip header (RFC 1952 section 2.3).
    Gzip,
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
    Raw(Box<DeflateDecoder<Vec<u8>>>),
    Brotli(Box<DecompressorWriter<Vec<u8>>>),
    Lzma,
    /// Not compressed after all: bytes pass unchanged.
    Pass,
    /// The decoder gave up after it had given something, or has reached its end: the rest is dropped.
    Done,
}

/// One content encoding being undone.
pub(super) struct Layer {
    decoder: Decoder,
    /// Bytes taken in while nothing came out.
    held: Vec<u8>,
    /// Something came out.
    productive: bool,
    /// Raw deflate was tried.
    tried_raw: bool,
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let decoder = match self.decoder {
            Decoder::Deflate => "Deflate",
            Decoder::Gzip => "Gzip",
            Decoder::Zlib(_) => "Zlib",
            Decoder::Raw(_) => "Raw",
            Decoder::Brotli(_) => "Brotli",
            Decoder::Lzma => "Lzma",
            Decoder::Pass => "Pass",
            Decoder::Done => "Done",
        };
        f.debug_struct("Layer").field("decoder", &decoder).finish_non_exhaustive()
    }
}

/// How far a gzip header goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Ends(usize),
    More,
    Other,
}

impl Layer {
    /// The decoder for a name of the `Content-Encoding` header in lower case; clients forgive what stands
    /// around the word.
    pub(super) fn of(name: &[u8], lzma: bool) -> Option<Self> {
        let has = |word: &[u8]| memchr::memmem::find(name, word).is_some();
        let decoder = if has(b"gzip") {
            Decoder::Gzip
        } else if has(b"deflate") {
            Decoder::Deflate
        } else if lzma && has(b"lzma") {
            Decoder::Lzma
        } else if name.trim_ascii() == b"br" {
            Decoder::Brotli(Box::new(DecompressorWriter::new(Vec::new(), 4096)))
        } else {
            return None;
        };
        Some(Self { decoder, held: Vec::new(), productive: false, tried_raw: false })
    }

    /// Output for more input, and whether the decoder is content.
    pub(super) fn decode(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        match self.decoder {
            Decoder::Pass => return (bytes.to_vec(), true),
            Decoder::Done => return (Vec::new(), true),
            Decoder::Lzma => return self.hold(bytes),
            _ => {}
        }
        if !self.productive {
            if self.held.len().saturating_add(bytes.len()) > MAX_HELD {
                self.decoder = Decoder::Done;
                self.held = Vec::new();
                return (Vec::new(), false);
            }
            self.held.extend_from_slice(bytes);
        }
        let start = match &self.decoder {
            Decoder::Deflate | Decoder::Gzip => match self.begin() {
                Some(start) => start,
                None => return self.unsure(),
            },
            _ => None,
        };
        // A decoder that has just begun takes what was held.
        let input = start.and_then(|at| self.held.get(at..)).map(<[u8]>::to_vec);
        let (out, good) = self.push(input.as_deref().unwrap_or(bytes));
        if !out.is_empty() {
            self.productive = true;
            self.held = Vec::new();
        }
        if good {
            return (out, true);
        }
        if self.productive {
            self.decoder = Decoder::Done;
            return (out, false);
        }
        self.guess_again()
    }

    /// Starts the decoder that the held bytes ask for: where in them its input begins. `None` when that cannot
    /// be said yet, or the bytes are not what they were called.
    fn begin(&mut self) -> Option<Option<usize>> {
        if matches!(self.decoder, Decoder::Gzip) {
            let Header::Ends(at) = gzip_header(&self.held) else { return None };
            self.decoder = Decoder::Raw(Box::new(DeflateDecoder::new(Vec::new())));
            return Some(Some(at));
        }
        match *self.held.as_slice() {
            [] | [_] => None,
            [0x1f, 0x8b, ..] => {
                self.decoder = Decoder::Gzip;
                self.begin()
            }
            [cmf, flg, ..] => {
                let is_zlib = cmf & 15 == 8 && u16::from_be_bytes([cmf, flg]) % 31 == 0;
                self.decoder = if is_zlib {
                    Decoder::Zlib(Box::new(ZlibDecoder::new(Vec::new())))
                } else {
                    self.tried_raw = true;
                    Decoder::Raw(Box::new(DeflateDecoder::new(Vec::new())))
                };
                Some(Some(0))
            }
        }
    }

    /// Waits for more of the beginning, or sees that it is something else.
    fn unsure(&mut self) -> (Vec<u8>, bool) {
        let is_gzip = matches!(self.decoder, Decoder::Gzip);
        if is_gzip && gzip_header(&self.held) == Header::Other {
            return self.guess_again();
        }
        (Vec::new(), true)
    }

    /// The decoder gave up before any output: raw deflate is tried, else the bytes pass as they are.
    fn guess_again(&mut self) -> (Vec<u8>, bool) {
        if !std::mem::replace(&mut self.tried_raw, true) {
            self.decoder = Decoder::Raw(Box::new(DeflateDecoder::new(Vec::new())));
            let held = std::mem::take(&mut self.held);
            let (out, good) = self.push(&held);
            if good {
                self.productive = !out.is_empty();
                self.held = if self.productive { Vec::new() } else { held };
                return (out, true);
            }
            self.held = held;
        }
        self.decoder = Decoder::Pass;
        (std::mem::take(&mut self.held), false)
    }

    fn push(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        match &mut self.decoder {
            Decoder::Zlib(decoder) => {
                let good = push(decoder.as_mut(), bytes).is_ok();
                (std::mem::take(decoder.get_mut()), good)
            }
            Decoder::Raw(decoder) => {
                let good = push(decoder.as_mut(), bytes).is_ok();
                (std::mem::take(decoder.get_mut()), good)
            }
            Decoder::Brotli(decoder) => {
                let good = push(decoder.as_mut(), bytes).is_ok();
                (std::mem::take(decoder.get_mut()), good)
            }
            _ => (Vec::new(), true),
        }
    }

    fn hold(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        if self.held.len().saturating_add(bytes.len()) > MAX_LZMA {
            self.decoder = Decoder::Done;
            self.held = Vec::new();
            return (Vec::new(), false);
        }
        self.held.extend_from_slice(bytes);
        (Vec::new(), true)
    }

    /// What is still held when the body has ended, and whether the decoder is content.
    pub(super) fn finish(&mut self) -> (Vec<u8>, bool) {
        let held = std::mem::take(&mut self.held);
        let decoder = std::mem::replace(&mut self.decoder, Decoder::Done);
        match decoder {
            Decoder::Lzma => lzma(&held),
            // Too short to be what it was called.
            Decoder::Deflate | Decoder::Gzip => (held, true),
            _ => (Vec::new(), true),
        }
    }
}

/// The whole of an LZMA stream with its header, as far as it can be read.
fn lzma(bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let Ok(reader) = lzma_rust2::LzmaReader::new_mem_limit(bytes, LZMA_MEMORY, None) else {
        return (bytes.to_vec(), false);
    };
    let read = std::io::Read::read_to_end(&mut std::io::Read::take(reader, MAX_OUT), &mut out);
    (out, read.is_ok())
}

/// The end of a gzip header; flags that nobody defined and a wrong header checksum are forgiven.
fn gzip_header(bytes: &[u8]) -> Header {
    let zero_ended = |at: usize| {
        let rest = bytes.get(at..)?;
        memchr::memchr(0, rest).map(|end| at.saturating_add(end).saturating_add(1))
    };
    let fixed = [0x1f, 0x8b, 8];
    if bytes.iter().zip(&fixed).any(|(have, want)| have != want) {
        return Header::Other;
    }
    let Some(flags) = bytes.get(3).copied() else { return Header::More };
    let mut at = 10_usize;
    if flags & 4 != 0 {
        let Some([low, high]) = bytes.get(at..).and_then(<[u8]>::first_chunk) else {
            return Header::More;
        };
        let extra = usize::from(u16::from_le_bytes([*low, *high]));
        at = at.saturating_add(2).saturating_add(extra);
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            let Some(end) = zero_ended(at) else { return Header::More };
            at = end;
        }
    }
    if flags & 2 != 0 {
        at = at.saturating_add(2);
    }
    if bytes.len() < at { Header::More } else { Header::Ends(at) }
}

/// Hands bytes to a decoder and makes it give out all it can: it would keep the last 32 KiB.
fn push(decoder: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
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
