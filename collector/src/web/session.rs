//! Login, logout, own password.

use api::{ChangePassword, Login, SessionInfo};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, RequestExt};
use service::Secret;

use super::access::{COOKIE, Caller, address, cookie};
use super::{App, Failure};
use crate::auth::{Role, Session, User};

/// A role's name.
pub(super) const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Responder => "responder",
        Role::Analyst => "analyst",
        Role::Admin => "admin",
    }
}

fn info(session: &Session, user: &User) -> SessionInfo {
    SessionInfo {
        user: user.name.clone(),
        role: role_name(user.role).to_owned(),
        csrf: session.csrf.clone(),
        must_change: user.must_change,
    }
}

/// Runs what takes long (argon2) beside the runtime.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::internal(&error))
}

pub(super) async fn login(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let address = address(&request);
    let agent = request.headers().get(header::USER_AGENT);
    let agent = agent.and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let Json(login): Json<Login> =
        request.extract().await.map_err(|error: axum::extract::rejection::JsonRejection| {
            Failure::bad(error.body_text())
        })?;
    let auth = app.auth.clone();
    let from = address.clone();
    let name = login.name.clone();
    let outcome = aside(move || {
        let password = Secret::new(login.password);
        auth.login((&login.name, &password), &from, &agent)
    })
    .await?;
    let (secret, session) = match outcome {
        Ok(done) => done,
        Err(error) => {
            tracing::warn!(name, address, %error, "login failed");
            app.telemetry.count("pikett_logins_failed", "failed logins", &[], 1);
            return Err(error.into());
        }
    };
    tracing::info!(name, address, "login");
    let user = app.auth.user(&session.user).ok_or_else(|| Failure::bad("user is gone"))?;
    let set = format!(
        "{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=604800",
        secret.expose()
    );
    let mut response = Json(info(&session, &user)).into_response();
    let value = HeaderValue::from_str(&set).map_err(|error| Failure::internal(&error))?;
    response.headers_mut().insert(header::SET_COOKIE, value);
    Ok(response)
}

pub(super) async fn session(
    Extension(caller): Extension<Caller>,
) -> Result<Json<SessionInfo>, Failure> {
    let (session, user) = caller.person()?;
    Ok(Json(info(session, user)))
}

pub(super) async fn logout(State(app): State<App>, request: Request) -> Response {
    if let Some(cookie) = cookie(request.headers()) {
        app.auth.logout(cookie);
    }
    let gone = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    ([(header::SET_COOKIE, gone)], Json(serde_json::json!({}))).into_response()
}

pub(super) async fn password(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Json(change): Json<ChangePassword>,
) -> Result<Json<SessionInfo>, Failure> {
    let (session, user) = caller.person()?;
    let (session, name) = (session.clone(), user.name.clone());
    let auth = app.auth.clone();
    let begun = session.clone();
    aside(move || auth.change_password(&begun, &Secret::new(change.old), &Secret::new(change.new)))
        .await??;
    tracing::info!(name, "password changed");
    let user = app.auth.user(&name).ok_or_else(|| Failure::bad("user is gone"))?;
    Ok(Json(info(&session, &user)))
}
