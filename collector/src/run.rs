//! The collector's daemon: opens everything, serves, stops in order.
//!
//! Order of stopping: link and web (no more intake), pager, watch, the detectors' memory, then the
//! store, which commits what it has. An agent that was not answered sends again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use event::{AgentId, Detection, Engine, Entity, Severity, Timestamp};
use link::server::ServerIdentity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use service::{Clock, Shutdown, Telemetry};

use crate::agents::{Agents, Health};
use crate::alert::Alerts;
use crate::auth::Auth;
use crate::auth::enrolment::Enrolments;
use crate::auth::token::Tokens;
use crate::config::Config;
use crate::correlate::{self, Memory};
use crate::init::Folder;
use crate::intake::Intake;
use crate::keys::{self, MasterKey};
use crate::oncall::deliver::mail::Mailer;
use crate::oncall::deliver::webhook::Webhook;
use crate::oncall::link::Signer;
use crate::oncall::pager::{Channels, Pager, Parts};
use crate::pipeline::Pipeline;
use crate::state::State;
use crate::store::{self, Embedded, RetentionPolicy, Store};
use crate::web::{self, App};

/// Time between two looks at silent agents, residues and retention.
const WATCH: Duration = Duration::from_secs(5);
/// Looks in a row that must find a residue before it is an alarm: batches in flight pass meanwhile.
const RESIDUE_LOOKS: u32 = 6;

/// Runs the collector until it is told to stop.
///
/// # Errors
/// When something cannot be opened; the error names it.
pub fn run(config: &Config) -> Result<()> {
    service::init_logging(&config.log, config.log_format).map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("io")
        .enable_all()
        .build()
        .context("cannot start the IO threads")?;
    runtime.block_on(Daemon::open(config)?.serve(config))
}

/// Does everything but serve: opens keys, certificates, state and channels.
///
/// # Errors
/// The first problem found.
pub fn check(config: &Config) -> Result<()> {
    let folder = Folder::new(&config.data);
    let master = MasterKey::load(&folder.master_key())?;
    State::open(&folder.state(), &master.derive("state")?)?;
    folder.load_authority()?;
    tls(&folder)?;
    channels(config)?;
    correlate::detectors(&config.rules, None)?;
    Ok(())
}

fn channels(config: &Config) -> Result<Channels> {
    Ok(Channels {
        mail: config.mail.as_ref().map(Mailer::new).transpose()?,
        webhook: config.webhook.as_ref().map(Webhook::new).transpose()?,
    })
}

/// TLS of the web side: 1.2 and 1.3, the server's certificate.
fn tls(folder: &Folder) -> Result<rustls::ServerConfig> {
    let identity = folder.load_server()?;
    let chain = CertificateDer::pem_slice_iter(identity.chain.as_bytes());
    let chain: Vec<_> = chain.collect::<Result<_, _>>().context("server.pem is no certificate")?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.expose().as_bytes())
        .context("server.key is no key")?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("certificate and key of the server do not fit")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

struct Daemon {
    folder: Folder,
    store: Arc<Embedded>,
    app: App,
    memory: Memory,
}

impl Daemon {
    fn open(config: &Config) -> Result<Self> {
        let folder = Folder::new(&config.data);
        let clock = Clock::system();
        let telemetry = Telemetry::new();
        let master = MasterKey::load(&folder.master_key())?;
        let state = Arc::new(State::open(&folder.state(), &master.derive("state")?)?);
        let authority = folder.load_authority()?;
        let auth = Auth::load(Arc::clone(&state), clock.clone())?;
        let alerts = Alerts::load(Arc::clone(&state), clock.clone())?;
        let pager = Pager::load(Parts {
            state: Arc::clone(&state),
            clock: clock.clone(),
            alerts: alerts.clone(),
            auth: auth.clone(),
            channels: channels(config)?,
            signer: Signer::new(&master.derive("page links")?),
            telemetry: telemetry.clone(),
            console: config.console_url.clone(),
        })?;
        let key = store::Key::new(*master.derive("store")?);
        let now = clock.clone();
        let now: store::Now = Arc::new(move || Timestamp::from_micros(now.now_micros()));
        let store = Embedded::open(store::Config::new(folder.events(), key, now))
            .context("cannot open the event store")?;
        let store = Arc::new(store);
        let memory = Memory::new(config.data.clone(), store::Key::new(*master.derive("memory")?));
        let boot = u64::from_le_bytes(keys::random::<8>()?);
        let pipeline = Pipeline::new(
            Arc::clone(&store) as Arc<dyn Store>,
            alerts.clone(),
            (clock.clone(), telemetry.clone()),
            (AgentId::new("collector")?, boot),
            correlate::detectors(&config.rules, Some(&memory))?,
        );
        let app = App {
            auth,
            tokens: Tokens::load(Arc::clone(&state), clock.clone())?,
            enrolments: Arc::new(Enrolments::new(Arc::clone(&state), clock.clone())),
            agents: Agents::load(state, clock.clone())?,
            alerts,
            pager,
            pipeline,
            bulk_ids: Arc::default(),
            clock,
            telemetry,
            authority: link::pki::fingerprint(authority.certificate())?,
            enrol_at: format!("https://{}", config.link_names.first().map_or("", String::as_str))
                .into(),
            shutdown: Shutdown::new(),
        };
        Ok(Self { folder, store, app, memory })
    }

    async fn serve(self, config: &Config) -> Result<()> {
        let app = self.app.clone();
        app.shutdown.on_signals().context("cannot listen for signals")?;
        let web = std::net::TcpListener::bind(config.web)
            .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
            .with_context(|| format!("cannot listen on {} for the console", config.web))?;
        let agents = tokio::net::TcpListener::bind(config.link)
            .await
            .with_context(|| format!("cannot listen on {} for agents", config.link))?;
        let web = tokio::spawn(web::serve(web, Arc::new(tls(&self.folder)?), app.clone()));
        let authority = self.folder.load_authority()?;
        let identity = ServerIdentity {
            identity: self.folder.load_server()?,
            authority: authority.certificate().to_owned(),
        };
        let intake = Arc::new(Intake {
            pipeline: Arc::clone(&app.pipeline),
            agents: app.agents.clone(),
            enrolments: Arc::clone(&app.enrolments),
            authority,
            collectors: config.link_names.clone(),
            clock: app.clock.clone(),
            telemetry: app.telemetry.clone(),
        });
        let agents =
            tokio::spawn(link::server::serve(agents, identity, intake, app.shutdown.clone()));
        let pager = tokio::spawn(app.pager.clone().run(app.shutdown.clone()));
        let watch = tokio::spawn(watch(app.clone(), config.retention.clone(), self.memory.clone()));
        tracing::info!(web = %config.web, link = %config.link, "collector is ready");

        app.shutdown.wait().await;
        agents.await.context("link failed")?.context("link failed")?;
        web.await.context("web failed")?.context("web failed")?;
        pager.await.context("pager failed")?;
        watch.await.context("watch failed")?;
        keep(&app, &self.memory).await;
        drop(app);
        drop(self.app);
        if let Some(store) = Arc::into_inner(self.store) {
            tokio::task::spawn_blocking(move || store.close()).await.context("store failed")?;
        } else {
            tracing::warn!("a request still held the store; its log is complete all the same");
        }
        tracing::info!("collector stopped");
        Ok(())
    }
}

/// Looks at what nobody sends an event about: silence, residues, damage, age.
async fn watch(app: App, retention: crate::config::RetentionConfig, memory: Memory) {
    let mut watch = Watch { app, told: Vec::new(), residues: std::collections::BTreeMap::new() };
    let shutdown = watch.app.shutdown.clone();
    let mut looks = 0_u32;
    loop {
        tokio::select! {
            () = tokio::time::sleep(WATCH) => {}
            () = shutdown.wait() => return,
        }
        watch.look().await;
        watch.app.pipeline.pass().await;
        if looks.is_multiple_of(12) {
            keep(&watch.app, &memory).await;
        }
        if looks.is_multiple_of(120) {
            watch.retain(&retention).await;
        }
        looks = looks.wrapping_add(1);
    }
}

/// Keeps what the detectors remember.
async fn keep(app: &App, memory: &Memory) {
    let (memories, memory) = (app.pipeline.memories().await, memory.clone());
    let kept = tokio::task::spawn_blocking(move || memory.save(&memories)).await;
    if let Err(error) = kept {
        tracing::error!(%error, "what detectors remember was not kept");
    }
}

struct Watch {
    app: App,
    /// What has been raised and has not gone away.
    told: Vec<String>,
    /// Looks in a row at which an agent had a residue.
    residues: std::collections::BTreeMap<String, u32>,
}

impl Watch {
    async fn look(&mut self) {
        let now = self.app.now();
        let mut present = Vec::new();
        for agent in self.app.agents.list() {
            if agent.health(now) == Health::Silent {
                let seconds = now.micros_since(agent.seen) / 1_000_000;
                let words = format!("agent {} was last heard of {seconds} s ago", agent.id);
                self.raise("agent-silent", "Agent is silent", &agent.id, words, &mut present).await;
            }
            let looks = self.residues.entry(agent.id.clone()).or_default();
            *looks = if agent.residue() > 0 { looks.saturating_add(1) } else { 0 };
            if *looks >= RESIDUE_LOOKS {
                let words = format!("{} events are unaccounted for", agent.residue());
                self.raise("residue", "Events are unaccounted for", &agent.id, words, &mut present)
                    .await;
            }
        }
        for problem in self.app.pipeline.store().figures().problems {
            let words = format!("{} at byte {}: {}", problem.what, problem.offset, problem.advice);
            let title = "Event store is damaged";
            self.raise("store-problem", title, &problem.path, words, &mut present).await;
        }
        self.told = present;
    }

    /// Raises a detection about the product itself, once until it has gone away.
    async fn raise(
        &self,
        rule: &str,
        title: &str,
        about: &str,
        words: String,
        present: &mut Vec<String>,
    ) {
        let key = format!("{rule}\0{about}");
        if self.told.contains(&key) {
            present.push(key);
            return;
        }
        tracing::error!(rule, about, words, "the product has a problem");
        let detection = Detection {
            engine: Engine::Health,
            rule_id: format!("pikett-{rule}"),
            rule_rev: "1".to_owned(),
            title: title.to_owned(),
            severity: Severity::High,
            category: "health".to_owned(),
            entity: Entity { field: "agent.id".to_owned(), value: about.to_owned() },
            explanation: words,
            advice: "See the agents page; docs/operate.md says what to do.".to_owned(),
            evidence: Vec::new(),
            attack: Vec::new(),
            rule_text: String::new(),
        };
        match self.app.pipeline.raise(detection).await {
            Ok(()) => present.push(key),
            // Not told yet: the next look tries again.
            Err(error) => {
                tracing::error!(%error, "a problem of the product could not be stored as an alert");
            }
        }
    }

    async fn retain(&self, config: &crate::config::RetentionConfig) {
        let policy = RetentionPolicy {
            older_than: Some(self.app.now().plus_seconds(-i64::from(config.days) * 86_400)),
            max_bytes: Some(config.gigabytes.saturating_mul(1024 * 1024 * 1024)),
        };
        let store = Arc::clone(self.app.pipeline.store());
        match tokio::task::spawn_blocking(move || store.retain(&policy)).await {
            Ok(Ok(report)) => {
                for gone in report.dropped {
                    let (name, documents) = (gone.partition, gone.documents);
                    tracing::info!(name, documents, reason = gone.reason, "partition dropped");
                }
            }
            Ok(Err(error)) => tracing::error!(%error, "retention failed"),
            Err(error) => tracing::error!(%error, "retention failed"),
        }
    }
}

#[cfg(test)]
mod tests;
