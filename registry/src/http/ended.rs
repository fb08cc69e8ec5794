//! Whether a request's body was read to its end before the reply.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use http::header::EXPECT;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use tokio::runtime::Handle;

/// How long, and how much, is still read of a body that nobody wants.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 4 << 20;

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

/// A body that tells when it has been read to its end. What is left of it when it is dropped is still taken off the connection
/// for a while: a client that is in the middle of sending reads the reply only when it is done. With bytes unread, the end of an
/// HTTP/1 connection would reset it under the client, and a stream of HTTP/2 is reset, which RFC 9113 §8.1 allows and curl 7.88
/// takes for an error, losing the reply.
pub(super) struct Watched<B: Unread> {
    /// There until dropped.
    body: Option<B>,
    ended: Ended,
    lingers: bool,
}

/// A body as it comes from a connection.
pub(super) trait Unread: Body + Send + Unpin + 'static {}

impl<B: Body + Send + Unpin + 'static> Unread for B {}

/// Watches the body of a request with this head. Costs nothing for a request without one.
pub(super) fn watched<B: Unread>(body: B, head: &Parts) -> (Watched<B>, Ended) {
    let there = !body.is_end_stream();
    let ended = Ended(there.then(|| Arc::new(AtomicBool::new(false))));
    let watch = ended.clone();
    // Who expects to be asked has sent nothing, and reading would be to ask.
    let lingers = !head.headers.contains_key(EXPECT);
    let body = Some(body);
    let watched = Watched {
        body,
        ended,
        lingers,
    };
    (watched, watch)
}

impl<B: Unread> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(&mut *body).poll_frame(context);
        let whole = matches!(polled, Poll::Ready(None)) || body.is_end_stream();
        if let (true, Some(ended)) = (whole, &self.ended.0) {
            ended.store(true, Ordering::Release);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl<B: Unread> Drop for Watched<B> {
    fn drop(&mut self) {
        let is_left = self.lingers && !self.ended.get();
        let (Some(body), true) = (self.body.take(), is_left) else {
            return;
        };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LINGER, take(body)));
        }
    }
}

async fn take<B: Unread>(mut body: B) {
    let mut taken = 0;
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        taken += frame.data_ref().map_or(0, Buf::remaining);
        if taken > LINGER_BYTES {
            return;
        }
    }
}
