//! What rules see of protocols of short messages: DHCP, NTP, RFB.

use net::app::rfb::Rfb;
use net::app::{Record, dhcp, ntp};
use signature::{Buffer, Direction, Number, View};

use super::non_empty;

/// A buffer of one of them.
pub(super) fn buffer(record: &Record, buffer: Buffer, at: u32) -> View<'_> {
    match (record, buffer) {
        _ if at > 0 => View::Absent,
        (Record::Ntp(message), Buffer::NtpReferenceId) => View::whole(&message.reference_id),
        (Record::Rfb(rfb), Buffer::RfbName) => match &rfb.screen {
            Some(screen) => non_empty(&screen.name),
            None => View::Pending,
        },
        _ => View::Absent,
    }
}

/// A number of one of them.
pub(super) fn number(record: &Record, number: Number, dir: Direction) -> Option<u64> {
    match record {
        Record::Dhcp(message) => of_dhcp(message, number),
        Record::Ntp(message) => of_ntp(message, number),
        Record::Rfb(rfb) => of_rfb(rfb, number, dir),
        _ => None,
    }
}

fn of_dhcp(message: &dhcp::Message, number: Number) -> Option<u64> {
    let code = match number {
        Number::DhcpLeaseTime => dhcp::code::LEASE_TIME,
        Number::DhcpRenewalTime => dhcp::code::RENEWAL_TIME,
        Number::DhcpRebindingTime => dhcp::code::REBINDING_TIME,
        _ => return None,
    };
    message.option(code).and_then(crate::sensor::eve::dhcp::number).map(u64::from)
}

fn of_ntp(message: &ntp::Message, number: Number) -> Option<u64> {
    match number {
        Number::NtpVersion => Some(message.version.into()),
        Number::NtpMode => Some(message.mode.into()),
        Number::NtpStratum => Some(message.stratum.into()),
        _ => None,
    }
}

/// What the client chose is its own, the result the server's.
fn of_rfb(rfb: &Rfb, number: Number, dir: Direction) -> Option<u64> {
    match (number, dir) {
        (Number::RfbSecurityType, Direction::ToServer) => rfb.security_type.map(u64::from),
        (Number::RfbSecurityResult, Direction::ToClient) => rfb.security_result.map(u64::from),
        _ => None,
    }
}
