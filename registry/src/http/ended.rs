//! Whether a request's body was read to its end before the reply.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};

/// Whether a request's body has been read to its end. Asked when the reply is made: the rest of a body that was
/// not read cannot be told from the next request, so the connection ends, and the reply must announce that
/// (RFC 9112 §9.6). A client that is not told sends its next request into a closing connection.
#[derive(Debug, Clone)]
pub(super) struct Ended(Option<Arc<AtomicBool>>);

impl Ended {
    pub(super) fn get(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|ended| ended.load(Ordering::Acquire))
    }
}

/// A body that tells when it has been read to its end.
pub(super) struct Watched<B> {
    body: B,
    ended: Ended,
}

/// Watches `body`. Costs nothing for a request without one.
pub(super) fn watched<B: Body>(body: B) -> (Watched<B>, Ended) {
    let there = !body.is_end_stream();
    let ended = Ended(there.then(|| Arc::new(AtomicBool::new(false))));
    let watch = ended.clone();
    (Watched { body, ended }, watch)
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let whole = matches!(polled, Poll::Ready(None)) || self.body.is_end_stream();
        if let (true, Some(ended)) = (whole, &self.ended.0) {
            ended.store(true, Ordering::Release);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
