//! The contract of the API: codes and their statuses, names on the wire, what is refused.

use super::*;
use serde_json::{Value, json};

const CODES: [(ErrorCode, &str, u16); 10] = [
    (ErrorCode::BadRequest, "bad_request", 400),
    (ErrorCode::Unauthenticated, "unauthenticated", 401),
    (ErrorCode::PasswordChangeRequired, "password_change_required", 403),
    (ErrorCode::Forbidden, "forbidden", 403),
    (ErrorCode::NotFound, "not_found", 404),
    (ErrorCode::Conflict, "conflict", 409),
    (ErrorCode::TooLarge, "too_large", 413),
    (ErrorCode::TooMany, "too_many", 429),
    (ErrorCode::Internal, "internal", 500),
    (ErrorCode::Unavailable, "unavailable", 503),
];

#[test]
fn codes_have_a_name_and_a_status() {
    for (code, name, status) in CODES {
        assert_eq!(serde_json::to_value(code).unwrap(), json!(name));
        assert_eq!(serde_json::from_value::<ErrorCode>(json!(name)).unwrap(), code);
        assert_eq!(code.status(), status);
    }
    assert!(serde_json::from_value::<ErrorCode>(json!("teapot")).is_err(), "the list is closed");
}

/// Whether a request of this type takes the value.
fn takes<T: serde::de::DeserializeOwned>(value: Value) -> bool {
    serde_json::from_value::<T>(value).is_ok()
}

#[test]
fn requests_take_what_is_documented_and_refuse_unknown_keys() {
    assert!(takes::<Login>(json!({"name": "a", "password": "b"})));
    assert!(!takes::<Login>(json!({"name": "a"})));
    assert!(!takes::<Login>(json!({"name": "a", "password": "b", "admin": true})));
    assert!(takes::<ChangePassword>(json!({"old": "a", "new": "b"})));
    assert!(!takes::<ChangePassword>(json!({"old": "a", "new": "b", "user": "admin"})));
    assert!(takes::<AlertAction>(json!({"action": "acknowledge"})));
    assert!(takes::<AlertAction>(json!({"action": "close", "verdict": "benign", "note": "x"})));
    assert!(!takes::<AlertAction>(json!({"verdict": "benign"})));
    assert!(takes::<AlertFilter>(json!({})));
    assert!(!takes::<AlertFilter>(json!({"limit": -1})));
    assert!(!takes::<AlertFilter>(json!({"sort": "x"})));
    assert!(takes::<UserChange>(json!({"role": "viewer"})));
    assert!(!takes::<UserChange>(json!({"name": "a"})), "a role is always given");
    assert!(takes::<NewToken>(json!({"name": "t", "scopes": [], "days": 1})));
    assert!(!takes::<NewToken>(json!({"name": "t", "scopes": "read"})));
    assert!(!takes::<NewToken>(json!({"name": "t", "scopes": [], "days": -1})));
    assert!(!takes::<NewEnrolment>(json!({})));
    assert!(!takes::<NewEnrolment>(json!({"minutes": 4_294_967_296_u64})));
    assert!(!takes::<AgentAction>(json!({"revoked": "yes"})));
}

#[test]
fn what_is_absent_has_its_documented_meaning() {
    let filter: AlertFilter = serde_json::from_value(json!({})).unwrap();
    assert_eq!(filter, AlertFilter::default());
    let action: AlertAction = serde_json::from_value(json!({"action": "reopen"})).unwrap();
    assert_eq!((action.verdict, action.note.as_str()), (None, ""));
    let token: NewToken = serde_json::from_value(json!({"name": "t", "scopes": ["read"]})).unwrap();
    assert_eq!(token.days, None);
}

#[test]
fn answers_are_read_back_as_they_were_written() {
    let session = SessionInfo {
        user: "alice".into(),
        role: "admin".into(),
        csrf: "c".into(),
        must_change: true,
    };
    let text = serde_json::to_string(&session).unwrap();
    assert_eq!(text, r#"{"user":"alice","role":"admin","csrf":"c","must_change":true}"#);
    assert_eq!(serde_json::from_str::<SessionInfo>(&text).unwrap(), session);
    let body = ErrorBody { code: ErrorCode::Conflict, message: "taken".into() };
    let text = serde_json::to_string(&body).unwrap();
    assert_eq!(text, r#"{"code":"conflict","message":"taken"}"#);
    assert_eq!(serde_json::from_str::<ErrorBody>(&text).unwrap(), body);
}
