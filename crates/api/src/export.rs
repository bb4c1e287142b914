//! The sealed form of an export: what a search found, in a file that opens with its passphrase or key alone.
//!
//! A head of 88 bytes, then pieces bound to it ([`service::pieces`]). Numbers are big endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `PKTEXP`, 0, version 1 |
//! | 1 + 3 | 1 with a passphrase, 2 with a key; zeros |
//! | 4 + 4 + 4 | argon2id (RFC 9106): KiB of memory, passes, lanes; zeros with a key |
//! | 32 | salt |
//! | 32 | what tells the right key: derived from it as the key of the pieces is (HKDF-SHA-256), and says nothing of it |
//!
//! Not here: what the lines of an export are, files, and asking for a passphrase.

use std::io::{self, Read, Write};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use service::Secret;
use service::key::KeyBytes;
use service::pieces::{self, PieceError, PieceKey, PieceWriter};

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
#[cfg(test)]
mod tests;

/// What a sealed export begins with.
const MAGIC: [u8; 8] = *b"PKTEXP\0\x01";
const SALT: usize = 32;
const CHECK: usize = 32;
/// Bytes of a head.
const HEAD: usize = 8 + 4 + 12 + SALT + CHECK;

/// What the passphrase of a new file costs whoever guesses it: 64 MiB, 3 passes, 4 lanes, the second choice of RFC
/// 9106 section 4.
const COSTS: Costs = Costs { memory: 64 << 10, passes: 3, lanes: 4 };
/// Most that the head of a file may ask of its reader.
const MOST: Costs = Costs { memory: 256 << 10, passes: 16, lanes: 16 };

/// Costs of argon2id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Costs {
    /// KiB.
    memory: u32,
    passes: u32,
    lanes: u32,
}

/// What opens an export; cannot be printed.
#[derive(Clone, Debug)]
pub enum ExportKey {
    /// Words that people remember or keep.
    Passphrase(Secret),
    /// 32 random bytes.
    Key(KeyBytes),
}

/// What a file wants to be opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// [`ExportKey::Passphrase`].
    Passphrase,
    /// [`ExportKey::Key`].
    Key,
}

impl std::fmt::Display for KeyKind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Passphrase => "passphrase",
            Self::Key => "key",
        })
    }
}

/// Why an export cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It begins with something else.
    #[error("no sealed export: it does not begin as one")]
    NotSealed,
    /// A later version of this program made it.
    #[error("a sealed export of version {0}, which this program does not know")]
    Version(u8),
    /// It ends within its head.
    #[error("cut off within its head of {HEAD} bytes")]
    Short,
    /// Its head holds what no head holds.
    #[error("its head is damaged: {0}")]
    Head(&'static str),
    /// Its passphrase would cost more than a reader gives.
    #[error(
        "its head asks for {memory} KiB, {passes} passes, {lanes} lanes to try a passphrase, more than is given"
    )]
    Costs {
        /// KiB of memory.
        memory: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// It was sealed with the other kind of key.
    #[error("it was sealed with a {0}")]
    Kind(KeyKind),
    /// Not its key.
    #[error("this is not its {0}, or its head was changed")]
    WrongKey(KeyKind),
    /// The pieces.
    #[error(transparent)]
    Pieces(#[from] PieceError),
    /// It cannot be read.
    #[error("cannot read it")]
    Read(#[source] io::Error),
    /// It cannot be written.
    #[error("cannot write it")]
    Write(#[source] io::Error),
    /// The library refuses, or there is no memory for the passphrase.
    #[error("cannot derive its key")]
    Crypto,
}

/// The head of a file, checked.
#[derive(Clone, Debug)]
struct Head {
    kind: KeyKind,
    costs: Costs,
    salt: [u8; SALT],
    check: [u8; CHECK],
}

/// The keys that come of an [`ExportKey`] and a head.
struct Derived {
    pieces: LessSafeKey,
    check: [u8; CHECK],
}

impl Head {
    fn bytes(&self) -> Vec<u8> {
        let kind = match self.kind {
            KeyKind::Passphrase => 1,
            KeyKind::Key => 2,
        };
        let Costs { memory, passes, lanes } = self.costs;
        let costs = [memory, passes, lanes].map(u32::to_be_bytes).concat();
        [&MAGIC[..], &[kind, 0, 0, 0], &costs, &self.salt, &self.check].concat()
    }

    fn parse(bytes: &[u8; HEAD]) -> Result<Self, ExportError> {
        let split = bytes.split_first_chunk::<8>().ok_or(ExportError::Short)?;
        let (magic, rest) = split;
        let ([name @ .., version], [known @ .., this]) = (magic, &MAGIC);
        if name != known {
            return Err(ExportError::NotSealed);
        }
        if version != this {
            return Err(ExportError::Version(*version));
        }
        let (kind, rest) = rest.split_first_chunk::<4>().ok_or(ExportError::Short)?;
        let kind = match kind {
            [1, 0, 0, 0] => KeyKind::Passphrase,
            [2, 0, 0, 0] => KeyKind::Key,
            _ => return Err(ExportError::Head("no kind of key")),
        };
        let (memory, rest) = number(rest)?;
        let (passes, rest) = number(rest)?;
        let (lanes, rest) = number(rest)?;
        let costs = Costs { memory, passes, lanes };
        let (salt, check) = rest.split_first_chunk().ok_or(ExportError::Short)?;
        let check = check.first_chunk().ok_or(ExportError::Short)?;
        if kind == KeyKind::Key && costs != Costs::default() {
            return Err(ExportError::Head("a key costs nothing"));
        }
        if memory > MOST.memory || passes > MOST.passes || lanes > MOST.lanes {
            return Err(ExportError::Costs { memory, passes, lanes });
        }
        Ok(Self { kind, costs, salt: *salt, check: *check })
    }

    fn derive(&self, key: &ExportKey) -> Result<Derived, ExportError> {
        let root = match (key, self.kind) {
            (ExportKey::Key(bytes), KeyKind::Key) => bytes.clone(),
            (ExportKey::Passphrase(words), KeyKind::Passphrase) => self.stretch(words)?,
            (_, kind) => return Err(ExportError::Kind(kind)),
        };
        let failed = |_| ExportError::Crypto;
        let root = Salt::new(HKDF_SHA256, &self.salt).extract(&*root);
        let pieces = root.expand(&[b"pikett export pieces 1"], &AES_256_GCM).map_err(failed)?;
        let mut check = [0; CHECK];
        let told = root.expand(&[b"pikett export check 1"], HKDF_SHA256).map_err(failed)?;
        told.fill(&mut check).map_err(failed)?;
        Ok(Derived { pieces: LessSafeKey::new(UnboundKey::from(pieces)), check })
    }

    fn stretch(&self, words: &Secret) -> Result<KeyBytes, ExportError> {
        let Costs { memory, passes, lanes } = self.costs;
        let mut out = KeyBytes::default();
        let params = Params::new(memory, passes, lanes, Some(out.len()));
        let params = params.map_err(|_| ExportError::Head("costs that argon2id does not know"))?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(words.expose().as_bytes(), &self.salt, &mut *out)
            .map_err(|_| ExportError::Crypto)?;
        Ok(out)
    }

    fn piece_key(&self, derived: Derived) -> PieceKey {
        PieceKey::new(derived.pieces, self.bytes())
    }
}

fn number(bytes: &[u8]) -> Result<(u32, &[u8]), ExportError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(ExportError::Short)?;
    Ok((u32::from_be_bytes(*number), rest))
}

/// Begins a sealed export in `to`: writes its head. A passphrase takes about a tenth of a second and 64 MiB.
///
/// # Errors
/// [`ExportError::Crypto`], [`ExportError::Write`].
pub fn seal<W: Write>(to: W, key: &ExportKey) -> Result<PieceWriter<W>, ExportError> {
    seal_at(to, key, COSTS)
}

fn seal_at<W: Write>(
    mut to: W,
    key: &ExportKey,
    costs: Costs,
) -> Result<PieceWriter<W>, ExportError> {
    let (kind, costs) = match key {
        ExportKey::Passphrase(_) => (KeyKind::Passphrase, costs),
        ExportKey::Key(_) => (KeyKind::Key, Costs::default()),
    };
    let mut head = Head { kind, costs, salt: [0; SALT], check: [0; CHECK] };
    aws_lc_rs::rand::fill(&mut head.salt).map_err(|_| ExportError::Crypto)?;
    let derived = head.derive(key)?;
    head.check = derived.check;
    to.write_all(&head.bytes()).map_err(ExportError::Write)?;
    Ok(PieceWriter::new(to, head.piece_key(derived)))
}

/// A sealed export whose head was read.
#[derive(Debug)]
pub struct SealedExport<R> {
    head: Head,
    from: R,
}

impl<R: Read> SealedExport<R> {
    /// Reads the head.
    ///
    /// # Errors
    /// [`ExportError`]: no sealed export, or one that asks for too much.
    pub fn read(mut from: R) -> Result<Self, ExportError> {
        let mut head = Vec::with_capacity(HEAD);
        let most = u64::try_from(HEAD).unwrap_or(0);
        (&mut from).take(most).read_to_end(&mut head).map_err(ExportError::Read)?;
        let [name @ .., _] = &MAGIC;
        if !head.starts_with(name) {
            return Err(ExportError::NotSealed);
        }
        let head = head.first_chunk().ok_or(ExportError::Short)?;
        Ok(Self { head: Head::parse(head)?, from })
    }

    /// What it wants to be opened with.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.head.kind
    }

    /// Gives what it holds to `to`, piece by piece, each after it proved genuine; the number of bytes. What was given
    /// before an error is genuine, and not all of it.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn open(
        self,
        key: &ExportKey,
        to: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<u64, ExportError> {
        let derived = self.head.derive(key)?;
        if derived.check != self.head.check {
            return Err(ExportError::WrongKey(self.head.kind));
        }
        Ok(pieces::open(self.from, &self.head.piece_key(derived), to)?)
    }
}
