//! Mail through an SMTP server; the only place that names lettre.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor};
use schemars::JsonSchema;
use serde::Deserialize;
use service::SecretSource;

use super::{DeliveryError, Message};

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// STARTTLS, required.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// None; only to a server on this machine.
    None,
}

/// The mail server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// Host of the server.
    pub host: String,
    /// Port; 587 for STARTTLS, 465 for TLS, 25 for none when absent.
    #[serde(default)]
    pub port: Option<u16>,
    /// Protection.
    #[serde(default)]
    pub security: Security,
    /// Sender, such as `Pikett <pikett@example.com>`.
    pub from: String,
    /// User name, when the server wants one.
    #[serde(default)]
    pub user: Option<String>,
    /// Password.
    #[serde(default)]
    pub password: Option<SecretSource>,
    /// Authority of the server's certificate (PEM file), when it is none of the public ones.
    #[serde(default)]
    pub authority: Option<std::path::PathBuf>,
}

/// Why the mail channel cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The sender is no address.
    #[error("mail.from: {address:?} is no mail address")]
    From {
        /// As configured.
        address: String,
    },
    /// Unprotected mail to another machine.
    #[error("mail.security = \"none\" is only for a server on this machine, not for {host}")]
    Unprotected {
        /// Server.
        host: String,
    },
    /// TLS cannot be set up.
    #[error("mail: TLS cannot be set up for {host}")]
    Tls {
        /// Server.
        host: String,
        /// Why.
        #[source]
        source: lettre::transport::smtp::Error,
    },
    /// The authority's file cannot be read.
    #[error("mail.authority: cannot read {}", path.display())]
    Authority {
        /// File.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The password cannot be had.
    #[error("mail.password")]
    Password(#[from] service::SecretError),
}

/// The mail channel.
#[derive(Debug)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Longest wait for the server.
const PATIENCE: Duration = Duration::from_secs(20);

impl Mailer {
    /// Sets the channel up; nothing is sent.
    ///
    /// # Errors
    /// [`MailError`].
    pub fn new(config: &MailConfig) -> Result<Self, MailError> {
        let from =
            config.from.parse().map_err(|_| MailError::From { address: config.from.clone() })?;
        let local = matches!(config.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        if config.security == Security::None && !local {
            return Err(MailError::Unprotected { host: config.host.clone() });
        }
        let (default_port, tls) = match config.security {
            Security::None => (25, Tls::None),
            Security::Starttls => (587, Tls::Required(parameters(config)?)),
            Security::Tls => (465, Tls::Wrapper(parameters(config)?)),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port.unwrap_or(default_port))
            .tls(tls)
            .timeout(Some(PATIENCE));
        if let (Some(user), Some(password)) = (&config.user, &config.password) {
            let password = password.read()?.expose().to_owned();
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Self { transport: builder.build(), from })
    }

    /// Hands a message to the server.
    ///
    /// # Errors
    /// [`DeliveryError`].
    pub async fn send(&self, message: &Message) -> Result<(), DeliveryError> {
        let to: Mailbox = message
            .to
            .parse()
            .map_err(|_| DeliveryError::Address { address: message.to.clone() })?;
        let mail = Mail::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&message.subject)
            .header(ContentType::TEXT_PLAIN)
            .message_id(None)
            .body(message.body.clone())
            .map_err(|error| DeliveryError::Failed { reason: error.to_string() })?;
        let sent = self.transport.send(mail).await;
        sent.map(|_| ()).map_err(|error| DeliveryError::Failed { reason: service::causes(&error) })
    }
}

fn parameters(config: &MailConfig) -> Result<TlsParameters, MailError> {
    let failed = |source| MailError::Tls { host: config.host.clone(), source };
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.authority {
        let pem = std::fs::read(path)
            .map_err(|source| MailError::Authority { path: path.clone(), source })?;
        builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(failed)?);
    }
    builder.build().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    fn config(port: u16) -> MailConfig {
        MailConfig {
            host: "127.0.0.1".into(),
            port: Some(port),
            security: Security::None,
            from: "Pikett <pikett@example.com>".into(),
            user: None,
            password: None,
            authority: None,
        }
    }

    /// An SMTP server for one mail; gives back everything it was told.
    async fn sink(refuse: bool) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            stream.get_mut().write_all(b"220 sink\r\n").await.unwrap();
            let (mut told, mut data, mut line) = (String::new(), false, String::new());
            while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
                told.push_str(&line);
                let answer: &[u8] = match line.trim_end() {
                    "." if data => {
                        data = false;
                        b"250 taken\r\n"
                    }
                    _ if data => b"",
                    "DATA" => {
                        data = true;
                        b"354 go on\r\n"
                    }
                    "QUIT" => b"221 bye\r\n",
                    text if refuse && text.starts_with("RCPT") => b"550 no such person\r\n",
                    _ => b"250 ok\r\n",
                };
                stream.get_mut().write_all(answer).await.unwrap();
                line.clear();
            }
            told
        });
        (port, task)
    }

    fn message() -> Message {
        Message {
            to: "alice@example.com".into(),
            who: "alice".into(),
            subject: "[Pikett] HIGH: x - <script>".into(),
            body: "line one\n.\nline three\n".into(),
            link: String::new(),
            page: "p1".into(),
            alerts: Vec::new(),
            severity: "high".into(),
        }
    }

    #[tokio::test]
    async fn a_mail_arrives_whole() {
        let (port, told) = sink(false).await;
        let mailer = Mailer::new(&config(port)).unwrap();
        mailer.send(&message()).await.unwrap();
        drop(mailer);
        let told = told.await.unwrap();
        assert!(told.contains("RCPT TO:<alice@example.com>"), "{told}");
        assert!(told.contains("Subject: [Pikett] HIGH: x - <script>"), "{told}");
        assert!(told.contains("line one\r\n..\r\nline three"), "{told}");
    }

    #[tokio::test]
    async fn refusals_and_absent_servers_say_why() {
        let (port, _told) = sink(true).await;
        let error = Mailer::new(&config(port)).unwrap().send(&message()).await.unwrap_err();
        assert!(error.to_string().contains("no such person"), "{error}");
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let mailer = Mailer::new(&config(closed)).unwrap();
        assert!(matches!(mailer.send(&message()).await, Err(DeliveryError::Failed { .. })));
        let nobody = Message { to: "not an address".into(), ..message() };
        assert!(matches!(mailer.send(&nobody).await, Err(DeliveryError::Address { .. })));
    }

    #[test]
    fn mail_in_the_clear_stays_on_this_machine() {
        let remote = MailConfig { host: "mail.example.com".into(), ..config(25) };
        assert!(matches!(Mailer::new(&remote), Err(MailError::Unprotected { .. })));
        let secured = MailConfig { security: Security::Starttls, ..remote };
        Mailer::new(&secured).unwrap();
        let nobody = MailConfig { from: "nobody".into(), ..config(25) };
        assert!(matches!(Mailer::new(&nobody), Err(MailError::From { .. })));
    }
}
