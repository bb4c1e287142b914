//! `tftp` objects.

use net::app::tftp::Request;

use super::fields::Fields;

/// The `tftp` object of a request.
pub(crate) fn request<F: Fields>(out: &mut F, request: &Request) {
    out.text("packet", if request.write { "write" } else { "read" });
    out.bytes("file", &request.file);
    out.bytes("mode", &request.mode);
}
