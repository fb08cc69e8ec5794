//! The send-progress time-out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::sys;

/// Fails a write that waits while nothing leaves for longer than the limit.
///
/// Runs only while a write is pending; the timer is made at the first such write. The kernel calls
/// a socket writable only when a third of its buffer (megabytes) is free, so on a slow line the
/// buffer's own draining counts as progress too, where it can be asked.
///
/// An HTTP/2 client that grants no window makes no write wait: whoever speaks HTTP/2 over a
/// [`Wire`](crate::Wire) times its streams too.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    unsent: Option<u64>,
}

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            timer: None,
            waiting: false,
            unsent: None,
        }
    }

    /// Passes on a write's outcome, or `TimedOut` in place of one `Pending` too many.
    pub(crate) fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        socket: Option<&TcpStream>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.waiting = false;
            return outcome;
        }
        if !self.waiting {
            self.wait(socket);
        }
        loop {
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(cx));
            }
            let before = self.unsent;
            self.wait(socket);
            if self.unsent.is_none() || self.unsent >= before {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("the client took no byte for {:?}", self.limit),
                )));
            }
        }
    }

    fn wait(&mut self, socket: Option<&TcpStream>) {
        self.waiting = true;
        self.unsent = socket.and_then(sys::unsent);
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(Instant::now() + self.limit),
            None => self.timer = Some(Box::pin(sleep(self.limit))),
        }
    }
}
