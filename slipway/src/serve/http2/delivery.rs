//! Replies that their clients do not take are given up, each for itself.
//!
//! A client that grants no window makes no write wait, so the socket's own time-out does not see
//! it. What shows is that hyper does not ask the body for its next piece.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::requests::UnderWay;
use super::spell::Spell;

/// Bytes that may stay with h2 uncounted.
const SMALL: usize = 1024;

tokio::task_local! {
    /// How long the client of the present task's stream has made its reply wait.
    static WAITING: Arc<Spell>;
}

/// Runs each stream of a connection until it ends, or its client has taken nothing for too long:
/// then the stream is dropped, which resets it and frees all that it holds.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    patience: Duration,
}

impl Streams {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience }
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let patience = self.patience;
        let waiting = Arc::new(Spell::default());
        tokio::spawn(WAITING.scope(Arc::clone(&waiting), async move {
            tokio::select! {
                biased;
                () = stream => {}
                () = waiting.outlasts(patience) => {
                    tracing::debug!("a stream is reset: its client took nothing of the reply");
                }
            }
        }));
    }
}

/// The body of a reply that goes out on one of [`Streams`].
pub(super) fn delivered<B>(content: B, under_way: UnderWay) -> Delivered<B> {
    // Every request runs in a task that `execute` made.
    let waiting = WAITING.try_with(Arc::clone).unwrap_or_default();
    waiting.begin();
    Delivered {
        content,
        last: None,
        waiting,
        _under_way: under_way,
    }
}

/// A body that notes when it waits for its client, and that lives until the client has granted
/// room for all of it.
///
/// h2 takes a whole piece as soon as there is room for one byte. So that a stranger cannot have
/// many replies end in its memory, where nothing counts or times them, the last byte is held
/// back: it is asked for only when there is room for what goes before it. [`SMALL`] pieces are
/// not parted, as clients defend themselves against many small frames.
#[derive(Debug)]
pub(super) struct Delivered<B> {
    content: B,
    last: Option<Bytes>,
    waiting: Arc<Spell>,
    _under_way: UnderWay,
}

impl<B: Body<Data = Bytes> + Unpin> Delivered<B> {
    fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(last) = self.last.take() {
            return Poll::Ready(Some(Ok(Frame::data(last))));
        }
        let mut frame = ready!(Pin::new(&mut self.content).poll_frame(context));
        if self.content.is_end_stream()
            && let Some(Ok(frame)) = &mut frame
            && let Some(data) = frame.data_mut()
        {
            // Copies, because a share would keep the whole buffer.
            if data.len() <= SMALL {
                *data = Bytes::copy_from_slice(data);
            } else {
                let last = data.split_off(data.len() - 1);
                self.last = Some(Bytes::copy_from_slice(&last));
            }
        }
        Poll::Ready(frame)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Delivered<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        // What the disk takes is not the client's fault.
        self.waiting.end();
        let frame = ready!(self.poll_piece(context));
        self.waiting.begin();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.last.is_none() && self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.content.size_hint();
        let held = self.last.as_ref().map_or(0, |last| last.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + held);
        }
        hint.set_lower(hint.lower() + held);
        hint
    }
}
