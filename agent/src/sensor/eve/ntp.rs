//! `ntp` objects.

use net::app::ntp::Message;

use super::fields::Fields;

/// The `ntp` object of a message.
pub(crate) fn message<F: Fields>(out: &mut F, message: &Message) {
    out.number("version", message.version.into());
    out.number("mode", message.mode.into());
    out.number("stratum", message.stratum.into());
    let id = message.reference_id.map(|byte| format!("{byte:02x}"));
    out.text("reference_id", &id.join(":"));
}
