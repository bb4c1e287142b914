//! A blocking client for programs that hold a token.

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use service::Secret;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider};

use crate::{ErrorBody, ErrorCode};

/// Most bytes read of one answer.
const MAX_ANSWER: u64 = 256 * 1024 * 1024;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The collector does not answer.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// Address asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// The collector refuses.
    #[error("{message}")]
    Refused {
        /// Kind.
        code: ErrorCode,
        /// In its words.
        message: String,
    },
    /// The answer is not what it should be.
    #[error("{url} gave an answer that cannot be read: {reason}")]
    Answer {
        /// Address asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// The authority's certificates cannot be read.
    #[error("no certificate in the authority file")]
    Authority,
}

/// Where the collector is and how to be let in.
#[derive(Clone, Debug)]
pub struct Client {
    url: String,
    token: Secret,
    agent: ureq::Agent,
}

impl Client {
    /// A client for `https://HOST:PORT` that trusts the authority in `authority` (PEM) alone.
    ///
    /// # Errors
    /// [`ClientError::Authority`].
    pub fn new(url: &str, authority: &str, token: Secret) -> Result<Self, ClientError> {
        let items = ureq::tls::parse_pem(authority.as_bytes()).filter_map(Result::ok);
        let certificates: Vec<Certificate<'static>> = items
            .filter_map(|item| match item {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            })
            .collect();
        if certificates.is_empty() {
            return Err(ClientError::Authority);
        }
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .root_certs(RootCerts::Specific(Arc::new(certificates)))
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .max_redirects(0)
            .build()
            .new_agent();
        Ok(Self { url: url.trim_end_matches('/').to_owned(), token, agent })
    }

    fn unreachable(&self, error: &ureq::Error) -> ClientError {
        ClientError::Unreachable { url: self.url.clone(), reason: error.to_string() }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token.expose())
    }

    /// `GET path`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, ClientError> {
        let url = format!("{}{path}", self.url);
        let answer = self.agent.get(&url).header("Authorization", self.bearer()).call();
        self.read(answer.map_err(|error| self.unreachable(&error))?)
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn post<B: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<A, ClientError> {
        let url = format!("{}{path}", self.url);
        let answer = self.agent.post(&url).header("Authorization", self.bearer()).send_json(body);
        self.read(answer.map_err(|error| self.unreachable(&error))?)
    }

    fn read<A: DeserializeOwned>(
        &self,
        mut answer: ureq::http::Response<ureq::Body>,
    ) -> Result<A, ClientError> {
        let unreadable = |reason: String| ClientError::Answer { url: self.url.clone(), reason };
        let good = answer.status().is_success();
        let body = answer.body_mut().with_config().limit(MAX_ANSWER);
        let text = body.read_to_string().map_err(|error| unreadable(error.to_string()))?;
        if good {
            return serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()));
        }
        let status = answer.status();
        match serde_json::from_str::<ErrorBody>(&text) {
            Ok(error) => Err(ClientError::Refused { code: error.code, message: error.message }),
            Err(_) => Err(unreadable(format!("status {status}"))),
        }
    }

    /// `GET path` as a stream of server-sent events; `each` gets the data of one and says whether
    /// to go on.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn stream(
        &self,
        path: &str,
        each: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), ClientError> {
        self.stream_of(path, each, |line| line.strip_prefix("data: "))
    }

    /// `GET path` as lines of text, as they come; `each` gets one and says whether to go on.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn lines(&self, path: &str, each: &mut dyn FnMut(&str) -> bool) -> Result<(), ClientError> {
        self.stream_of(path, each, |line| Some(line))
    }

    fn stream_of(
        &self,
        path: &str,
        each: &mut dyn FnMut(&str) -> bool,
        data: fn(&str) -> Option<&str>,
    ) -> Result<(), ClientError> {
        let url = format!("{}{path}", self.url);
        let answer = self.agent.get(&url).header("Authorization", self.bearer()).call();
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        if !answer.status().is_success() {
            return self.read::<serde_json::Value>(answer).map(|_| ());
        }
        let lost = |error: std::io::Error| ClientError::Unreachable {
            url: self.url.clone(),
            reason: error.to_string(),
        };
        for line in BufReader::new(answer.into_body().into_reader()).lines() {
            let line = line.map_err(lost)?;
            if let Some(data) = data(&line)
                && !each(data)
            {
                return Ok(());
            }
        }
        Ok(())
    }
}
#[cfg(test)]
mod tests;
