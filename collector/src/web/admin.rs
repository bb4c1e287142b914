//! Users and tokens.

use api::{ErrorCode, NewToken, Revealed, UserChange, UserInfo};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::access::Caller;
use super::session::role_name;
use super::{App, Failure};
use crate::auth::Role;
use crate::auth::token::Scope;
use crate::custody::{self, Proven};

fn role(name: &str) -> Result<Role, Failure> {
    [Role::Viewer, Role::Responder, Role::Analyst, Role::Admin]
        .into_iter()
        .find(|role| role_name(*role) == name)
        .ok_or_else(|| Failure::bad("role is viewer, responder, analyst or admin"))
}

fn mail(text: &str) -> Result<&str, Failure> {
    let plain = text.chars().all(|c| !c.is_control() && !c.is_whitespace());
    if text.is_empty() || (plain && text.contains('@') && text.len() <= 254) {
        Ok(text)
    } else {
        Err(Failure::bad("mail is no address"))
    }
}

pub(super) async fn deletions(State(app): State<App>) -> Result<Json<Vec<Proven>>, Failure> {
    let vault = app.vault;
    let list = move || custody::deletions(vault.journal.path(), &vault.keyring);
    let found = tokio::task::spawn_blocking(list).await.map_err(|e| Failure::internal(&e))?;
    Ok(Json(found.map_err(|error| Failure::internal(&*error))?))
}

pub(super) async fn users(State(app): State<App>) -> Json<Vec<UserInfo>> {
    let info = |user: crate::auth::User| UserInfo {
        role: role_name(user.role).to_owned(),
        created: user.created.to_string(),
        last_login: user.last_login.map(|time| time.to_string()),
        must_change: user.must_change,
        name: user.name,
        mail: user.mail,
    };
    Json(app.auth.users().into_iter().map(info).collect())
}

pub(super) async fn add_user(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Json(change): Json<UserChange>,
) -> Result<Json<Revealed>, Failure> {
    let (role, mail) = (role(&change.role)?, mail(&change.mail)?.to_owned());
    let (auth, name) = (app.auth.clone(), change.name.clone());
    let added = tokio::task::spawn_blocking(move || auth.add_user(&name, role, &mail)).await;
    let password = added.map_err(|error| Failure::internal(&error))??;
    tracing::info!(user = change.name, who = caller.name(), "user added");
    Ok(Json(Revealed { name: change.name, secret: password.expose().to_owned() }))
}

pub(super) async fn change_user(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    Json(change): Json<UserChange>,
) -> Result<Json<Value>, Failure> {
    app.auth.change_user(&name, role(&change.role)?, mail(&change.mail)?)?;
    tracing::info!(user = name, role = change.role, who = caller.name(), "user changed");
    Ok(Json(json!({})))
}

pub(super) async fn remove_user(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Failure> {
    app.auth.remove_user(&name)?;
    tracing::info!(user = name, who = caller.name(), "user removed");
    Ok(Json(json!({})))
}

pub(super) async fn tokens(State(app): State<App>) -> Json<Value> {
    let tokens = app.tokens.list().into_iter().map(|token| {
        json!({
            "name": token.name, "scopes": token.scopes, "created": token.created,
            "by": token.by, "expires": token.expires,
        })
    });
    Json(Value::Array(tokens.collect()))
}

pub(super) async fn add_token(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Json(new): Json<NewToken>,
) -> Result<Json<Revealed>, Failure> {
    let scope = |name: &String| {
        serde_json::from_value::<Scope>(Value::String(name.clone()))
            .map_err(|_| Failure::bad("scopes are ingest, read, respond, tune and metrics"))
    };
    let scopes: Vec<Scope> = new.scopes.iter().map(scope).collect::<Result<_, _>>()?;
    if scopes.is_empty() {
        return Err(Failure::bad("a token needs at least one scope"));
    }
    let expires = new.days.map(|days| app.now().plus_seconds(i64::from(days) * 86_400));
    let secret = app.tokens.create(&new.name, scopes, caller.name(), expires)?;
    tracing::info!(token = new.name, who = caller.name(), "token made");
    Ok(Json(Revealed { name: new.name, secret: secret.expose().to_owned() }))
}

pub(super) async fn remove_token(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Failure> {
    if !app.tokens.remove(&name)? {
        return Err(Failure::new(ErrorCode::NotFound, "no such token"));
    }
    tracing::info!(token = name, who = caller.name(), "token removed");
    Ok(Json(json!({})))
}
