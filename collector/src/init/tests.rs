//! A new collector, the check of one, and tokens made beside it.

use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_new_collector_can_be_opened_and_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let clock = Clock::system();
    let made = init(&data, &["127.0.0.1".to_owned()], "a@example.com", &clock).unwrap();
    assert_eq!(made.password.expose().len(), 24);
    assert_eq!(format!("{made:?}"), "Made(..)");
    let paths = Folder::new(&data);
    paths.load_authority().unwrap();
    paths.load_server().unwrap();
    MasterKey::load(&paths.master_key()).unwrap();
    for path in [paths.master_key(), paths.authority_key(), paths.server_key()] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o077, 0);
    }
    let again = init(&data, &["x".to_owned()], "", &clock).unwrap_err().to_string();
    assert!(again.ends_with("holds a collector already"), "{again}");
}

use crate::auth::token::Tokens;
use crate::config::Config;
use crate::oncall::pager::{Channels, Parts};
use crate::{local, run};

fn made(mail: &str) -> (tempfile::TempDir, Config, Made) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let names = ["collector.example.com".to_owned(), "127.0.0.1".to_owned()];
    let made = init(&data, &names, mail, &Clock::system()).unwrap();
    let text = format!("data = {data:?}\nconsole_url = \"https://c\"\nlink_names = [\"c:8444\"]\n");
    let config = service::config::parse("c.toml", &text).unwrap();
    (folder, config, made)
}

fn auth(config: &Config) -> (Arc<State>, Auth) {
    let folder = Folder::new(&config.data);
    let keyring = vault::keyring(&config.data, &config.master(), Clock::system()).unwrap();
    let state = State::open(&folder.state(), &keyring.get(names::STATE).unwrap()).unwrap();
    let state = Arc::new(state);
    let auth = Auth::load(Arc::clone(&state), Clock::system()).unwrap();
    (state, auth)
}

#[test]
fn the_first_administrator_can_log_in_and_is_on_call_when_reachable() {
    for (mail, on_call) in [("a@example.com", Some("admin")), ("", None)] {
        let (_folder, config, made) = made(mail);
        let (state, auth) = auth(&config);
        auth.login(("admin", &made.password), "", "").unwrap();
        assert!(auth.user("admin").unwrap().must_change);
        let alerts = crate::alert::Alerts::load(Arc::clone(&state), Clock::system()).unwrap();
        let pager = crate::oncall::pager::Pager::load(Parts {
            state,
            clock: Clock::system(),
            alerts,
            auth,
            channels: Channels::default(),
            signer: crate::oncall::link::Signer::new(&zeroize::Zeroizing::new([1; 32])),
            telemetry: service::Telemetry::new(),
            console: String::new(),
        })
        .unwrap();
        let schedule = pager.schedule();
        let now = Timestamp::from_micros(Clock::system().now_micros());
        assert_eq!(schedule.as_ref().and_then(|one| one.on_call(now, 0)), on_call);
    }
}

#[test]
fn names_that_no_certificate_can_carry_leave_no_collector() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    assert!(init(&data, &["bad name\u{e9}".to_owned()], "", &Clock::system()).is_err());
    assert!(!Folder::new(&data).master_key().exists());
}

#[test]
fn a_check_finds_what_is_missing_damaged_or_exposed() {
    let (_folder, config, _) = made("");
    run::check(&config).unwrap();
    let paths = Folder::new(&config.data);
    let harm = |path: &Path, words: &str| {
        let kept = fs::read(path).unwrap();
        let mode = fs::metadata(path).unwrap().permissions();
        fs::remove_file(path).unwrap();
        let error = format!("{:#}", run::check(&config).unwrap_err());
        assert!(error.contains(words), "{} gone: {error}", path.display());
        fs::write(path, b"garbage").unwrap();
        fs::set_permissions(path, mode.clone()).unwrap();
        assert!(run::check(&config).is_err(), "{} damaged", path.display());
        fs::write(path, kept).unwrap();
        fs::set_permissions(path, mode).unwrap();
        run::check(&config).unwrap();
    };
    harm(&paths.master_key(), "master.key");
    harm(&paths.authority_key(), "authority.key; was the collector made with");
    harm(&paths.authority(), "authority.pem");
    harm(&paths.server_key(), "server.key");
    harm(&paths.server(), "server.pem");
    fs::set_permissions(paths.master_key(), fs::Permissions::from_mode(0o640)).unwrap();
    let error = run::check(&config).unwrap_err().to_string();
    assert!(error.contains("can be read by others; run: chmod 600"), "{error}");
}

#[test]
fn a_check_tells_of_channels_and_rules_that_cannot_work() {
    let (_folder, config, _) = made("");
    let with = |extra: &str| {
        let text = format!(
            "data = {:?}\nconsole_url = \"https://c\"\nlink_names = [\"c:8444\"]\n{extra}",
            config.data
        );
        let config = service::config::parse::<Config>("c.toml", &text).unwrap();
        format!("{:#}", run::check(&config).unwrap_err())
    };
    for (extra, words) in [
        ("[mail]\nhost = \"m\"\nfrom = \"nobody\"\n", "mail.from: \"nobody\" is no mail address"),
        (
            "[mail]\nhost = \"m\"\nfrom = \"a@b.c\"\nsecurity = \"none\"\n",
            "only for a server on this machine",
        ),
        (
            "[mail]\nhost = \"m\"\nfrom = \"a@b.c\"\nauthority = \"/no/such.pem\"\n",
            "cannot read /no/such.pem",
        ),
        (
            "[mail]\nhost = \"m\"\nfrom = \"a@b.c\"\nuser = \"u\"\npassword = { file = \"/no/such\" }\n",
            "mail.password",
        ),
        ("[webhook]\nurl = \"http://example.com/\"\n", "is not https://"),
        (
            "[webhook]\nurl = \"https://c/\"\nsecret = { env = \"PIKETT_NO_SUCH\" }\n",
            "webhook.secret",
        ),
        ("[rules]\nsigma = [\"/no/such\"]\n", "/no/such"),
        ("[rules]\nanomaly = [\"/no/such\"]\n", "/no/such"),
    ] {
        let error = with(extra);
        assert!(error.contains(words), "{extra}: {error}");
    }
}

#[test]
fn tokens_made_beside_the_collector_are_known_to_it() {
    let (_folder, config, _) = made("");
    let text = local::token(&config, "rsyslog", &["ingest".to_owned(), "read".to_owned()]).unwrap();
    let (state, _) = auth(&config);
    let found =
        Tokens::load(Arc::clone(&state), Clock::system()).unwrap().find(text.expose()).unwrap();
    assert_eq!(
        (found.name.as_str(), found.scopes.len(), found.by.as_str()),
        ("rsyslog", 2, "local")
    );
    let error = local::token(&config, "x", &["root".to_owned()]).unwrap_err().to_string();
    assert_eq!(error, "\"root\" is no scope: ingest, read, respond, tune, metrics");
    assert!(local::token(&config, "rsyslog", &["read".to_owned()]).is_err(), "the name is taken");
    let text = local::enrolment_token(&config, 5).unwrap();
    let token = text.expose().parse::<link::enrol::Token>().unwrap();
    let enrolments = crate::auth::enrolment::Enrolments::new(state, Clock::system());
    assert!(enrolments.take(&token.id, token.secret.expose()).unwrap());
}
