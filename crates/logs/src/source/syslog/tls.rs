//! TLS of a listener: its certificate, and the authority of its senders when they must show one.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::SyslogError;
use crate::config::SyslogConfig;

/// Agrees on TLS with senders. Cheap to clone.
#[derive(Clone)]
pub(super) struct Acceptor(TlsAcceptor);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Acceptor(..)")
    }
}

impl Acceptor {
    pub(super) async fn accept(
        &self,
        stream: tokio::net::TcpStream,
    ) -> std::io::Result<tokio_rustls::server::TlsStream<tokio::net::TcpStream>> {
        self.0.accept(stream).await
    }
}

fn unusable(path: &Path, reason: impl std::fmt::Display) -> SyslogError {
    SyslogError::Certificate { path: path.to_owned(), reason: reason.to_string() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SyslogError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> = found.map_err(|error| unusable(path, error))?;
    if found.is_empty() {
        return Err(unusable(path, "no certificate in it"));
    }
    Ok(found)
}

/// Reads certificate, key and authority.
///
/// # Errors
/// [`SyslogError::NoCertificate`], [`SyslogError::Certificate`].
pub(super) fn acceptor(config: &SyslogConfig) -> Result<Acceptor, SyslogError> {
    let (Some(certificate), Some(key)) = (&config.certificate, &config.key) else {
        return Err(SyslogError::NoCertificate { address: config.listen.clone() });
    };
    let chain = certificates(certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| unusable(certificate, error))?;
    let builder = match &config.client_authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(path)? {
                roots.add(root).map_err(|error| unusable(path, error))?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| unusable(path, error))?)
        }
    };
    let tls = builder.with_single_cert(chain, secret);
    Ok(Acceptor(TlsAcceptor::from(Arc::new(tls.map_err(|error| unusable(key, error))?))))
}
