//! HTTP/2: what one connection may have under way, and for how long without progress.

mod delivery;
mod requests;
mod spell;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use registry::http::Connection;

use super::Server;
use super::connection::{Error, MAX_BUFFER, MAX_HEADER_BYTES};
use delivery::{Streams, delivered};
use requests::Requests;

/// What one stream and one connection may have under way. Uploads need large windows; the
/// connection's bounds what one client can make us hold.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
const MAX_STREAMS: u32 = 250;
const MAX_FRAME: u32 = 16 << 10;
/// Floods of resets (CVE-2023-44487, CVE-2025-8671) end the connection.
const MAX_PENDING_RESETS: usize = 20;
const MAX_LOCAL_RESETS: usize = 200;
/// Finds out that the other side is gone; a client that only answers these counts as idle.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Serves a connection until either side ends it, or nothing was asked for the header time-out.
/// A reply of which nothing was taken for the send time-out loses its stream, not the connection:
/// a proxy carries many clients on one, of which one may stall.
pub(super) async fn serve<I>(io: I, connection: Connection, server: &Server) -> Result<(), Error>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let limits = &server.limits;
    let requests = Arc::new(Requests::new());
    let connection = Arc::new(connection);
    let service = service_fn(|request| {
        let under_way = requests.begin();
        // Each request is answered in a task of its own, so it holds what it uses.
        let (front, connection) = (Arc::clone(&server.front), Arc::clone(&connection));
        async move {
            let response = front.respond(request, &connection).await;
            Ok::<_, Infallible>(response.map(|body| delivered(body, under_way)))
        }
    });
    let connection = http2::Builder::new(Streams::new(limits.send))
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .max_frame_size(MAX_FRAME)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_send_buf_size(MAX_BUFFER)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = &mut connection => return Ok(ended?),
        () = server.stopping.cancelled() => {}
        () = requests.idle(limits.header) => {
            // Perhaps not even the preface came; then there is nobody to take leave of.
            if !requests.any_yet() {
                return Ok(());
            }
        }
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = &mut connection => Ok(ended?),
        () = unanswered(&requests, limits.send) => Ok(()),
    }
}

/// Ends when a client that was told to leave has nothing under way and stays all the same.
async fn unanswered(requests: &Requests, patience: Duration) {
    tokio::time::sleep(patience).await;
    requests.idle(patience).await;
}
