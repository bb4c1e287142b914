//! What tests of several rooms share: a state, detections, and a whole site in one process.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode};
use event::{AgentId, Detection, Document, Engine, Entity, Object, Origin, Severity, Timestamp};
use serde_json::{Value, json};
use service::{Clock, Secret, Shutdown, Telemetry};
use tower::ServiceExt;
use zeroize::Zeroizing;

use crate::agents::Agents;
use crate::alert::Alerts;
use crate::auth::enrolment::Enrolments;
use crate::auth::token::{Scope, Tokens};
use crate::auth::{Auth, Role};
use crate::completeness::Ledgers;
use crate::config::{RetentionConfig, RulesConfig, StorageConfig};
use crate::exceptions::Exceptions;
use crate::hunts::Hunts;
use crate::keys::MasterSource;
use crate::oncall::link::Signer;
use crate::oncall::pager::{Channels, Pager, Parts};
use crate::pipeline::{Detector, Pipeline};
use crate::receive::Receiving;
use crate::redaction::{Order, Tombstone};
use crate::search::{Cancel, FieldSeen, SearchError, SearchRequest, SearchResponse, ValueSeen};
use crate::searches::Searches;
use crate::state::State;
use crate::store::{
    self, Append, AppendOutcome, BoxFuture, Embedded, Figures, Holding, RetentionPolicy,
    RetentionReport, SourceKey, StorageFigures, Store, StoreError,
};
use crate::vault::Vault;
use crate::web::access::{COOKIE, CSRF};
use crate::web::{App, Limits, Refused, router};

/// 2026-11-22T15:04:05Z, a Sunday.
pub(crate) const START: i64 = 1_795_359_845_000_000;
/// A password that fits the policy.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A state database of its own.
pub(crate) fn state() -> (tempfile::TempDir, Arc<State>) {
    let folder = tempfile::tempdir().unwrap();
    let key = Zeroizing::new([1; 32]);
    let state = State::open(&folder.path().join("state.db"), &key).unwrap();
    (folder, Arc::new(state))
}

/// A detection of `rule` about the address `entity`.
pub(crate) fn detection(rule: &str, entity: &str, severity: Severity) -> Detection {
    Detection {
        engine: Engine::Sigma,
        rule_id: rule.into(),
        rule_rev: String::new(),
        title: format!("rule {rule}"),
        severity,
        category: String::new(),
        entity: Entity { field: "src_ip".into(), value: entity.into() },
        explanation: "because".into(),
        advice: String::new(),
        evidence: Vec::new(),
        attack: Vec::new(),
        rule_text: String::new(),
    }
}

/// Where agent `a` on host `web1` sends from.
pub(crate) fn origin(agent: &str) -> Origin {
    Origin {
        agent: AgentId::new(agent).unwrap(),
        host: "web1".into(),
        version: String::new(),
        zone: String::new(),
        region: String::new(),
    }
}

/// The stored form of a detection, of agent `a` and boot 7.
pub(crate) fn alert_document(seq: u64, detection: Detection, micros: i64) -> Document {
    let time = Timestamp::from_micros(micros);
    let mut event = detection.into_event(time, time, Object::new());
    event.seq = seq;
    event.into_document(&origin("a"), 7)
}

/// A store that refuses appends while told to, as one on a full disk does.
#[derive(Debug)]
pub(crate) struct Flaky {
    inner: Embedded,
    pub(crate) full: AtomicBool,
    pub(crate) appends: AtomicU64,
}

impl Store for Flaky {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<AppendOutcome, StoreError>> {
        Box::pin(async move {
            if self.full.load(Ordering::SeqCst) {
                return Err(StoreError::Full { path: "/events".into() });
            }
            self.appends.fetch_add(1, Ordering::SeqCst);
            self.inner.append(append).await
        })
    }

    fn covered(&self, source: SourceKey, last: u64) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.inner.covered(source, last)
    }

    fn search(
        &self,
        request: &SearchRequest,
        cancel: &Cancel,
    ) -> Result<SearchResponse, SearchError> {
        self.inner.search(request, cancel)
    }

    fn fields(&self) -> Result<Vec<FieldSeen>, SearchError> {
        self.inner.fields()
    }

    fn values(
        &self,
        field: &str,
        prefix: &str,
        count: usize,
    ) -> Result<Vec<ValueSeen>, SearchError> {
        self.inner.values(field, prefix, count)
    }

    fn retain(&self, policy: &RetentionPolicy) -> Result<RetentionReport, StoreError> {
        self.inner.retain(policy)
    }

    fn holding(&self, ids: &[&str]) -> Result<Vec<Holding>, StoreError> {
        self.inner.holding(ids)
    }

    fn redact(&self, order: Order) -> Result<Tombstone, StoreError> {
        self.inner.redact(order)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush()
    }

    fn storage(&self) -> StorageFigures {
        self.inner.storage()
    }

    fn figures(&self) -> Figures {
        self.inner.figures()
    }
}

/// A vault in `folder`, with a master key file beside it.
pub(crate) fn vault(folder: &Path) -> Arc<Vault> {
    vault_of(folder, 3)
}

/// A vault in `folder` whose master key is this byte over and over.
pub(crate) fn vault_of(folder: &Path, byte: u8) -> Arc<Vault> {
    std::fs::create_dir_all(folder).unwrap();
    let key = folder.join(format!("master-{byte}.key"));
    std::fs::write(&key, [byte; 32]).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, private).unwrap();
    Vault::open(folder, &MasterSource::File(key), Clock::system()).unwrap()
}

/// A small store in `folder`.
fn flaky(folder: &Path, clock: &Clock, vault: Arc<Vault>) -> Arc<Flaky> {
    let clock = clock.clone();
    let now: store::Now = Arc::new(move || Timestamp::from_micros(clock.now_micros()));
    let mut config = store::Config::new(folder.join("events"), vault, now);
    config.segment_bytes = 1024 * 1024;
    config.writer_bytes = 15_000_000;
    let inner = Embedded::open(config).unwrap();
    Arc::new(Flaky { inner, full: AtomicBool::new(false), appends: AtomicU64::new(0) })
}

/// A whole collector in this process, without its listeners; its clock stands at [`START`].
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Arc<Flaky>,
    pub(crate) app: App,
    pub(crate) router: Router,
}

/// A person with a session, or a program with a token.
pub(crate) enum Who {
    Nobody,
    Person { cookie: String, csrf: String },
    Program(String),
}

impl Who {
    /// Adds what identifies them.
    pub(crate) fn sign(&self, request: Builder) -> Builder {
        match self {
            Self::Nobody => request,
            Self::Person { cookie, csrf } => {
                request.header("cookie", format!("other=1; {COOKIE}={cookie}")).header(CSRF, csrf)
            }
            Self::Program(token) => request.header("authorization", format!("Bearer {token}")),
        }
    }
}

/// An answer as it came.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    /// The body as JSON, or as a JSON string when it is none.
    pub(crate) fn json(&self) -> Value {
        let text = || Value::String(String::from_utf8_lossy(&self.bytes).into_owned());
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| text())
    }

    /// A header as text; empty when it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(Vec::new())
    }

    /// A site with these detectors.
    pub(crate) fn with(detectors: Vec<Box<dyn Detector>>) -> Self {
        let (folder, state) = state();
        let clock = Clock::manual(START);
        let telemetry = Telemetry::new();
        let auth = Auth::load(Arc::clone(&state), clock.clone()).unwrap();
        let alerts = Alerts::load(Arc::clone(&state), clock.clone()).unwrap();
        let exceptions = Exceptions::load(Arc::clone(&state), clock.clone()).unwrap();
        let pager = Pager::load(Parts {
            state: Arc::clone(&state),
            clock: clock.clone(),
            alerts: alerts.clone(),
            auth: auth.clone(),
            channels: Channels::default(),
            signer: Signer::new(&Zeroizing::new([2; 32])),
            telemetry: telemetry.clone(),
            console: "https://c".into(),
        })
        .unwrap();
        let vault = vault(&folder.path().join("keys"));
        let store = flaky(folder.path(), &clock, Arc::clone(&vault));
        let pipeline = Pipeline::new(
            Arc::clone(&store) as Arc<dyn Store>,
            (alerts.clone(), exceptions.clone()),
            (clock.clone(), telemetry.clone()),
            (AgentId::new("collector").unwrap(), 1),
            detectors,
        );
        let app = App {
            auth,
            tokens: Tokens::load(Arc::clone(&state), clock.clone()).unwrap(),
            enrolments: Arc::new(Enrolments::new(Arc::clone(&state), clock.clone())),
            searches: Searches::load(Arc::clone(&state), clock.clone()).unwrap(),
            agents: Agents::load(Arc::clone(&state), clock.clone()).unwrap(),
            alerts,
            exceptions,
            hunts: Hunts::default(),
            ledgers: Ledgers::load(state, Timestamp::from_micros(clock.now_micros())).unwrap(),
            limits: Limits::default(),
            refused: Refused::default(),
            rules: Arc::new(RulesConfig::default()),
            retention: Arc::new(RetentionConfig::default()),
            storage: Arc::new(StorageConfig::default()),
            pager,
            pipeline,
            vault,
            bulk_ids: Arc::default(),
            receiving: Receiving::default(),
            clock,
            telemetry,
            authority: [0; 32],
            enrol_at: "https://c:8444".into(),
            shutdown: Shutdown::new(),
        };
        let router = router(&app);
        Self { folder, store, app, router }
    }

    /// A person of this role with a session.
    pub(crate) fn person(&self, role: Role) -> Who {
        let name = format!("{role:?}").to_lowercase();
        let first = match self.app.auth.add_user(&name, role, &format!("{name}@example.com")) {
            Ok(first) => first,
            Err(_) => Secret::new(PASSWORD.into()),
        };
        let (cookie, session) = self.app.auth.login((&name, &first), "", "").unwrap();
        if self.app.auth.user(&name).unwrap().must_change {
            let new = Secret::new(PASSWORD.into());
            self.app.auth.change_password(&session, &first, &new).unwrap();
        }
        Who::Person { cookie: cookie.expose().to_owned(), csrf: session.csrf }
    }

    /// A program with these scopes; the first is called `t0`.
    pub(crate) fn program(&self, scopes: &[Scope]) -> Who {
        let name = format!("t{}", self.app.tokens.list().len());
        let token = self.app.tokens.create(&name, scopes.to_vec(), "test", None).unwrap();
        Who::Program(token.expose().to_owned())
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let stream = request.uri().path().starts_with("/api/v1/tail");
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        if stream && status.is_success() {
            return Answer { status, headers, bytes: Vec::new() };
        }
        let bytes = to_bytes(response.into_body(), 10_000_000).await.unwrap().to_vec();
        Answer { status, headers, bytes }
    }

    /// Sends a JSON request.
    pub(crate) async fn ask(
        &self,
        who: &Who,
        method: &str,
        path: &str,
        body: &str,
    ) -> (StatusCode, Value) {
        let request =
            Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = who.sign(request).body(Body::from(body.to_owned())).unwrap();
        let answer = self.send(request).await;
        (answer.status, answer.json())
    }

    /// Documents that `query` finds, newest first.
    pub(crate) async fn find(&self, query: &str) -> Vec<Document> {
        let store = Arc::clone(&self.store);
        let request =
            SearchRequest { query: query.into(), limit: 1_000, ..SearchRequest::default() };
        let found = tokio::task::spawn_blocking(move || {
            store.flush().unwrap();
            store.search(&request, &Cancel::new()).unwrap()
        });
        found.await.unwrap().hits.into_iter().map(|hit| hit.document).collect()
    }

    /// A log event with these fields.
    pub(crate) fn log(seq: u64, fields: Value) -> event::Event {
        let Value::Object(fields) = fields else { panic!("an object") };
        let time = Timestamp::from_micros(START);
        event::Event { seq, time, seen: time, kind: event::Kind::Log, fields }
    }

    /// A log event with nothing but a message.
    pub(crate) fn message(seq: u64) -> event::Event {
        Self::log(seq, json!({ "message": format!("event number{seq}") }))
    }
}
