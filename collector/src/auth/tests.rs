//! Users, sessions, tokens: who is let in, for how long, and who is not.

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
fn tokens_made_by_another_process_work_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let key = Zeroizing::new([7; 32]);
        Arc::new(State::open(&folder.path().join("state.db"), &key).unwrap())
    };
    let clock = Clock::system();
    let running = Tokens::load(open(), clock.clone()).unwrap();
    for name in ["first", "second"] {
        // Another connection is what another process is to the database.
        let beside = Tokens::load(open(), clock.clone()).unwrap();
        let text = beside.create(name, vec![Scope::Read], "local", None).unwrap();
        assert_eq!(running.find(text.expose()).unwrap().name, name);
        let own = running.create(&format!("own-{name}"), vec![Scope::Read], "a", None).unwrap();
        assert_eq!(running.find(own.expose()).unwrap().scopes, [Scope::Read]);
        assert!(beside.remove(name).unwrap());
        assert!(running.find("pkt_guessed").is_none());
        assert!(running.find(text.expose()).is_none(), "read again without the removed one");
        assert!(running.find(own.expose()).is_some());
    }
    let names: Vec<String> = running.list().into_iter().map(|token| token.name).collect();
    assert_eq!(names, ["own-first", "own-second"]);
}

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

#[test]
fn waits_double_end_and_never_exceed_a_quarter_of_an_hour() {
    let (_folder, state, clock, auth) = fixture();
    let right = auth.add_user("alice", Role::Viewer, "").unwrap();
    let attempt = |text: &Secret| auth.login(("alice", text), "", "").map(|_| ());
    let locked = |auth: &Auth| match auth.login(("alice", &right), "", "") {
        Err(AuthError::Locked { seconds }) => seconds,
        other => panic!("{other:?}"),
    };
    for _ in 1..FREE_FAILURES {
        assert!(matches!(attempt(&secret("x")), Err(AuthError::Credentials)));
    }
    for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
        assert!(matches!(attempt(&secret("x")), Err(AuthError::Credentials)));
        // The wait is told rounded up to the next second.
        assert_eq!(locked(&auth), expected + 1);
        // Attempts while locked neither verify nor prolong.
        assert_eq!(locked(&auth), expected + 1);
        clock.advance(expected * 1_000_000);
    }
    let again = Auth::load(state, clock.clone()).unwrap();
    assert!(matches!(again.login(("alice", &secret("x")), "", ""), Err(AuthError::Credentials)));
    assert_eq!(locked(&again), 901, "a restart does not reset it");
    clock.advance(900 * 1_000_000);
    again.login(("alice", &right), "", "").unwrap();
    assert!(matches!(again.login(("alice", &secret("x")), "", ""), Err(AuthError::Credentials)));
    again.login(("alice", &right), "", "").unwrap();
}

#[test]
fn guessing_the_old_password_in_a_session_counts_too() {
    let (_folder, _state, _clock, auth) = fixture();
    let first = auth.add_user("alice", Role::Viewer, "").unwrap();
    let (_, session) = auth.login(("alice", &first), "", "").unwrap();
    for _ in 0..FREE_FAILURES {
        let refused = auth.change_password(&session, &secret("wrong"), &secret("x"));
        assert!(matches!(refused, Err(AuthError::Credentials)));
    }
    assert!(matches!(auth.login(("alice", &first), "", ""), Err(AuthError::Locked { .. })));
}

#[test]
fn new_passwords_are_checked_before_they_are_taken() {
    let (_folder, _state, _clock, auth) = fixture();
    let first = auth.add_user("alice", Role::Viewer, "").unwrap();
    let (_, session) = auth.login(("alice", &first), "", "").unwrap();
    let change = |old: &Secret, new: &str| {
        auth.change_password(&session, old, &secret(new)).map_err(|error| error.to_string())
    };
    for (new, words) in [
        ("elevenchars", "a password needs at least 12 characters"),
        ("", "a password needs at least 12 characters"),
        ("aaaabbbbcccc", "a password needs at least five different characters"),
        ("I am ALICE indeed", "a password must not contain the user name"),
        ("password123456", "this password is too common"),
        (first.expose(), "the new password is the old one"),
    ] {
        assert_eq!(change(&first, new).unwrap_err(), words, "{new}");
    }
    assert!(change(&first, &"ab cd e".repeat(40)).unwrap_err().contains("at most 256"));
    change(&first, "twelve chars").unwrap();
    change(&secret("twelve chars"), "Пароль из слов 東京").unwrap();
    assert!(auth.login(("alice", &secret("Пароль из слов 東京")), "", "").is_ok());
    assert!(auth.login(("alice", &secret("twelve chars")), "", "").is_err());
}

#[test]
fn sessions_at_their_limits_and_when_the_clock_jumps() {
    let (_folder, _state, clock, auth) = fixture();
    let first = auth.add_user("alice", Role::Viewer, "").unwrap();
    let login = || auth.login(("alice", &first), "", "").unwrap().0;
    let cookie = login();
    clock.advance(SESSION_IDLE * 1_000_000);
    assert!(auth.session(cookie.expose()).is_some(), "exactly at the limit");
    clock.advance(SESSION_IDLE * 1_000_000 + 1);
    assert!(auth.session(cookie.expose()).is_none());
    clock.advance(-DAY);
    assert!(auth.session(cookie.expose()).is_none(), "an ended session does not come back");
    let cookie = login();
    clock.advance(-DAY);
    assert!(auth.session(cookie.expose()).is_some(), "a clock set back ends none");
    for wrong in ["", "x", &cookie.expose().to_uppercase(), &format!("{} ", cookie.expose())] {
        assert!(auth.session(wrong).is_none(), "{wrong:?}");
    }
}

#[test]
fn names_on_both_sides_of_the_rules() {
    let (_folder, _state, _clock, auth) = fixture();
    for name in ["a", "alice.b-c_d", "0", &"x".repeat(64)] {
        auth.add_user(name, Role::Viewer, "").unwrap();
    }
    for name in ["", "A", "a b", "a/b", "a\0", "ü", "a\n", &"x".repeat(65), "<script>"] {
        let refused = auth.add_user(name, Role::Viewer, "");
        assert!(matches!(refused, Err(AuthError::Name)), "{name:?}");
    }
    assert_eq!(auth.users().len(), 4);
    assert!(matches!(auth.remove_user("nobody"), Err(AuthError::Unknown { .. })));
}

#[test]
fn a_demoted_admin_keeps_the_session_with_fewer_rights() {
    let (_folder, _state, _clock, auth) = fixture();
    let first = auth.add_user("alice", Role::Admin, "").unwrap();
    auth.add_user("bob", Role::Admin, "").unwrap();
    let (cookie, _) = auth.login(("alice", &first), "", "").unwrap();
    auth.change_user("alice", Role::Viewer, "a@example.com").unwrap();
    let (_, user) = auth.session(cookie.expose()).unwrap();
    assert_eq!((user.role, user.mail.as_str()), (Role::Viewer, "a@example.com"));
    auth.remove_user("alice").unwrap();
    auth.add_user("alice", Role::Admin, "").unwrap();
    assert!(auth.session(cookie.expose()).is_none(), "a new user of the name inherits no session");
}

#[test]
fn roles_and_scopes_are_named_in_the_state_as_they_are_documented() {
    let roles = [Role::Viewer, Role::Responder, Role::Analyst, Role::Admin];
    let names: Vec<_> = roles.iter().map(|role| serde_json::to_string(role).unwrap()).collect();
    assert_eq!(names, ["\"viewer\"", "\"responder\"", "\"analyst\"", "\"admin\""]);
    assert!(roles.windows(2).all(|pair| pair[0] < pair[1]), "each includes those before it");
}

#[test]
fn removed_tokens_stop_at_once_and_their_name_is_free_again() {
    let (_folder, state, clock, _auth) = fixture();
    let tokens = Tokens::load(state, clock).unwrap();
    let text = tokens.create("t", vec![Scope::Read], "alice", None).unwrap();
    assert!(tokens.remove("t").unwrap());
    assert!(tokens.find(text.expose()).is_none());
    assert!(!tokens.remove("t").unwrap());
    let second = tokens.create("t", vec![Scope::Ingest], "bob", None).unwrap();
    assert_ne!(text.expose(), second.expose());
    assert!(tokens.find(text.expose()).is_none());
    for name in ["", "a b", "a/b", &"x".repeat(300)] {
        assert!(matches!(tokens.create(name, vec![], "a", None), Err(AuthError::Name)), "{name:?}");
    }
    // An expiry in the past is dead from the start.
    let gone = Timestamp::from_micros(START);
    let dead = tokens.create("dead", vec![Scope::Read], "a", Some(gone)).unwrap();
    assert!(tokens.find(dead.expose()).is_none());
}

#[test]
fn enrolment_tokens_last_between_a_second_and_a_week() {
    let (_folder, state, clock, _auth) = fixture();
    let enrolments = Enrolments::new(state, clock.clone());
    let week = enrolment::LONGEST;
    for (asked, given) in
        [(i64::MIN, 1), (-5, 1), (0, 1), (60, 60), (week, week), (week + 1, week), (i64::MAX, week)]
    {
        let (one, text) = enrolments.create(asked, "a").unwrap();
        assert_eq!(one.expires.micros(), clock.now_micros() + given * 1_000_000, "{asked}");
        clock.advance(given * 1_000_000 - 1);
        if asked == 60 {
            assert!(enrolments.take(&one.id, text.expose()).unwrap(), "the last moment");
        } else {
            clock.advance(1);
            assert!(!enrolments.take(&one.id, text.expose()).unwrap(), "{asked}");
        }
    }
}

#[test]
fn a_token_taken_by_many_at_once_is_taken_once() {
    let (_folder, state, clock, _auth) = fixture();
    let enrolments = Enrolments::new(state, clock);
    let (one, text) = enrolments.create(60, "a").unwrap();
    let taken = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mine = enrolments.take(&one.id, text.expose()).unwrap();
                taken.fetch_add(usize::from(mine), std::sync::atomic::Ordering::SeqCst);
            });
        }
    });
    assert_eq!(taken.into_inner(), 1);
}
