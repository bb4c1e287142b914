//! A webhook: the page as JSON, signed with HMAC-SHA256 in `X-Pikett-Signature`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use service::{Secret, SecretError, SecretSource};

use super::{DeliveryError, Message};
use crate::oncall::link::Signer;

/// Where pages are posted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// `https://...`; plain `http` only to this machine.
    pub url: String,
    /// Key of the signature.
    #[serde(default)]
    pub secret: Option<SecretSource>,
}

/// Why the webhook cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Neither https nor local.
    #[error("webhook.url: {url:?} is not https://... (http only to this machine)")]
    Url {
        /// As configured.
        url: String,
    },
    /// The secret cannot be had.
    #[error("webhook.secret")]
    Secret(#[from] SecretError),
}

/// The webhook channel. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Webhook {
    url: String,
    secret: Option<Secret>,
    agent: ureq::Agent,
}

impl Webhook {
    /// Sets the channel up; nothing is sent.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub fn new(config: &WebhookConfig) -> Result<Self, WebhookError> {
        let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|prefix| {
            let rest = config.url.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
        });
        if !local && !config.url.starts_with("https://") {
            return Err(WebhookError::Url { url: config.url.clone() });
        }
        let secret = config.secret.as_ref().map(SecretSource::read).transpose()?;
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .max_redirects(0)
            .build()
            .new_agent();
        Ok(Self { url: config.url.clone(), secret, agent })
    }

    /// Posts a message. Blocks for at most ten seconds.
    ///
    /// # Errors
    /// [`DeliveryError::Failed`] unless the answer is 2xx.
    pub fn send(&self, message: &Message) -> Result<(), DeliveryError> {
        let body = json!({
            "page": message.page,
            "who": message.who,
            "severity": message.severity,
            "summary": message.subject,
            "text": message.body,
            "alerts": message.alerts,
            "acknowledge": message.link,
        })
        .to_string();
        let mut request = self.agent.post(&self.url).header("Content-Type", "application/json");
        if let Some(secret) = &self.secret {
            let signature = Signer::body(secret.expose(), body.as_bytes());
            request = request.header("X-Pikett-Signature", format!("sha256={signature}"));
        }
        let answer = request.send(body);
        answer.map(|_| ()).map_err(|error| DeliveryError::Failed { reason: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    fn serve(status: &'static str) -> (u16, std::thread::JoinHandle<(String, String)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
                head.push_str(&line.to_lowercase());
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            (head, String::from_utf8(body).unwrap())
        });
        (port, thread)
    }

    fn message() -> Message {
        Message {
            to: String::new(),
            who: "alice".into(),
            subject: "s".into(),
            body: "b".into(),
            link: "l".into(),
            page: "p1".into(),
            alerts: vec!["a1".into()],
            severity: "high".into(),
        }
    }

    #[test]
    fn posts_signed_json() {
        let (port, served) = serve("204 No Content");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "k").unwrap();
        let url = format!("http://127.0.0.1:{port}/hook");
        let config = WebhookConfig { url, secret: Some(SecretSource::File(path)) };
        Webhook::new(&config).unwrap().send(&message()).unwrap();
        let (head, body) = served.join().unwrap();
        let expected = format!("x-pikett-signature: sha256={}", Signer::body("k", body.as_bytes()));
        assert!(head.contains(&expected), "{head}");
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&json["page"], &json["alerts"][0]), (&"p1".into(), &"a1".into()));
    }

    #[test]
    fn errors_of_the_other_side_are_failures() {
        let (port, _served) = serve("500 Internal Server Error");
        let config = WebhookConfig { url: format!("http://127.0.0.1:{port}/"), secret: None };
        let error = Webhook::new(&config).unwrap().send(&message()).unwrap_err();
        assert!(error.to_string().contains("500"), "{error}");
    }

    #[test]
    fn only_https_or_this_machine() {
        for url in ["http://example.com/", "ftp://x", "", "http://127.0.0.1.evil.example/"] {
            let config = WebhookConfig { url: url.into(), secret: None };
            assert!(matches!(Webhook::new(&config), Err(WebhookError::Url { .. })), "{url}");
        }
    }
}
