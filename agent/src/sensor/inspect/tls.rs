//! What rules see of TLS.

use net::app::tls::Tls;
use signature::{Buffer, Number, View};

use super::non_empty;

pub(super) fn buffer(tls: &Tls, buffer: Buffer, at: u32, dir: signature::Direction) -> View<'_> {
    let index = usize::try_from(at).unwrap_or(usize::MAX);
    let to_server = dir == signature::Direction::ToServer;
    let multi = matches!(buffer, Buffer::TlsCerts | Buffer::TlsSubjectAltName | Buffer::TlsAlpn);
    if at > 0 && !multi {
        return View::Absent;
    }
    let missing = if tls.encrypted { View::Absent } else { View::Pending };
    match buffer {
        Buffer::TlsSni | Buffer::Ja3Hash | Buffer::Ja3String | Buffer::Ja4Hash => {
            let Some(client) = &tls.client else { return missing };
            match buffer {
                Buffer::TlsSni => client.sni.as_deref().map_or(View::Absent, View::whole),
                Buffer::Ja3Hash => non_empty(client.ja3_hash.as_bytes()),
                Buffer::Ja3String => non_empty(client.ja3.as_bytes()),
                _ => non_empty(client.ja4.as_bytes()),
            }
        }
        Buffer::Ja3sHash | Buffer::Ja3sString => {
            let Some(server) = &tls.server else { return missing };
            let ja3s = if buffer == Buffer::Ja3sHash { &server.ja3s_hash } else { &server.ja3s };
            non_empty(ja3s.as_bytes())
        }
        Buffer::TlsRandom | Buffer::TlsRandomTime | Buffer::TlsRandomBytes => {
            let random = match (to_server, &tls.client, &tls.server) {
                (true, Some(client), _) => &client.random,
                (false, _, Some(server)) => &server.random,
                _ => return missing,
            };
            let (time, bytes) = random.split_at(4);
            match buffer {
                Buffer::TlsRandomTime => View::whole(time),
                Buffer::TlsRandomBytes => View::whole(bytes),
                _ => View::whole(random),
            }
        }
        Buffer::TlsAlpn if to_server => {
            let Some(client) = &tls.client else { return missing };
            client.alpn.get(index).map_or(View::Absent, |name| View::whole(name))
        }
        Buffer::TlsAlpn => {
            let Some(server) = &tls.server else { return missing };
            server.alpn.as_deref().filter(|_| at == 0).map_or(View::Absent, View::whole)
        }
        Buffer::TlsCerts => {
            let chain = if to_server { &tls.client_certificates } else { &tls.certificates };
            if chain.is_empty() {
                return missing;
            }
            chain.get(index).map_or(View::Absent, |der| View::whole(der))
        }
        _ => {
            let certificate = if to_server { &tls.client_certificate } else { &tls.certificate };
            let Some(certificate) = certificate else { return missing };
            match buffer {
                Buffer::TlsCertSubject => non_empty(certificate.subject.as_bytes()),
                Buffer::TlsCertIssuer => non_empty(certificate.issuer.as_bytes()),
                Buffer::TlsCertSerial => non_empty(certificate.serial.as_bytes()),
                Buffer::TlsCertFingerprint => non_empty(certificate.fingerprint.as_bytes()),
                Buffer::TlsSubjectAltName => certificate
                    .names
                    .get(index)
                    .map_or(View::Absent, |name| View::whole(name.as_bytes())),
                _ => View::Absent,
            }
        }
    }
}

pub(super) fn number(tls: &Tls, number: Number, dir: signature::Direction) -> Option<u64> {
    let server = dir == signature::Direction::ToClient;
    let certificate = || if server { tls.certificate.as_ref() } else { None };
    match number {
        Number::TlsChainLength => {
            let chain = if server { &tls.certificates } else { &tls.client_certificates };
            u64::try_from(chain.len()).ok().filter(|length| *length > 0)
        }
        Number::TlsNotBefore => u64::try_from(certificate()?.not_before).ok(),
        Number::TlsNotAfter => u64::try_from(certificate()?.not_after).ok(),
        Number::TlsVersion => {
            tls.server.as_ref()?;
            Some(u64::from(tls.version()))
        }
        _ => None,
    }
}
