//! Who is asking, and whether they may.

use std::net::SocketAddr;

use api::ErrorCode;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::{App, Failure, audit};
use crate::auth::token::{Scope, Token};
use crate::auth::{Role, Session, User};

/// Name of the session cookie. The prefix binds it to this host and to TLS (RFC 6265bis section 4.1.3.2).
pub const COOKIE: &str = "__Host-pikett";
/// Header that repeats the session's CSRF value.
pub const CSRF: &str = "x-csrf-token";

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Public,
    /// A session, even one whose password must still be changed.
    Session,
    /// A user of this role or above; never a token.
    User(Role),
    /// A user of this role or above, or a token with this scope.
    Either(Role, Scope),
    /// A token with this scope.
    Token(Scope),
    /// A token with any of these scopes.
    Tokens(&'static [Scope]),
}

/// Who is asking; put into every request that is let past.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Nobody in particular.
    Anonymous,
    /// A person.
    Person(Box<(Session, User)>),
    /// A program.
    Program(Box<Token>),
}

impl Caller {
    /// Name for histories.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Person(person) => &person.1.name,
            Self::Program(token) => &token.name,
        }
    }

    /// The session, when it is a person.
    ///
    /// # Errors
    /// [`ErrorCode::Unauthenticated`].
    pub fn person(&self) -> Result<(&Session, &User), Failure> {
        match self {
            Self::Person(person) => Ok((&person.0, &person.1)),
            _ => Err(Failure::new(ErrorCode::Unauthenticated, "log in first")),
        }
    }
}

/// The session cookie's value.
#[must_use]
pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// The token of an `Authorization` header: Bearer, Splunk, `ApiKey` (base64 of `id:token`), or
/// Basic with the token as password.
fn token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    let paired = || {
        let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
        text.split_once(':').map(|(_, token)| token.to_owned())
    };
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "splunk" => Some(rest.trim().to_owned()),
        "basic" => paired(),
        "apikey" => paired().or_else(|| Some(rest.trim().to_owned())),
        _ => None,
    }
}

/// Stands in front of every route.
pub async fn guard(
    State((app, path, need)): State<(App, &'static str, Need)>,
    mut request: Request,
    next: Next,
) -> Response {
    match admit(&app, need, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller.clone());
            audit::watched(&app, (path, need, &caller), request, next).await
        }
        Err(failure) => {
            audit::refused(&app, path, &request, &failure);
            let path = request.uri().path().to_owned();
            let address = address(&request);
            tracing::warn!(path, address, reason = %failure, "request refused");
            app.telemetry.count("pikett_requests_refused", "requests refused", &[], 1);
            failure.into_response()
        }
    }
}

/// Whose session or token a request carries, whether or not it may do what it wants.
pub(super) fn claimed(app: &App, headers: &HeaderMap) -> Caller {
    if let Some(token) = token(headers).and_then(|text| app.tokens.find(&text)) {
        return Caller::Program(Box::new(token));
    }
    let person = cookie(headers).and_then(|cookie| app.auth.session(cookie));
    person.map_or(Caller::Anonymous, |person| Caller::Person(Box::new(person)))
}

/// Where a request comes from.
pub(super) fn address(request: &Request) -> String {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    info.map(|info| info.0.ip().to_canonical().to_string()).unwrap_or_default()
}

fn admit(app: &App, need: Need, request: &Request) -> Result<Caller, Failure> {
    if need == Need::Public {
        return Ok(Caller::Anonymous);
    }
    let unknown = || Failure::new(ErrorCode::Unauthenticated, "log in or send a token");
    let headers = request.headers();
    if let Some(text) = token(headers) {
        let token = app.tokens.find(&text).ok_or_else(unknown)?;
        return match need {
            Need::Either(_, scope) | Need::Token(scope) if token.scopes.contains(&scope) => {
                limit(app, &token.name, scope)?;
                Ok(Caller::Program(Box::new(token)))
            }
            Need::Tokens(scopes) if scopes.iter().any(|scope| token.scopes.contains(scope)) => {
                Ok(Caller::Program(Box::new(token)))
            }
            _ => Err(Failure::new(ErrorCode::Forbidden, "this token may not do that")),
        };
    }
    let (session, user) =
        cookie(headers).and_then(|cookie| app.auth.session(cookie)).ok_or_else(unknown)?;
    let changing = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changing {
        let given = headers.get(CSRF).map_or(&b""[..], |value| value.as_bytes());
        if !bool::from(given.ct_eq(session.csrf.as_bytes())) {
            return Err(Failure::new(ErrorCode::Forbidden, "the CSRF header is missing or wrong"));
        }
    }
    if need != Need::Session && user.must_change {
        let words = "change the first password before anything else";
        return Err(Failure::new(ErrorCode::PasswordChangeRequired, words));
    }
    match need {
        Need::User(role) | Need::Either(role, _) if user.role < role => {
            Err(Failure::new(ErrorCode::Forbidden, "your role may not do that"))
        }
        Need::Token(_) | Need::Tokens(_) => {
            Err(Failure::new(ErrorCode::Forbidden, "only for tokens"))
        }
        _ => Ok(Caller::Person(Box::new((session, user)))),
    }
}

/// Lets a program ask no more than it may. Events are let in whenever the disk takes them.
fn limit(app: &App, token: &str, scope: Scope) -> Result<(), Failure> {
    if scope == Scope::Ingest {
        return Ok(());
    }
    // A clock that jumps must not lock anybody out.
    let now = i64::try_from(app.clock.monotonic().as_micros()).unwrap_or(i64::MAX);
    app.limits.request(token, now).inspect_err(|_| {
        let labels = [("token", token)];
        app.telemetry.count("pikett_requests_limited", "requests over a token's rate", &labels, 1);
    })
}

/// Whether the request carries a token with one of these scopes.
///
/// # Errors
/// [`Failure`] when it carries none, an unknown one, or one that may not.
pub(super) fn program(app: &App, headers: &HeaderMap, scopes: &[Scope]) -> Result<(), Failure> {
    let found = token(headers).and_then(|text| app.tokens.find(&text));
    let found = found.ok_or_else(|| Failure::new(ErrorCode::Unauthenticated, "send a token"))?;
    if scopes.iter().any(|scope| found.scopes.contains(scope)) {
        Ok(())
    } else {
        Err(Failure::new(ErrorCode::Forbidden, "this token may not do that"))
    }
}
