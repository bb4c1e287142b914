//! The collector's daemon: opens everything, serves, stops in order.
//!
//! Order of stopping: link, web and own inputs (no more intake), pager, watch, the detectors' memory, then
//! the store, which commits what it has. An agent that was not answered sends again.

use std::sync::Arc;

use anyhow::{Context, Result};
use event::{AgentId, Timestamp};
use link::server::ServerIdentity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use service::{Clock, Shutdown, Telemetry};

use crate::agents::Agents;
use crate::alert::Alerts;
use crate::audit;
use crate::auth::Auth;
use crate::auth::enrolment::Enrolments;
use crate::auth::token::Tokens;
use crate::completeness::Ledgers;
use crate::config::Config;
use crate::correlate::{self, Memory};
use crate::exceptions::Exceptions;
use crate::hunts::Hunts;
use crate::init::Folder;
use crate::intake::Intake;
use crate::keys;
use crate::oncall::deliver::mail::Mailer;
use crate::oncall::deliver::webhook::Webhook;
use crate::oncall::link::Signer;
use crate::oncall::pager::{Channels, Pager, Parts};
use crate::pipeline::Pipeline;
use crate::process;
use crate::receive;
use crate::room::Room;
use crate::searches::Searches;
use crate::state::State;
use crate::store::{self, Embedded, Store};
use crate::upkeep::{self, Upkeep};
use crate::vault::{self, Vault, names};
use crate::watch::{self, Watch};
use crate::web::{self, App};

/// Runs the collector until it is told to stop.
///
/// # Errors
/// When something cannot be opened; the error names it.
pub fn run(config: &Config) -> Result<()> {
    service::init_logging(&config.log, config.log_format).map_err(anyhow::Error::msg)?;
    process::permit_files();
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
    let keyring = vault::keyring(&config.data, &config.master(), Clock::system())?;
    let state = Arc::new(State::open(&folder.state(), &keyring.get(names::STATE)?)?);
    let exceptions = Exceptions::load(state, Clock::system())?;
    folder.load_authority()?;
    tls(&folder)?;
    channels(config)?;
    correlate::detectors(&config.rules, None, &exceptions)?;
    Ok(())
}

/// How long each class of stored data lasts at the present rate, and what goes next. Also while a collector runs.
///
/// # Errors
/// When the folder of the events cannot be read.
pub fn retention(config: &Config) -> Result<Upkeep> {
    upkeep::outside(config, Timestamp::from_micros(Clock::system().now_micros()))
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

/// How the events are kept.
fn store_config(
    config: &Config,
    folder: &Folder,
    (vault, clock): (&Arc<Vault>, &Clock),
) -> store::Config {
    let clock = clock.clone();
    let now: store::Now = Arc::new(move || Timestamp::from_micros(clock.now_micros()));
    store::Config {
        classes: config.retention.classes(),
        part_documents: config.storage.partition_events,
        part_bytes: config.storage.partition_gigabytes.saturating_mul(1 << 30),
        warm: config.storage.warm(),
        ..store::Config::new(folder.events(), Arc::clone(vault), now)
    }
}

struct Daemon {
    folder: Folder,
    store: Arc<Embedded>,
    app: App,
    memory: Memory,
    inputs: Option<receive::Opened>,
    boot: u64,
}

impl Daemon {
    fn open(config: &Config) -> Result<Self> {
        let folder = Folder::new(&config.data);
        let clock = Clock::system();
        let telemetry = Telemetry::new();
        let vault = Vault::open(&config.data, &config.master(), clock.clone())?;
        let keyring = vault.keyring.clone();
        let state = Arc::new(State::open(&folder.state(), &keyring.get(names::STATE)?)?);
        vault.watch(&state, &folder.state());
        let authority = folder.load_authority()?;
        let auth = Auth::load(Arc::clone(&state), clock.clone())?;
        let alerts = Alerts::load(Arc::clone(&state), clock.clone())?;
        let exceptions = Exceptions::load(Arc::clone(&state), clock.clone())?;
        let pager = Pager::load(Parts {
            state: Arc::clone(&state),
            clock: clock.clone(),
            alerts: alerts.clone(),
            auth: auth.clone(),
            channels: channels(config)?,
            signer: Signer::new(&keyring.get(names::LINKS)?),
            telemetry: telemetry.clone(),
            console: config.console_url.clone(),
        })?;
        let store_config = store_config(config, &folder, (&vault, &clock));
        let store = Embedded::open(store_config).context("cannot open the event store")?;
        let store = Arc::new(store);
        let now = Timestamp::from_micros(clock.now_micros());
        match audit::older::take_over(&vault.audit, store.as_ref(), now) {
            Ok(0) => {}
            Ok(records) => tracing::info!(records, "earlier audit records taken over"),
            Err(error) => {
                let error = service::causes(&error);
                tracing::error!(error, "earlier audit records are not taken over yet");
            }
        }
        let memory = Memory::new(config.data.clone(), keyring.file_key(names::MEMORY)?);
        let boot = u64::from_le_bytes(keys::random::<8>()?);
        let inputs = (!config.receive.is_empty())
            .then(|| receive::open(&config.receive, &config.data, memory.clone()))
            .transpose()?;
        let pipeline = Pipeline::new(
            Arc::clone(&store) as Arc<dyn Store>,
            (alerts.clone(), exceptions.clone()),
            (clock.clone(), telemetry.clone()),
            (AgentId::new("collector")?, boot),
            correlate::detectors(&config.rules, Some(&memory), &exceptions)?,
        );
        let app = App {
            auth,
            tokens: Tokens::load(Arc::clone(&state), clock.clone())?,
            enrolments: Arc::new(Enrolments::new(Arc::clone(&state), clock.clone())),
            searches: Searches::load(Arc::clone(&state), clock.clone())?,
            agents: Agents::load(Arc::clone(&state), clock.clone())?,
            alerts,
            exceptions,
            hunts: Hunts::default(),
            ledgers: Ledgers::load(state, Timestamp::from_micros(clock.now_micros()))?,
            limits: web::Limits::default(),
            refused: web::Refused::default(),
            retention: Arc::new(config.retention.clone()),
            storage: Arc::new(config.storage.clone()),
            rules: Arc::new(config.rules.clone()),
            pager,
            pipeline,
            vault,
            bulk_ids: Arc::default(),
            receiving: inputs.as_ref().map(receive::Opened::receiving).unwrap_or_default(),
            clock,
            telemetry,
            authority: link::pki::fingerprint(authority.certificate())?,
            enrol_at: format!("https://{}", config.link_names.first().map_or("", String::as_str))
                .into(),
            shutdown: Shutdown::new(),
        };
        Ok(Self { folder, store, app, memory, inputs, boot })
    }

    fn watch(&self, config: &Config) -> Watch {
        let keep = config.retention.keep_free_megabytes.map(|megabytes| megabytes << 20);
        let room = Room::new(&config.data, keep);
        Watch::new(self.app.clone(), room, self.memory.clone(), config.retention.clone())
    }

    async fn serve(mut self, config: &Config) -> Result<()> {
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
        let watch = tokio::spawn(self.watch(config).run());
        let inputs = match self.inputs.take() {
            Some(inputs) => {
                let (pipeline, clock) = (Arc::clone(&app.pipeline), app.clock.clone());
                Some(inputs.start(pipeline, clock, app.shutdown.clone(), self.boot).await?)
            }
            None => None,
        };
        tracing::info!(web = %config.web, link = %config.link, "collector is ready");

        app.shutdown.wait().await;
        app.hunts.stop();
        agents.await.context("link failed")?.context("link failed")?;
        web.await.context("web failed")?.context("web failed")?;
        pager.await.context("pager failed")?;
        watch.await.context("watch failed")?;
        if let Some(thread) = inputs {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the thread of the inputs panicked");
            }
        }
        watch::keep(&app, &self.memory).await;
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
