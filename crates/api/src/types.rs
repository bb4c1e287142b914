//! Requests and answers. Times are text in the form of `event::Timestamp`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a request failed: a closed list, each with its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// 400: the request is not what it should be.
    BadRequest,
    /// 401: nobody is logged in, or the token is not good.
    Unauthenticated,
    /// 403: the password must be changed first.
    PasswordChangeRequired,
    /// 403: not allowed for this role or token, or the CSRF header is missing.
    Forbidden,
    /// 404: no such thing.
    NotFound,
    /// 409: it does not fit the state of the thing.
    Conflict,
    /// 413: the request is too large.
    TooLarge,
    /// 429: too many attempts.
    TooMany,
    /// 500: the collector failed.
    Internal,
    /// 503: not now.
    Unavailable,
}

impl ErrorCode {
    /// HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthenticated => 401,
            Self::PasswordChangeRequired | Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::TooMany => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }
}

/// Body of every failed request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// Kind.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

/// `POST /api/v1/login`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Login {
    /// User name.
    pub name: String,
    /// Password.
    pub password: String,
}

/// Who is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionInfo {
    /// User name.
    pub user: String,
    /// `viewer`, `responder`, `analyst` or `admin`.
    pub role: String,
    /// To be sent as `X-CSRF-Token` with every changing request.
    pub csrf: String,
    /// Whether the password must be changed before anything else.
    pub must_change: bool,
}

/// `POST /api/v1/password`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct ChangePassword {
    /// Present password.
    pub old: String,
    /// New one.
    pub new: String,
}

/// `POST /api/v1/alerts/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertAction {
    /// `acknowledge`, `close` or `reopen`.
    pub action: String,
    /// With `close`: `true_positive`, `benign` or `false_positive`.
    #[serde(default)]
    pub verdict: Option<String>,
    /// Remark for the history.
    #[serde(default)]
    pub note: String,
}

/// `GET /api/v1/alerts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertFilter {
    /// `open`, `acknowledged`, `closed`, `live` (the first two) or `all`.
    #[serde(default)]
    pub status: Option<String>,
    /// At least this severe.
    #[serde(default)]
    pub severity: Option<String>,
    /// Text in title, rule or entity.
    #[serde(default)]
    pub text: Option<String>,
    /// At most so many, 100 when absent.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// `POST /api/v1/users`, `PUT /api/v1/users/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// User name; ignored when it stands in the path.
    #[serde(default)]
    pub name: String,
    /// Role.
    pub role: String,
    /// Mail address for pages.
    #[serde(default)]
    pub mail: String,
}

/// A user as listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserInfo {
    /// User name.
    pub name: String,
    /// Role.
    pub role: String,
    /// Mail address.
    pub mail: String,
    /// When it was made.
    pub created: String,
    /// Last login.
    pub last_login: Option<String>,
    /// Whether the first password is still to be changed.
    pub must_change: bool,
}

/// A secret that is shown once.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Revealed {
    /// What it is for.
    pub name: String,
    /// The secret; it cannot be shown again.
    pub secret: String,
}

/// `POST /api/v1/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Name; events sent with it carry it as their agent.
    pub name: String,
    /// `ingest`, `read`, `respond`, `tune`, `metrics`.
    pub scopes: Vec<String>,
    /// Days it lasts; for ever when absent.
    #[serde(default)]
    pub days: Option<u32>,
}

/// `POST /api/v1/enrolments`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEnrolment {
    /// Minutes it lasts, at most a week.
    pub minutes: u32,
}

/// `POST /api/v1/agents/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentAction {
    /// Whether the agent must not connect any more.
    pub revoked: bool,
}

#[cfg(test)]
mod tests;
