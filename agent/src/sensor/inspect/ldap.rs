//! What rules see of LDAP.

use net::app::ldap::{Ldap, Message};
use signature::{Buffer, Direction, Number, View};

use super::non_empty;

/// A buffer; of responses each stands for itself, as long as more may come.
pub(super) fn buffer(ldap: &Ldap, buffer: Buffer, at: u32, complete: bool) -> View<'_> {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let responses = ldap.responses.iter();
    let found = match buffer {
        Buffer::LdapRequestDn => {
            let dn = ldap.request.as_ref().and_then(|request| request.dn.as_deref());
            return if at > 0 { View::Absent } else { dn.map_or(View::Absent, non_empty) };
        }
        Buffer::LdapRequestAttributeType => {
            let request = ldap.request.as_ref();
            let kind = request.and_then(|request| request.attribute_types().nth(at));
            return kind.map_or(View::Absent, View::whole);
        }
        Buffer::LdapResponsesDn => responses.filter_map(|r| r.dn.as_deref()).nth(at),
        Buffer::LdapResponsesAttributeType => responses.flat_map(Message::attribute_types).nth(at),
        Buffer::LdapResponsesMessage => {
            responses.filter_map(|r| r.outcome().map(|o| o.message.as_slice())).nth(at)
        }
        _ => return View::Absent,
    };
    match found {
        Some(bytes) => View::whole(bytes),
        None if complete => View::Absent,
        None => View::Pending,
    }
}

/// One of several numbers.
pub(super) fn number(ldap: &Ldap, number: Number, dir: Direction, at: u32) -> Option<u64> {
    let place = usize::try_from(at).ok()?;
    let to_server = dir == Direction::ToServer;
    match number {
        Number::LdapRequestOperation if to_server && at == 0 => {
            ldap.request.as_ref().map(|request| request.operation.into())
        }
        Number::LdapResponsesOperation if !to_server => {
            ldap.responses.get(place).map(|response| response.operation.into())
        }
        Number::LdapResponsesCount if !to_server && at == 0 => {
            u64::try_from(ldap.responses.len()).ok()?.checked_add(ldap.responses_beyond)
        }
        Number::LdapResponsesResultCode if !to_server => {
            let mut codes = ldap.responses.iter().filter_map(|response| response.outcome());
            u64::try_from(codes.nth(place)?.code).ok()
        }
        _ => None,
    }
}
