//! Failures that pass, and trying again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode, Url};
use tokio::time::Instant;

use super::super::{Login, Server, explain, failure};
use super::progress;

/// How often something is tried in all.
const ATTEMPTS: u32 = 5;
/// How long the first pause is; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(300);
/// The longest pause that a server can ask for.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// For how long a server may say that it cannot answer now, once it was waited for as it asked. Whoever waits would rather
/// know.
const PATIENCE: Duration = Duration::from_secs(8);
/// The shortest pause that is worth a line.
const WORTH_SAYING: Duration = Duration::from_secs(1);
/// Most bytes of an error that are read.
const MAX_ERROR: usize = 64 << 10;

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// The network, or a server that is busy: the same may work in a moment.
    Passing(anyhow::Error),
    /// A server that cannot answer now, and says when it may.
    Later(anyhow::Error, Duration),
    /// A server that was asked too much, and says when it may be asked again.
    Limited(anyhow::Error, Duration),
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
        match (answer.status(), retry_after(&answer)) {
            (StatusCode::SERVICE_UNAVAILABLE, Some(wait)) => return Self::Later(said, wait),
            (StatusCode::TOO_MANY_REQUESTS, Some(wait)) => return Self::Limited(said, wait),
            _ => {}
        }
        match answer.status() {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Self::Passing(said),
            status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
                Self::Passing(said)
            }
            StatusCode::UNAUTHORIZED if login.is_none() || !failure::is_out_of_scope(&answer) => {
                Self::Lasting(failure::login_wanted(server, login, &words))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let hint = failure::hint(&answer, &words);
                Self::Lasting(anyhow::anyhow!("{said}{hint}"))
            }
            _ => Self::Lasting(said),
        }
    }

    pub(super) fn into_error(self) -> anyhow::Error {
        match self {
            Self::Passing(error)
            | Self::Later(error, _)
            | Self::Limited(error, _)
            | Self::Lasting(error) => error,
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
    let mut unable_since: Option<Instant> = None;
    for _ in 1..ATTEMPTS {
        let begun = Instant::now();
        let failed = match attempt().await {
            Ok(done) => return Ok(done),
            Err(failed) => failed,
        };
        let now = Instant::now();
        let is_unable = matches!(failed, Failure::Later(..));
        // What ran for long, as an upload does, was answered meanwhile.
        let is_anew = now - begun > PATIENCE;
        unable_since = unable_since.filter(|_| is_unable && !is_anew);
        let (error, wait) = match failed {
            Failure::Lasting(error) => return Err(error),
            Failure::Passing(error) => (error, pause),
            Failure::Limited(error, wait) | Failure::Later(error, wait) => (error, wait.max(pause)),
        };
        if unable_since.is_some_and(|since| now + wait > since + PATIENCE) {
            return Err(error);
        }
        unable_since = is_unable.then(|| unable_since.unwrap_or(now));
        tell(&error, wait, now);
        tokio::time::sleep(wait).await;
        pause *= 2;
    }
    attempt().await.map_err(Failure::into_error)
}

/// Says what is waited for. Of those who wait at the same time, which are many where blobs are copied, one says it.
fn tell(error: &anyhow::Error, wait: Duration, now: Instant) {
    static TOLD_UNTIL: Mutex<Option<Instant>> = Mutex::new(None);
    let mut until = TOLD_UNTIL.lock().unwrap_or_else(PoisonError::into_inner);
    if wait < WORTH_SAYING || until.is_some_and(|until| now < until) {
        return;
    }
    *until = Some(now + wait);
    progress::say_above(&format!(
        "{}; waiting {} before the next try",
        crate::told(error),
        humantime::format_duration(wait)
    ));
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::{ATTEMPTS, Duration, Failure, Instant, PATIENCE, persist};

    /// How often is it tried, for how long, where each try takes a while and fails so?
    async fn tries(takes: Duration, failed: impl Fn(u32) -> Failure) -> (u32, Duration, String) {
        let (begun, mut count) = (Instant::now(), 0);
        let said = persist(async || -> Result<(), Failure> {
            tokio::time::sleep(takes).await;
            count += 1;
            Err(failed(count))
        });
        let said = said.await.unwrap_err().to_string();
        (count, begun.elapsed(), said)
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_cannot_answer_is_given_up_soon_with_its_last_words() {
        let seconds = Duration::from_secs;
        let later = |wait| {
            move |number| Failure::Later(anyhow!("no answer {number}"), Duration::from_secs(wait))
        };
        // Answers at once, as where nothing listens behind it; answers after its own deadline; asks for more than is waited
        // for twice; takes long uploads and then cannot end them.
        for (takes, wait, expected) in [
            (0, 2, 4),
            (5, 2, 2),
            (0, 8, 2),
            (0, 9, 2),
            (0, 60, 2),
            (600, 2, ATTEMPTS),
            (600, 30, ATTEMPTS),
        ] {
            let (count, took, said) = tries(seconds(takes), later(wait)).await;
            assert_eq!(count, expected, "{takes} {wait}");
            let waits = took.saturating_sub(seconds(takes) * count);
            let is_short = waits <= PATIENCE.max(seconds(wait));
            assert!(is_short || takes == 600, "{took:?}");
            assert_eq!(said, format!("no answer {count}"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_broke_off_and_what_is_rationed_is_tried_to_the_end() {
        let hour = Duration::from_secs(3600);
        let (count, ..) = tries(hour, |_| Failure::Passing(anyhow!("broken"))).await;
        assert_eq!(count, ATTEMPTS);
        let minute = Duration::from_secs(60);
        let limited = |_| Failure::Limited(anyhow!("too many"), minute);
        let (count, took, _) = tries(Duration::ZERO, limited).await;
        assert_eq!((count, took), (ATTEMPTS, minute * (ATTEMPTS - 1)));
        // An outage after one that is over begins anew.
        let mixed = |number| match number {
            1 | 3 => Failure::Later(anyhow!("away"), Duration::from_secs(5)),
            _ => Failure::Passing(anyhow!("broken")),
        };
        assert_eq!(tries(hour, mixed).await.0, ATTEMPTS);
        let lasting = |_| Failure::Lasting(anyhow!("never"));
        assert_eq!(tries(hour, lasting).await.0, 1);
    }
}
