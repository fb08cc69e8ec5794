//! Failures that pass, and trying again.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode, Url};

use super::super::{Login, Server, explain, failure};

/// How often something is tried in all.
const ATTEMPTS: u32 = 5;
/// How long the first pause is; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(300);
/// The longest pause that a server can ask for.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Most bytes of an error that are read.
const MAX_ERROR: usize = 64 << 10;

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// The network, or a server that is busy: the same may work in a moment.
    Passing(anyhow::Error),
    /// A server that says when it may.
    Later(anyhow::Error, Duration),
    /// Trying again changes nothing.
    Lasting(anyhow::Error),
}

impl Failure {
    /// No answer came.
    pub(super) fn unanswered(url: &Url, error: &reqwest::Error) -> Self {
        let said = explain(url, error);
        // A certificate that is not trusted stays so, and so does an address.
        let is_passing = !error.is_builder()
            && !error.is_redirect()
            && !said.to_string().contains("certificate");
        if is_passing {
            Self::Passing(said)
        } else {
            Self::Lasting(said)
        }
    }

    /// An answer came, of an error.
    pub(super) async fn answered(
        server: &Server,
        login: Option<&Login>,
        mut answer: Response,
    ) -> Self {
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ERROR {
                break;
            }
        }
        let words = failure::words(&answer, &body);
        let said = anyhow::anyhow!("{server}: {words}");
        let is_busy = matches!(
            answer.status(),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        if is_busy && let Some(wait) = retry_after(&answer) {
            return Self::Later(said, wait);
        }
        match answer.status() {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Self::Passing(said),
            status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
                Self::Passing(said)
            }
            StatusCode::UNAUTHORIZED if login.is_some() && failure::is_out_of_scope(&answer) => {
                Self::Lasting(anyhow::anyhow!(
                    "{said}; whoever may give rights there sees what is missing by `slipway auth explain`"
                ))
            }
            StatusCode::UNAUTHORIZED => Self::Lasting(failure::login_wanted(server, login, &words)),
            _ => Self::Lasting(said),
        }
    }

    pub(super) fn into_error(self) -> anyhow::Error {
        match self {
            Self::Passing(error) | Self::Later(error, _) | Self::Lasting(error) => error,
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Lasting(error)
    }
}

/// Seconds are what registries send (RFC 9110 §10.2.3 knows dates as well); no more than somebody may want to wait.
fn retry_after(answer: &Response) -> Option<Duration> {
    let text = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(text.parse().ok()?).min(MAX_WAIT))
}

/// Tries until it is done, lasts, or was tried often enough.
pub(super) async fn persist<T>(
    mut attempt: impl AsyncFnMut() -> Result<T, Failure>,
) -> anyhow::Result<T> {
    let mut pause = PAUSE;
    for _ in 1..ATTEMPTS {
        let wait = match attempt().await {
            Ok(done) => return Ok(done),
            Err(Failure::Lasting(error)) => return Err(error),
            Err(Failure::Passing(_)) => pause,
            Err(Failure::Later(_, wait)) => wait.max(pause),
        };
        tokio::time::sleep(wait).await;
        pause *= 2;
    }
    attempt().await.map_err(Failure::into_error)
}
