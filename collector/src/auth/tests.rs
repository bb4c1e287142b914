use super::enrolment::Enrolments;
use super::token::{Scope, Tokens};
use super::*;
use zeroize::Zeroizing;

const START: i64 = 1_795_359_845_000_000;
const DAY: i64 = 86_400_000_000;

fn fixture() -> (tempfile::TempDir, Arc<State>, Clock, Auth) {
    let folder = tempfile::tempdir().unwrap();
    let key = Zeroizing::new([1; 32]);
    let state = Arc::new(State::open(&folder.path().join("state.db"), &key).unwrap());
    let clock = Clock::manual(START);
    let auth = Auth::load(Arc::clone(&state), clock.clone()).unwrap();
    (folder, state, clock, auth)
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

#[test]
fn login_change_password_logout() {
    let (_folder, state, clock, auth) = fixture();
    let first = auth.add_user("alice", Role::Admin, "alice@example.com").unwrap();
    assert!(auth.user("alice").unwrap().must_change);
    let (cookie, session) = auth.login(("alice", &first), "10.0.0.1", "browser").unwrap();
    let (other, _) = auth.login(("alice", &first), "10.0.0.2", "browser").unwrap();
    assert_eq!(auth.session(cookie.expose()).unwrap().1.name, "alice");
    let new = secret("correct horse battery");
    assert!(matches!(
        auth.change_password(&session, &secret("wrong"), &new),
        Err(AuthError::Credentials)
    ));
    assert!(matches!(
        auth.change_password(&session, &first, &secret("short")),
        Err(AuthError::Password(PasswordProblem::Short))
    ));
    auth.change_password(&session, &first, &new).unwrap();
    assert!(!auth.user("alice").unwrap().must_change);
    assert!(auth.session(other.expose()).is_none(), "other sessions end");
    // A restart keeps session and password.
    let auth = Auth::load(state, clock).unwrap();
    assert!(auth.session(cookie.expose()).is_some());
    assert!(auth.login(("alice", &first), "", "").is_err());
    auth.logout(cookie.expose());
    assert!(auth.session(cookie.expose()).is_none());
}

#[test]
fn sessions_end_by_themselves() {
    let (_folder, _state, clock, auth) = fixture();
    let first = auth.add_user("alice", Role::Viewer, "").unwrap();
    let (cookie, _) = auth.login(("alice", &first), "", "").unwrap();
    clock.advance(11 * DAY / 24);
    assert!(auth.session(cookie.expose()).is_some());
    clock.advance(13 * DAY / 24);
    assert!(auth.session(cookie.expose()).is_none(), "idle");
    let (cookie, _) = auth.login(("alice", &first), "", "").unwrap();
    for _ in 0..14 {
        clock.advance(DAY / 2);
        assert!(auth.session(cookie.expose()).is_some());
    }
    clock.advance(DAY / 24);
    assert!(auth.session(cookie.expose()).is_none(), "a week is the most");
}

#[test]
fn guessing_gets_slower_and_names_do_not_leak() {
    let (_folder, _state, clock, auth) = fixture();
    let right = auth.add_user("alice", Role::Viewer, "").unwrap();
    let attempt = |name: &str, text: &Secret| {
        auth.login((name, text), "", "").map(|_| ()).map_err(|error| error.to_string())
    };
    let unknown = attempt("nobody", &secret("x")).unwrap_err();
    for _ in 0..FREE_FAILURES {
        assert_eq!(attempt("alice", &secret("x")).unwrap_err(), unknown);
    }
    let locked = attempt("alice", &right).unwrap_err();
    assert!(locked.starts_with("too many failed logins"), "{locked}");
    clock.advance(2_000_000);
    attempt("alice", &right).unwrap();
}

#[test]
fn the_last_admin_stays_and_removed_users_are_out() {
    let (_folder, _state, _clock, auth) = fixture();
    let first = auth.add_user("alice", Role::Admin, "").unwrap();
    assert!(matches!(auth.remove_user("alice"), Err(AuthError::LastAdmin)));
    assert!(matches!(auth.change_user("alice", Role::Viewer, ""), Err(AuthError::LastAdmin)));
    assert!(matches!(auth.add_user("alice", Role::Viewer, ""), Err(AuthError::Exists { .. })));
    assert!(matches!(auth.add_user("Bad Name", Role::Viewer, ""), Err(AuthError::Name)));
    auth.add_user("bob", Role::Admin, "").unwrap();
    let (cookie, _) = auth.login(("alice", &first), "", "").unwrap();
    auth.remove_user("alice").unwrap();
    assert!(auth.session(cookie.expose()).is_none());
}

#[test]
fn tokens_are_found_by_their_text_until_they_expire() {
    let (_folder, state, clock, _auth) = fixture();
    let tokens = Tokens::load(Arc::clone(&state), clock.clone()).unwrap();
    let until = Timestamp::from_micros(START + DAY);
    let text = tokens.create("rsyslog", vec![Scope::Ingest], "alice", Some(until)).unwrap();
    assert!(text.expose().starts_with(PREFIX_OF_TOKENS));
    let again = Tokens::load(state, clock.clone()).unwrap();
    assert_eq!(again.find(text.expose()).unwrap().name, "rsyslog");
    assert!(again.find("pkt_wrong").is_none());
    assert!(again.create("rsyslog", vec![], "alice", None).is_err());
    clock.advance(2 * DAY);
    assert!(again.find(text.expose()).is_none());
    assert!(again.remove("rsyslog").unwrap() && again.list().is_empty());
}

const PREFIX_OF_TOKENS: &str = "pkt_";

#[test]
fn enrolment_tokens_work_once_and_for_a_while() {
    let (_folder, state, clock, _auth) = fixture();
    let enrolments = Enrolments::new(state, clock.clone());
    let (one, text) = enrolments.create(3600, "alice").unwrap();
    assert!(!enrolments.take(&one.id, "wrong").unwrap());
    assert!(!enrolments.take("unknown", text.expose()).unwrap());
    assert!(enrolments.take(&one.id, text.expose()).unwrap());
    assert!(!enrolments.take(&one.id, text.expose()).unwrap(), "used up");
    let (two, text) = enrolments.create(3600, "alice").unwrap();
    clock.advance(DAY);
    assert!(!enrolments.take(&two.id, text.expose()).unwrap(), "expired");
}

#[test]
fn secrets_are_not_printed() {
    let (_folder, _state, _clock, auth) = fixture();
    assert_eq!(format!("{auth:?}"), "Auth(..)");
}
