//! Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), as far as logs of builds use them.

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::header::{ACCEPT, HeaderName};
use reqwest::{Method, Response, StatusCode};

use super::{Client, explain, failure, may_pass, stayed, streamed, whole};

/// Most bytes of an event: more than a line of a log has.
const MAX_EVENT: usize = 4 << 20;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Where to go on after it, if it says so.
    pub(crate) id: Option<String>,
    pub(crate) kind: String,
    pub(crate) data: String,
}

/// Events on their way, as one connection brings them.
pub(crate) struct Events {
    chunks: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    unread: Vec<u8>,
}

impl Client {
    /// The events at `path` behind the one of this id. `None`: the server did not answer, and may in a while; the error is for
    /// what will not pass.
    pub(crate) async fn events(
        &self,
        path: &str,
        after: Option<&str>,
    ) -> anyhow::Result<Option<Events>> {
        let request = self.http.request(Method::GET, self.base.join(path)?);
        let mut request = streamed(request).header(ACCEPT, "text/event-stream");
        if let Some(after) = after {
            request = request.header(LAST_EVENT_ID, after);
        }
        let mut answer: Response = match self.reply_to(request).await {
            Ok(answer) => answer,
            Err(_) => return Ok(None),
        };
        stayed(&answer)?;
        match answer.status() {
            StatusCode::OK => Ok(Some(Events {
                chunks: answer.bytes_stream().boxed(),
                unread: Vec::new(),
            })),
            status if may_pass(status) => Ok(None),
            _ => {
                let body = whole(&mut answer).await?;
                Err(failure::explain(&self.server, &answer, &body))
            }
        }
    }
}

impl Client {
    /// Hands the text at `path` to `put` as it comes, until that says that it is enough.
    pub(crate) async fn print(
        &self,
        path: &str,
        put: impl Fn(&[u8]) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let request = self.http.request(Method::GET, self.base.join(path)?);
        let mut answer = self.reply_to(streamed(request)).await?;
        stayed(&answer)?;
        if !answer.status().is_success() {
            let body = whole(&mut answer).await?;
            return Err(failure::explain(&self.server, &answer, &body));
        }
        // Cut where lines end, so that no character is.
        let mut unread = Vec::new();
        loop {
            let chunk = answer.chunk().await;
            let Some(chunk) = chunk.map_err(|error| explain(&self.base, &error))? else {
                put(&unread)?;
                return Ok(());
            };
            unread.extend_from_slice(&chunk);
            let end = unread.iter().rposition(|byte| *byte == b'\n');
            let whole: Vec<u8> = unread.drain(..end.map_or(0, |end| end + 1)).collect();
            if !put(&whole)? {
                return Ok(());
            }
        }
    }
}

impl Events {
    /// The next one; `None` when the connection has ended, however it did.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            if let Some(event) = self.read() {
                return Ok(Some(event));
            }
            match self.chunks.next().await {
                Some(Ok(chunk)) => self.unread.extend_from_slice(&chunk),
                Some(Err(_)) | None => return Ok(None),
            }
            anyhow::ensure!(self.unread.len() <= MAX_EVENT, "an event is too large");
        }
    }

    /// The first whole event of what has come. What has no data is none: a comment keeps the connection.
    fn read(&mut self) -> Option<Event> {
        loop {
            let end = self.unread.windows(2).position(|two| two == b"\n\n")?;
            let text: Vec<u8> = self.unread.drain(..end + 2).collect();
            let event = parse(&String::from_utf8_lossy(&text));
            if !event.data.is_empty() {
                return Some(event);
            }
        }
    }
}

fn parse(text: &str) -> Event {
    let mut event = Event::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut event.kind),
            "data" => event.data.push_str(value),
            _ => {}
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::{Event, Events};

    #[tokio::test]
    async fn events_are_read_however_they_are_cut() {
        let text = ":\n\nid: 7\nevent: out\ndata: {\"text\":\"é: \\n\"}\n\n:\n\nevent: end\ndata: {}\n\nid: 9\ndata: lo";
        for size in [1, 2, 7, text.len()] {
            let chunks: Vec<_> = text
                .as_bytes()
                .chunks(size)
                .map(|chunk| Ok(bytes::Bytes::copy_from_slice(chunk)))
                .collect();
            let mut events = Events {
                chunks: stream::iter(chunks).boxed(),
                unread: Vec::new(),
            };
            let first = events.next().await.unwrap().unwrap();
            let expected = Event {
                id: Some("7".to_owned()),
                kind: "out".to_owned(),
                data: "{\"text\":\"é: \\n\"}".to_owned(),
            };
            assert_eq!(first, expected);
            let second = events.next().await.unwrap().unwrap();
            assert_eq!(
                (second.id, &*second.kind, &*second.data),
                (None, "end", "{}")
            );
            assert!(
                events.next().await.unwrap().is_none(),
                "half an event is none"
            );
        }
    }
}
