//! Bodies on their way out.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use sendfile::FileBody;

use super::admission::Admitted;
use super::trace::Record;

/// The body of every reply. It carries the request's record and its place in its class, so that
/// both end when the last byte is handed over, or when the client goes away.
#[derive(Debug)]
pub struct Body {
    content: Content,
    record: Option<Record>,
    place: Option<Admitted>,
}

/// An error of a body ends the connection; the client sees that the content is cut short.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug)]
enum Content {
    Full(Bytes),
    File(Box<FileBody>),
    Other(axum::body::Body),
}

impl Body {
    pub(super) fn empty() -> Self {
        Self::full(Bytes::new())
    }

    pub(super) fn full(bytes: impl Into<Bytes>) -> Self {
        Self::of(Content::Full(bytes.into()))
    }

    pub(super) fn file(file: FileBody, place: Admitted) -> Self {
        Self {
            place: Some(place),
            ..Self::of(Content::File(Box::new(file)))
        }
    }

    pub(super) fn other(body: axum::body::Body) -> Self {
        Self::of(Content::Other(body))
    }

    pub(super) fn recorded(mut self, record: Record) -> Self {
        self.record = Some(record);
        self
    }

    fn of(content: Content) -> Self {
        Self {
            content,
            record: None,
            place: None,
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let frame = match &mut this.content {
            Content::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::File(file) => Pin::new(file.as_mut())
                .poll_frame(context)
                .map_err(Into::into),
            Content::Other(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
        };
        if let (Poll::Ready(Some(Ok(frame))), Some(record)) = (&frame, &mut this.record) {
            record.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        if let Poll::Ready(None | Some(Err(_))) = &frame {
            this.record = None;
            this.place = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Full(bytes) => bytes.is_empty(),
            Content::File(file) => file.is_end_stream(),
            Content::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::File(file) => file.size_hint(),
            Content::Other(body) => body.size_hint(),
        }
    }
}
