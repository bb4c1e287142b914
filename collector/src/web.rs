//! The collector's HTTPS side: API, ingest for others, console.
//!
//! Every route is declared once, in `routes`, with what it needs; [`access::guard`] stands in
//! front of each and lets nobody past who lacks it. Handlers find the [`access::Caller`] in the
//! request and do not ask again.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use service::{Clock, Shutdown, Telemetry};

use crate::agents::Agents;
use crate::alert::Alerts;
use crate::auth::Auth;
use crate::auth::enrolment::Enrolments;
use crate::auth::token::Tokens;
use crate::completeness::Ledgers;
use crate::config::{RetentionConfig, RulesConfig, StorageConfig};
use crate::exceptions::Exceptions;
use crate::hunts::Hunts;
use crate::oncall::pager::Pager;
use crate::pipeline::Pipeline;
use crate::receive::Receiving;
use crate::searches::Searches;
use crate::vault::Vault;

pub mod access;
mod acknowledge;
mod admin;
mod agents;
mod alerts;
mod audit;
mod body;
mod console;
mod elastic;
mod error;
mod exceptions;
mod export;
mod foreign;
mod hec;
mod hunts;
mod limits;
mod oncall;
mod openapi;
mod otlp;
mod probes;
mod redactions;
mod routes;
mod search;
mod searches;
mod session;
mod storage;
#[cfg(test)]
mod tests;

pub use audit::Refused;
#[cfg(any(test, feature = "fuzzing"))]
pub use elastic::fuzz_elastic;
pub use elastic::ids::Window as BulkIds;
pub use error::Failure;
pub use limits::Limits;
pub use routes::{ROUTES, Route};

/// Largest body of an API request, bytes; ingest has its own limit.
const MAX_BODY: usize = 1024 * 1024;

/// Everything the handlers need. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    /// Users and sessions.
    pub auth: Auth,
    /// Tokens of programs.
    pub tokens: Tokens,
    /// One-time tokens of agents.
    pub enrolments: Arc<Enrolments>,
    /// Agents.
    pub agents: Agents,
    /// Alerts.
    pub alerts: Alerts,
    /// Exceptions.
    pub exceptions: Exceptions,
    /// Previews of rules.
    pub hunts: Hunts,
    /// Searches that people keep.
    pub searches: Searches,
    /// How complete windows of time are.
    pub ledgers: Ledgers,
    /// How much programs may ask.
    pub limits: Limits,
    /// Refused requests that were kept lately.
    pub refused: Refused,
    /// How long and how much to keep.
    pub retention: Arc<RetentionConfig>,
    /// How events lie on disk.
    pub storage: Arc<StorageConfig>,
    /// Where rules, names of fields and placeholders come from.
    pub rules: Arc<RulesConfig>,
    /// Pager.
    pub pager: Pager,
    /// Events.
    pub pipeline: Arc<Pipeline>,
    /// Keys and evidence.
    pub vault: Arc<Vault>,
    /// `_id`s that shippers have sent lately.
    pub bulk_ids: Arc<tokio::sync::Mutex<BulkIds>>,
    /// Figures of the inputs that the collector reads itself.
    pub receiving: Receiving,
    /// Clock.
    pub clock: Clock,
    /// Metrics.
    pub telemetry: Telemetry,
    /// SHA-256 of the authority's certificate, for enrolment tokens.
    pub authority: [u8; 32],
    /// Address that agents enrol at, as a URL.
    pub enrol_at: Arc<str>,
    /// Stops long answers.
    pub shutdown: Shutdown,
}

impl App {
    /// Now.
    #[must_use]
    pub fn now(&self) -> event::Timestamp {
        event::Timestamp::from_micros(self.clock.now_micros())
    }
}

/// The whole site.
pub fn router(app: &App) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let of_route = (app.clone(), route.path, route.need);
        let guarded =
            (route.handler)().layer(middleware::from_fn_with_state(of_route, access::guard));
        router = router.route(route.path, guarded);
    }
    router
        .fallback(console::serve)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(secure_headers))
        .with_state(app.clone())
}

/// Headers that every answer carries. Scripts and styles come from this server only; nothing is inline.
async fn secure_headers(request: Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
        img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
        form-action 'self'; frame-ancestors 'none'";
    let api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if api {
        let never = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, never);
    }
    response
}

/// Serves the site on `listener` until the shutdown.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: std::net::TcpListener,
    tls: Arc<rustls::ServerConfig>,
    app: App,
) -> std::io::Result<()> {
    let handle = axum_server::Handle::new();
    let (stop, stopping) = (app.shutdown.clone(), handle.clone());
    tokio::spawn(async move {
        stop.wait().await;
        stopping.graceful_shutdown(Some(std::time::Duration::from_secs(3)));
    });
    let config = axum_server::tls_rustls::RustlsConfig::from_config(tls);
    let service = router(&app).into_make_service_with_connect_info::<SocketAddr>();
    axum_server::from_tcp_rustls(listener, config)?.handle(handle).serve(service).await
}
