//! What both outputs of a process say, in the order in which it arrives.

use std::collections::VecDeque;

use tokio::sync::mpsc::Sender;

use super::lines::Lines;
use super::{Line, Stream};

/// How many bytes of each stream's end are kept of what is too much: much on one drops nothing of the other, where the error is.
const TAIL: usize = 64 << 10;

/// Gives lines on up to a number of bytes, and then the end of what comes.
#[derive(Debug)]
pub(super) struct Heard {
    to: Sender<Line>,
    limit: u64,
    out: Said,
    err: Said,
    bytes: u64,
    /// How many pieces were held.
    held: u64,
}

/// What one stream said.
#[derive(Debug, Default)]
struct Said {
    lines: Lines,
    /// The last pieces of what was too much, with their places among those of both streams.
    tail: VecDeque<(u64, Vec<u8>)>,
    tail_bytes: usize,
    dropped: u64,
}

impl Said {
    /// Keeps a piece until others come that are nearer to the end.
    fn hold(&mut self, place: u64, piece: &[u8]) {
        self.tail_bytes += piece.len();
        self.tail.push_back((place, piece.to_vec()));
        while self.tail_bytes > TAIL
            && let Some((_, oldest)) = self.tail.front_mut()
        {
            let gone = oldest.len().min(self.tail_bytes - TAIL);
            oldest.drain(..gone);
            if oldest.is_empty() {
                self.tail.pop_front();
            }
            self.tail_bytes -= gone;
            self.dropped += gone as u64;
        }
    }

    /// The place of the first piece that is held; after all others if there is none.
    fn place(&self) -> u64 {
        self.tail.front().map_or(u64::MAX, |(place, _)| *place)
    }
}

impl Heard {
    pub(super) fn new(to: Sender<Line>, limit: u64) -> Self {
        Self {
            to,
            limit,
            out: Said::default(),
            err: Said::default(),
            bytes: 0,
            held: 0,
        }
    }

    /// Takes what a stream said. Sending waits for whoever listens; what is too much costs little.
    pub(super) async fn take(&mut self, stream: Stream, piece: &[u8]) {
        let room = self.limit.saturating_sub(self.bytes);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let (now, later) = piece.split_at(room.min(piece.len()));
        self.bytes += piece.len() as u64;
        self.say(stream, now).await;
        if !later.is_empty() {
            self.held += 1;
            let place = self.held;
            self.said(stream).hold(place, later);
        }
    }

    /// Nothing more comes: says the end of what was too much, and lines that did not end. How many bytes were said, and how many of
    /// them are left out.
    pub(super) async fn finish(mut self) -> (u64, u64) {
        let dropped = self.out.dropped + self.err.dropped;
        if dropped > 0 {
            self.say_rest().await;
            let text = format!("[{dropped} bytes of output are left out here]");
            self.send(Stream::Sandbox, text).await;
        }
        loop {
            let is_err = self.err.place() < self.out.place();
            let stream = if is_err { Stream::Err } else { Stream::Out };
            let Some((_, piece)) = self.said(stream).tail.pop_front() else {
                break;
            };
            self.say(stream, &piece).await;
        }
        self.say_rest().await;
        (self.bytes, dropped)
    }

    async fn say(&mut self, stream: Stream, piece: &[u8]) {
        for text in self.said(stream).lines.push(piece) {
            self.send(stream, text).await;
        }
    }

    async fn say_rest(&mut self) {
        for stream in [Stream::Out, Stream::Err] {
            if let Some(text) = self.said(stream).lines.finish() {
                self.send(stream, text).await;
            }
        }
    }

    fn said(&mut self, stream: Stream) -> &mut Said {
        match stream {
            Stream::Err => &mut self.err,
            Stream::Out | Stream::Sandbox => &mut self.out,
        }
    }

    async fn send(&self, stream: Stream, text: String) {
        // Nobody listens any more: the process is not to blame and goes on.
        let _ = self.to.send(Line { stream, text }).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// What is said of these pieces.
    async fn said(limit: u64, pieces: &[(Stream, &[u8])]) -> (Vec<(Stream, String)>, (u64, u64)) {
        let (to, mut lines) = mpsc::channel(100_000);
        let mut heard = Heard::new(to, limit);
        for (stream, piece) in pieces {
            heard.take(*stream, piece).await;
        }
        let counted = heard.finish().await;
        let mut all = Vec::new();
        while let Some(line) = lines.recv().await {
            all.push((line.stream, line.text));
        }
        (all, counted)
    }

    fn texts(lines: &[(Stream, &str)]) -> Vec<(Stream, String)> {
        let owned = lines.iter().map(|(stream, text)| (*stream, (*text).into()));
        owned.collect()
    }

    #[tokio::test]
    async fn both_streams_are_heard_in_their_order() {
        use Stream::{Err, Out};
        let pieces: [(Stream, &[u8]); 4] = [
            (Out, b"one\ntw"),
            (Err, b"wrong\n"),
            (Out, b"o\n"),
            (Err, b"end"),
        ];
        let expected = texts(&[(Out, "one"), (Err, "wrong"), (Out, "two"), (Err, "end")]);
        assert_eq!(said(1000, &pieces).await, (expected.clone(), (17, 0)));
        // What goes over is said at the end, as it is not too much to keep.
        assert_eq!(said(5, &pieces).await, (expected, (17, 0)));
    }

    #[tokio::test]
    async fn of_too_much_the_end_is_said_and_how_much_is_not() {
        use Stream::{Err, Out, Sandbox};
        let noise = b"0123456789abcde\n".repeat(1000);
        let mut pieces: Vec<(Stream, &[u8])> = vec![(Out, b"first\nsec")];
        pieces.extend((0..100).map(|_| (Out, &*noise)));
        pieces.push((Err, b"FINAL ERROR: undefined reference\n"));
        // What was in the other stream's pipe meanwhile.
        pieces.extend((0..100).map(|_| (Out, &*noise)));
        pieces.push((Out, b"make: *** [all] Error 1"));
        let (lines, (bytes, dropped)) = said(9, &pieces).await;
        assert_eq!(lines[..2], texts(&[(Out, "first"), (Out, "sec")]));
        assert_eq!(lines[2].0, Sandbox);
        let told = format!("[{dropped} bytes of output are left out here]");
        assert_eq!(lines[2].1, told);
        assert_eq!(lines[3].1, "FINAL ERROR: undefined reference");
        let end = [(Out, "0123456789abcde"), (Out, "make: *** [all] Error 1")];
        assert_eq!(lines[lines.len() - 2..], texts(&end));
        assert_eq!(bytes - dropped, 9 + 33 + TAIL as u64);
    }
}
