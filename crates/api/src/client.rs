//! A blocking client for programs that hold a token, and for people who sign in.

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use service::Secret;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider};

use crate::{ErrorBody, ErrorCode, Login, SessionInfo};

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

/// How to be let in.
#[derive(Clone, Debug)]
enum Pass {
    /// The token of a program.
    Token(Secret),
    /// Cookie, `name=value`, and CSRF value of a person's session.
    Session(Secret, Secret),
    /// Not let in yet.
    Nothing,
}

/// Where the collector is and how to be let in.
#[derive(Clone, Debug)]
pub struct Client {
    url: String,
    pass: Pass,
    agent: ureq::Agent,
}

impl Client {
    /// A client for `https://HOST:PORT` that trusts the authority in `authority` (PEM) alone.
    ///
    /// # Errors
    /// [`ClientError::Authority`].
    pub fn new(url: &str, authority: &str, token: Secret) -> Result<Self, ClientError> {
        Ok(Self { pass: Pass::Token(token), ..Self::outside(url, authority)? })
    }

    /// As [`Client::new`], for a person: begins a session, which [`Client::sign_out`] ends.
    ///
    /// # Errors
    /// [`ClientError`]; name or password wrong is [`ClientError::Refused`].
    pub fn sign_in(
        url: &str,
        authority: &str,
        (name, password): (&str, &Secret),
    ) -> Result<Self, ClientError> {
        Self::outside(url, authority)?.signed_in(name, password)
    }

    fn signed_in(self, name: &str, password: &Secret) -> Result<Self, ClientError> {
        let login = Login { name: name.to_owned(), password: password.expose().to_owned() };
        let answer = self.agent.post(self.address("/api/v1/login")).send_json(&login);
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        let cookie = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok());
        let cookie = cookie.and_then(|value| value.split(';').next()).unwrap_or("").to_owned();
        let session: SessionInfo = self.read(answer)?;
        if cookie.is_empty() {
            let reason = "it began a session without a cookie".to_owned();
            return Err(ClientError::Answer { url: self.url, reason });
        }
        let pass = Pass::Session(Secret::new(cookie), Secret::new(session.csrf));
        Ok(Self { pass, ..self })
    }

    /// Ends the session of a person.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn sign_out(&self) -> Result<(), ClientError> {
        let done: serde_json::Value = self.post("/api/v1/logout", &serde_json::json!({}))?;
        drop(done);
        Ok(())
    }

    /// A client that is not let in yet.
    fn outside(url: &str, authority: &str) -> Result<Self, ClientError> {
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
        Ok(Self { url: url.trim_end_matches('/').to_owned(), pass: Pass::Nothing, agent })
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// A request with what lets it in.
    fn signed<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.pass {
            Pass::Token(token) => {
                request.header("Authorization", format!("Bearer {}", token.expose()))
            }
            Pass::Session(cookie, csrf) => {
                request.header("Cookie", cookie.expose()).header("X-CSRF-Token", csrf.expose())
            }
            Pass::Nothing => request,
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> ClientError {
        ClientError::Unreachable { url: self.url.clone(), reason: error.to_string() }
    }

    /// `GET path`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, ClientError> {
        let answer = self.signed(self.agent.get(self.address(path))).call();
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
        let answer = self.signed(self.agent.post(self.address(path))).send_json(body);
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
        let answer = self.signed(self.agent.get(self.address(path))).call();
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
