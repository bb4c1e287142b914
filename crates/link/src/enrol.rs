//! Enrolment tokens, and the first contact with a collector that is not yet trusted.
//!
//! A token carries the fingerprint of the collector's authority, so that the agent needs no other
//! file: it fetches the authority's certificate by a TLS handshake that is accepted only when the
//! chain leads to exactly that certificate.

use std::fmt;
use std::net::TcpStream;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::pki;
use crate::proto::EnrolRequest;
use crate::proto::link_client::LinkClient;

/// Longest wait for a connection, a read or a write during first contact.
const PATIENCE: Duration = Duration::from_secs(10);

/// A one-time right to enrol: `pk1.<id>.<secret>.<SHA-256 of the authority's certificate>`.
pub struct Token {
    /// Names the token at the collector; no secret.
    pub id: String,
    /// The secret; the collector keeps only its hash.
    pub secret: service::Secret,
    /// SHA-256 of the authority's DER certificate.
    pub authority: [u8; 32],
}

/// Why an enrolment could not begin.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The token is not of the form it must have.
    #[error("enrolment token is malformed ({part}); copy it whole from the collector")]
    Token {
        /// Which part.
        part: &'static str,
    },
    /// The collector does not answer.
    #[error("cannot reach the collector at {address}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It answers, but not with the authority the token names.
    #[error("the server at {address} does not belong to the collector of this token")]
    Untrusted {
        /// Host and port.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The host is no valid name.
    #[error("{host:?} is no host name or address")]
    Host {
        /// As given.
        host: String,
    },
    /// The collector refuses the token, or fails.
    #[error("the collector refuses to enrol this host: {reason}")]
    Refused {
        /// In the collector's words.
        reason: String,
    },
    /// No key or request could be made.
    #[error(transparent)]
    Pki(#[from] pki::PkiError),
    /// TLS could not be set up at all.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Token({}..)", self.id)
    }
}

impl Token {
    /// The text given to the administrator, once.
    #[must_use]
    pub fn reveal(&self) -> String {
        let authority = URL_SAFE_NO_PAD.encode(self.authority);
        format!("pk1.{}.{}.{authority}", self.id, self.secret.expose())
    }
}

impl FromStr for Token {
    type Err = EnrolError;

    fn from_str(text: &str) -> Result<Self, EnrolError> {
        let wrong = |part| EnrolError::Token { part };
        let mut parts = text.trim().split('.');
        if parts.next() != Some("pk1") {
            return Err(wrong("it must begin with pk1."));
        }
        let plain = |text: &str, most: usize| {
            !text.is_empty()
                && text.len() <= most
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let id = parts.next().filter(|id| plain(id, 32)).ok_or_else(|| wrong("id"))?;
        let secret = parts.next().filter(|one| plain(one, 128)).ok_or_else(|| wrong("secret"))?;
        let authority = parts.next().and_then(|one| URL_SAFE_NO_PAD.decode(one).ok());
        let authority = authority.and_then(|bytes| bytes.try_into().ok());
        let authority = authority.ok_or_else(|| wrong("fingerprint"))?;
        if parts.next().is_some() {
            return Err(wrong("too many parts"));
        }
        let secret = service::Secret::new(secret.to_owned());
        Ok(Self { id: id.to_owned(), secret, authority })
    }
}

/// Fetches the certificate of the authority with this fingerprint from a collector, as PEM.
/// Blocks for at most 30 s.
///
/// # Errors
/// [`EnrolError::Unreachable`] or [`EnrolError::Untrusted`].
pub fn fetch_authority(
    host: &str,
    port: u16,
    fingerprint: &[u8; 32],
) -> Result<String, EnrolError> {
    let address = format!("{host}:{port}");
    let unreachable = |source| EnrolError::Unreachable { address: address.clone(), source };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned())
        .map_err(|_| EnrolError::Host { host: host.to_owned() })?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(Pinned {
        fingerprint: *fingerprint,
        provider: Arc::clone(&provider),
        found: Mutex::new(None),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let mut tls = ClientConnection::new(Arc::new(config), name)?;
    let mut socket = connect(bare, port).map_err(unreachable)?;
    while tls.is_handshaking() {
        // What TLS itself refuses is invalid data; everything else happened to the connection.
        tls.complete_io(&mut socket).map_err(|source| match source.kind() {
            std::io::ErrorKind::InvalidData => {
                EnrolError::Untrusted { address: address.clone(), source }
            }
            _ => unreachable(source),
        })?;
    }
    let found = verifier.found.lock().unwrap_or_else(PoisonError::into_inner).take();
    found.map(|der| to_pem(&der)).ok_or_else(|| EnrolError::Untrusted {
        address,
        source: std::io::Error::other("the handshake verified no certificate"),
    })
}

/// What an enrolled agent keeps.
#[derive(Debug)]
pub struct Enrolled {
    /// Identity given by the collector.
    pub agent: String,
    /// Its certificate, PEM.
    pub certificate: String,
    /// Its private key, PEM; made here and never sent.
    pub key: service::Secret,
    /// Certificate of the collector's authority, PEM.
    pub authority: String,
    /// Collectors as `host:port`, in order of preference.
    pub collectors: Vec<String>,
}

/// Enrols `host` with the collector at `address` (host, port).
///
/// # Errors
/// [`EnrolError`], in words for the administrator.
pub async fn enrol(
    (name, port): (&str, u16),
    token: Token,
    host: &str,
) -> Result<Enrolled, EnrolError> {
    let (owned, print) = (name.to_owned(), token.authority);
    let fetched = tokio::task::spawn_blocking(move || fetch_authority(&owned, port, &print));
    let refused = |reason: String| EnrolError::Refused { reason };
    let authority = fetched.await.map_err(|error| refused(error.to_string()))??;
    let (key, signing_request) = pki::agent_request()?;
    let tls = ClientTlsConfig::new()
        .domain_name(name.trim_start_matches('[').trim_end_matches(']'))
        .ca_certificate(Certificate::from_pem(&authority));
    let channel = Endpoint::from_shared(format!("https://{name}:{port}"))
        .and_then(|endpoint| endpoint.connect_timeout(PATIENCE).timeout(PATIENCE).tls_config(tls))
        .map_err(|error| refused(error.to_string()))?
        .connect()
        .await
        .map_err(|error| refused(error.to_string()))?;
    let request = EnrolRequest {
        token_id: token.id,
        token_secret: token.secret.expose().to_owned(),
        signing_request,
        host: host.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let reply = LinkClient::new(channel).enrol(request).await;
    let reply = reply.map_err(|status| refused(status.message().to_owned()))?.into_inner();
    Ok(Enrolled {
        agent: reply.agent,
        certificate: reply.certificate,
        key,
        authority,
        collectors: reply.collectors,
    })
}

fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::other("the name has no address");
    for address in std::net::ToSocketAddrs::to_socket_addrs(&(host, port))? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(socket) => {
                socket.set_read_timeout(Some(PATIENCE))?;
                socket.set_write_timeout(Some(PATIENCE))?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// PEM form of a DER certificate (RFC 7468 section 5).
fn to_pem(der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}

/// Accepts a chain only when it leads to the certificate with this fingerprint.
#[derive(Debug)]
struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
    found: Mutex<Option<Vec<u8>>>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let root = intermediates.iter().find(|der| pki::digest(der) == self.fingerprint);
        let root = root.ok_or_else(|| rustls::Error::General("unknown authority".into()))?;
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned())?;
        let inner = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        )
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
        let verdict =
            inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        *found = Some(root.to_vec());
        Ok(verdict)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{ServerConfig, ServerConnection};
    use rustls_pki_types::PrivateKeyDer;
    use rustls_pki_types::pem::PemObject;
    use std::net::TcpListener;

    fn now() -> i64 {
        service::Clock::system().now_micros() / 1_000_000
    }

    /// Accepts one connection and completes its handshake if it can.
    fn serve(identity: &pki::Identity) -> u16 {
        let chain = CertificateDer::pem_slice_iter(identity.chain.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(identity.key.expose().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
            while tls.is_handshaking() {
                if tls.complete_io(&mut socket).is_err() {
                    break;
                }
            }
        });
        port
    }

    #[test]
    fn first_contact_trusts_only_the_named_authority() {
        let (authority, _) = pki::Authority::create("one", now()).unwrap();
        let identity = authority.server(&["127.0.0.1".to_owned()], now()).unwrap();
        let print = pki::fingerprint(authority.certificate()).unwrap();
        let pem = fetch_authority("127.0.0.1", serve(&identity), &print).unwrap();
        assert_eq!(pki::fingerprint(&pem).unwrap(), print);

        let (other, _) = pki::Authority::create("two", now()).unwrap();
        let wrong = pki::fingerprint(other.certificate()).unwrap();
        let error = fetch_authority("127.0.0.1", serve(&identity), &wrong).unwrap_err();
        assert!(matches!(error, EnrolError::Untrusted { .. }), "{error}");
    }

    #[test]
    fn a_forged_chain_is_refused() {
        // The attacker sends the right authority behind a certificate it did not sign.
        let (authority, _) = pki::Authority::create("one", now()).unwrap();
        let (evil, _) = pki::Authority::create("evil", now()).unwrap();
        let mut identity = evil.server(&["127.0.0.1".to_owned()], now()).unwrap();
        let leaf = identity.chain.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
        identity.chain = format!("{leaf}{}", authority.certificate());
        let print = pki::fingerprint(authority.certificate()).unwrap();
        let error = fetch_authority("127.0.0.1", serve(&identity), &print).unwrap_err();
        assert!(matches!(error, EnrolError::Untrusted { .. }), "{error}");
    }

    #[test]
    fn an_absent_collector_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = fetch_authority("127.0.0.1", port, &[0; 32]).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot reach the collector at 127.0.0.1:{port}"));
    }

    #[test]
    fn token_round_trip_and_refusals() {
        let token = Token {
            id: "ab12".into(),
            secret: service::Secret::new("s3cret".into()),
            authority: [7; 32],
        };
        let again: Token = token.reveal().parse().unwrap();
        assert_eq!((again.id.as_str(), again.secret.expose()), ("ab12", "s3cret"));
        assert_eq!(again.authority, [7; 32]);
        assert_eq!(format!("{token:?}"), "Token(ab12..)");
        for text in ["", "pk1", "pk2.a.b.c", "pk1.a.b.c", "pk1..b.c", "pk1.a.<b>.c", "pk1.a.b.c.d"]
        {
            assert!(matches!(text.parse::<Token>(), Err(EnrolError::Token { .. })), "{text}");
        }
    }
}
