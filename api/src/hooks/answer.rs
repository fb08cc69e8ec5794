//! What a caller is told.

use axum::response::{IntoResponse, Response};
use builder::hooks::Answer;
use http::StatusCode;
use serde::Serialize;

use crate::Reply;

/// The answer to a call that was understood.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    /// Whether a run waits now because of it.
    pub(super) started: bool,
    /// The run.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// The commit that it builds, if the call names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    /// Why nothing was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Told {
    pub(super) fn of(answer: Answer) -> Self {
        match answer {
            Answer::Started { run, commit, .. } => Self {
                started: true,
                run: Some(run),
                commit,
                reason: None,
            },
            Answer::Known { run } => Self {
                started: false,
                run,
                commit: None,
                reason: Some("this call was taken before".to_owned()),
            },
            Answer::Nothing { reason } => Self {
                started: false,
                run: None,
                commit: None,
                reason: Some(reason),
            },
        }
    }
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        let status = if self.started {
            StatusCode::ACCEPTED
        } else {
            StatusCode::OK
        };
        Reply(status, self).into_response()
    }
}
