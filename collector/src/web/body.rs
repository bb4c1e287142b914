//! Bodies of ingest requests: read whole, unpacked, both within one limit.

use std::io::Read;

use api::ErrorCode;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;

use super::Failure;

/// Largest body, packed or not, bytes.
pub(super) const MAX_BODY: usize = 64 * 1024 * 1024;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// As it is.
    Plain,
    /// `gzip`.
    Gzip,
}

impl Packing {
    /// What `Content-Encoding` says.
    ///
    /// # Errors
    /// When it is another one than gzip.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Self::Plain) };
        match value.to_str().unwrap_or("?").trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Plain),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            other => {
                Err(Failure::bad(format!("content encoding {other:?} is not known, use gzip")))
            }
        }
    }

    /// The body as it was before it was packed. Takes time: not for threads that do IO.
    ///
    /// # Errors
    /// When it is no gzip or too large.
    pub(super) fn unpack(self, body: Bytes) -> Result<Bytes, Failure> {
        if self == Self::Plain {
            return Ok(body);
        }
        let mut out = Vec::new();
        let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX).saturating_add(1);
        MultiGzDecoder::new(body.as_ref())
            .take(limit)
            .read_to_end(&mut out)
            .map_err(|error| Failure::bad(format!("body is no gzip: {error}")))?;
        if out.len() > MAX_BODY {
            return Err(Failure::new(ErrorCode::TooLarge, "unpacked body is over 64 MiB"));
        }
        Ok(out.into())
    }
}

/// The body of a request, still packed.
///
/// # Errors
/// When it is too large or ends early.
pub(super) async fn read(request: Request) -> Result<Bytes, Failure> {
    to_bytes(request.into_body(), MAX_BODY)
        .await
        .map_err(|_| Failure::new(ErrorCode::TooLarge, "request is larger than 64 MiB"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_gzip_bomb_is_refused() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        for _ in 0..65 {
            encoder.write_all(&vec![b' '; 1024 * 1024]).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 1024 * 1024);
        let error = Packing::Gzip.unpack(bomb.into()).unwrap_err().to_string();
        assert!(error.contains("over 64 MiB"), "{error}");
        let error = Packing::Gzip.unpack(Bytes::from_static(b"no gzip")).unwrap_err().to_string();
        assert!(error.contains("no gzip"), "{error}");
    }

    #[test]
    fn packings_by_their_names() {
        for (name, expected) in [("", Packing::Plain), ("GZIP", Packing::Gzip)] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_ENCODING, name.parse().unwrap());
            assert_eq!(Packing::of(&headers).unwrap(), expected);
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, "br".parse().unwrap());
        let error = Packing::of(&headers).unwrap_err().to_string();
        assert_eq!(error, "content encoding \"br\" is not known, use gzip");
    }
}
