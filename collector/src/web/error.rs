//! Failures of requests, and their one form.

use api::{ErrorBody, ErrorCode};
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::alert::AlertError;
use crate::auth::AuthError;
use crate::exceptions::ExceptionError;
use crate::exceptions::preview::PreviewError;
use crate::oncall::pager::SetScheduleError;
use crate::pipeline::PipelineError;
use crate::search::SearchError;
use crate::searches::SavedError;
use crate::state::StateError;

/// A failed request: kind and words.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    code: ErrorCode,
    message: String,
    retry_after: Option<u32>,
}

impl Failure {
    /// A failure of this kind.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// The same, with the seconds after which it is worth trying again.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Its kind.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// The HTTP status it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What the collector did wrong: told to the log, not to the caller.
    #[must_use]
    pub fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = service::causes(error), "request failed");
        Self::new(ErrorCode::Internal, "the collector failed; see its log")
    }

    /// A request that is not what it should be.
    #[must_use]
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = Json(ErrorBody { code: self.code, message: self.message });
        match self.retry_after {
            Some(seconds) => {
                (status, [(header::RETRY_AFTER, seconds.to_string())], body).into_response()
            }
            None => (status, body).into_response(),
        }
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::internal(&error)
    }
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        let code = match &error {
            AuthError::Credentials => ErrorCode::Unauthenticated,
            AuthError::Locked { .. } => ErrorCode::TooMany,
            AuthError::Password(_) | AuthError::Name => ErrorCode::BadRequest,
            AuthError::Exists { .. } | AuthError::LastAdmin => ErrorCode::Conflict,
            AuthError::Unknown { .. } => ErrorCode::NotFound,
            AuthError::State(_) | AuthError::Crypto => return Self::internal(&error),
        };
        Self::new(code, error.to_string())
    }
}

impl From<AlertError> for Failure {
    fn from(error: AlertError) -> Self {
        let code = match &error {
            AlertError::Unknown { .. } => ErrorCode::NotFound,
            AlertError::Status { .. } => ErrorCode::Conflict,
            AlertError::State(_) => return Self::internal(&error),
        };
        Self::new(code, error.to_string())
    }
}

impl From<ExceptionError> for Failure {
    fn from(error: ExceptionError) -> Self {
        let code = match &error {
            ExceptionError::Wrong(_) | ExceptionError::Conditions(_) => ErrorCode::BadRequest,
            ExceptionError::Unknown { .. } => ErrorCode::NotFound,
            ExceptionError::Over { .. } => ErrorCode::Conflict,
            ExceptionError::State(_) | ExceptionError::Key(_) => return Self::internal(&error),
        };
        Self::new(code, error.to_string())
    }
}

impl From<PreviewError> for Failure {
    fn from(error: PreviewError) -> Self {
        match error {
            PreviewError::Exception(error) => error.into(),
            PreviewError::Search(error) => error.into(),
        }
    }
}

impl From<SavedError> for Failure {
    fn from(error: SavedError) -> Self {
        let code = match error {
            SavedError::Name => ErrorCode::BadRequest,
            SavedError::TooMany => ErrorCode::Conflict,
            SavedError::Unknown => ErrorCode::NotFound,
            SavedError::Foreign { .. } => ErrorCode::Forbidden,
            SavedError::Query(error) => return error.into(),
            SavedError::Key(_) | SavedError::State(_) => return Self::internal(&error),
        };
        Self::new(code, error.to_string())
    }
}

impl From<SetScheduleError> for Failure {
    fn from(error: SetScheduleError) -> Self {
        match error {
            SetScheduleError::Problem(problem) => Self::bad(problem.to_string()),
            SetScheduleError::State(error) => Self::internal(&error),
        }
    }
}

impl From<PipelineError> for Failure {
    fn from(error: PipelineError) -> Self {
        tracing::error!(%error, "events could not be taken");
        Self::new(ErrorCode::Unavailable, error.to_string())
    }
}

impl From<SearchError> for Failure {
    fn from(error: SearchError) -> Self {
        match &error {
            SearchError::Parse(_)
            | SearchError::Plan(_)
            | SearchError::Time { .. }
            | SearchError::Ungroupable { .. }
            | SearchError::Aggregation { .. }
            | SearchError::TooCostly { .. }
            | SearchError::Narrow { .. }
            | SearchError::Limit { .. } => Self::bad(error.to_string()),
            SearchError::Cancelled => Self::new(ErrorCode::Unavailable, error.to_string()),
            _ => Self::internal(&error),
        }
    }
}
