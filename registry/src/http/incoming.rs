//! Bodies on their way in: a stream that cannot stall for ever, and a whole that cannot be too
//! large.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http_body::Body;
use storage::{BodyError, ByteStream};
use tokio::time::{Sleep, sleep};

use super::admission::{Budget, Share};
use super::problem::Problem;

/// The frames of a request's body as storage takes them. Fails when nothing arrives for `stall`:
/// a slow sender is fine, a silent one holds a session and a file.
pub(super) fn stream<B>(body: B, stall: Duration) -> ByteStream
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::fmt::Display,
{
    Box::pin(Frames {
        body,
        stall,
        patience: Box::pin(sleep(stall)),
        armed: false,
    })
}

/// Why a body was not read whole.
#[derive(Debug)]
pub(super) enum Unread {
    /// More than the limit.
    TooLarge,
    /// It broke off or stalled.
    Broken(BodyError),
    /// Other bodies have taken the memory there is for them.
    Busy(Problem),
}

/// Reads a body of at most `limit` bytes, whether or not its length was announced. What it takes of
/// `budget` as it arrives is held by the share that comes with it.
pub(super) async fn whole(
    mut body: ByteStream,
    limit: usize,
    budget: &Budget,
) -> Result<(Bytes, Share), Unread> {
    let mut share = Share::default();
    let mut collected = BytesMut::new();
    let mut first = Bytes::new();
    while let Some(frame) = body.next().await {
        let frame = frame.map_err(Unread::Broken)?;
        if collected.len() + first.len() + frame.len() > limit {
            return Err(Unread::TooLarge);
        }
        budget.grow(&mut share, frame.len()).map_err(Unread::Busy)?;
        // Most manifests come in one frame, and are kept as they came.
        if first.is_empty() && collected.is_empty() {
            first = frame;
            continue;
        }
        collected.extend_from_slice(&std::mem::take(&mut first));
        collected.extend_from_slice(&frame);
    }
    let bytes = if collected.is_empty() {
        first
    } else {
        collected.freeze()
    };
    Ok((bytes, share))
}

struct Frames<B> {
    body: B,
    stall: Duration,
    patience: Pin<Box<Sleep>>,
    armed: bool,
}

impl<B> Stream for Frames<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.armed = false;
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(BodyError::Broken(error.to_string()))));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => break,
            }
        }
        if !this.armed {
            let deadline = tokio::time::Instant::now() + this.stall;
            this.patience.as_mut().reset(deadline);
            this.armed = true;
        }
        match this.patience.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(BodyError::Stalled))),
            Poll::Pending => Poll::Pending,
        }
    }
}
