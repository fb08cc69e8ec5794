//! Floods over HTTP/2: each ends its connection or its streams, and costs the others nothing.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use support::Server;
use support::frames::{
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, GOAWAY, HEADERS,
    PING, REFUSED_STREAM, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, field, frame, get, put,
    request, stream,
};

/// What one flood may make the server hold, in KiB.
const MEMORY: u64 = 50 << 10;

fn served(server: &Server) {
    let answer = server.get("/v2/", "");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Sends what `piece` makes, up to `most` times, and serves another client now and then. Fails if
/// the server still takes the flood then; returns what the server sent.
fn flood(server: &Server, most: u32, mut piece: impl FnMut(u32) -> Vec<u8>) -> Vec<Frame> {
    served(server);
    let before = server.memory();
    let mut raw = Raw::connect(&server.host);
    let reader = raw.reader();
    let mut batch = Vec::new();
    for nth in 0..most {
        batch.extend(piece(nth));
        if nth % 50 == 49 {
            if !raw.send(&batch) {
                break;
            }
            batch.clear();
        }
        if nth % 2000 == 0 {
            served(server);
        }
    }
    // Nothing more is sent, so that only a connection that was ended for the flood ends.
    let frames = reader.join().unwrap();
    let held = server.memory().saturating_sub(before);
    assert!(held < MEMORY, "{held} KiB more are held");
    served(server);
    frames
}

/// The connection was ended for the flood: with a reason, unless what was still on its way made
/// the kernel drop it.
fn is_told_to_calm_down(frames: &[Frame]) {
    let goaway = frames.iter().find(|frame| frame.kind == GOAWAY);
    if let Some(goaway) = goaway {
        assert_eq!(goaway.code(), Some(ENHANCE_YOUR_CALM), "{goaway:?}");
    }
}

#[test]
fn cve_2023_44487_rustsec_2023_0034_rapid_reset() {
    let server = Server::start("");
    let frames = flood(&server, 20_000, |nth| {
        let stream = stream(nth);
        let reset = frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
        [get(stream, "/v2/"), reset].concat()
    });
    is_told_to_calm_down(&frames);
}

/// Frames that make the server reset a stream itself.
#[test]
fn cve_2025_8671_rustsec_2024_0003_made_you_reset() {
    type Wrong = fn(u32) -> Vec<u8>;
    let server = Server::start("");
    let wrong: [(&str, Wrong); 3] = [
        ("a window grows too large", |stream| {
            frame(WINDOW_UPDATE, 0, stream, &[0x7f, 255, 255, 255])
        }),
        ("trailers that end nothing", |stream| {
            frame(HEADERS, END_HEADERS, stream, &field("a", "b"))
        }),
        ("more than was announced", |stream| {
            frame(DATA, END_STREAM, stream, b"more")
        }),
    ];
    for (what, wrong) in wrong {
        println!("{what}");
        // More than are allowed, fewer than hyper allows by default.
        let frames = flood(&server, 400, |nth| {
            let stream = stream(nth);
            let fields = [
                request("PUT", "/v2/a/manifests/v1"),
                field("content-length", "2"),
            ];
            let put = frame(HEADERS, END_HEADERS, stream, &fields.concat());
            [put, wrong(stream)].concat()
        });
        is_told_to_calm_down(&frames);
    }
}

#[test]
fn rustsec_2024_0332_headers_without_end() {
    let server = Server::start("");
    let frames = flood(&server, 100_000, |nth| {
        if nth == 0 {
            frame(HEADERS, END_STREAM, 1, &request("GET", "/v2/"))
        } else {
            frame(CONTINUATION, 0, 1, &field("a", "b"))
        }
    });
    is_told_to_calm_down(&frames);
}

#[test]
fn rustsec_2026_0258_empty_data() {
    let server = Server::start("");
    let frames = flood(&server, 200_000, |nth| {
        if nth == 0 {
            put(1)
        } else {
            frame(DATA, 0, 1, &[])
        }
    });
    is_told_to_calm_down(&frames);
}

/// A client that makes the server answer and takes no answer. (CVE-2019-9512, CVE-2019-9515)
fn unread(piece: &[u8]) {
    let server = Server::start("limits: {sendTimeout: 1s}\n");
    served(&server);
    let before = server.memory();
    let mut raw = Raw::connect(&server.host);
    let batch = piece.repeat(10_000);
    let mut batches = 0;
    while raw.send(&batch) {
        batches += 1;
        // Far more than the answers that two socket buffers hold.
        assert!(batches < 10_000, "it goes on for ever");
        if batches % 100 == 0 {
            served(&server);
        }
    }
    let held = server.memory().saturating_sub(before);
    assert!(held < MEMORY, "{held} KiB more are held");
    served(&server);
}

#[test]
fn cve_2019_9512_pings_whose_answers_are_not_read() {
    unread(&frame(PING, 0, 0, &[0; 8]));
}

#[test]
fn cve_2019_9515_settings_whose_answers_are_not_read() {
    unread(&frame(SETTINGS, 0, 0, &[]));
}

fn with_header(stream: u32, size: usize) -> Vec<u8> {
    let fields = [request("GET", "/v2/"), field("x", &"y".repeat(size))].concat();
    let mut pieces = fields.chunks(16 << 10).peekable();
    let mut kind = HEADERS;
    let mut frames = Vec::new();
    while let Some(piece) = pieces.next() {
        let mut flags = if kind == HEADERS { END_STREAM } else { 0 };
        if pieces.peek().is_none() {
            flags |= END_HEADERS;
        }
        frames.extend(frame(kind, flags, stream, piece));
        kind = CONTINUATION;
    }
    frames
}

#[test]
fn a_header_list_may_be_as_large_as_announced_and_no_larger() {
    let server = Server::start("");
    let mut raw = Raw::connect(&server.host);
    let status = |raw: &mut Raw, nth, size| {
        let stream = stream(nth);
        assert!(raw.send(&with_header(stream, size)));
        // RFC 7541 appendix A: 8 is `:status: 200`; 431 is not in the table.
        raw.expect(HEADERS, stream).payload[0]
    };
    // Tokens are long.
    assert_eq!(status(&mut raw, 0, 60 << 10), 0x88);
    let refused = status(&mut raw, 1, 66 << 10);
    assert_ne!(refused, 0x88, "66 KiB of headers are taken");
    // The connection lives; what is four times too large ends it.
    assert_eq!(status(&mut raw, 2, 1 << 10), 0x88);
    let _ = raw.send(&with_header(stream(3), 1 << 20));
    while raw.next().is_some() {}
    served(&server);
}

#[test]
fn streams_beyond_the_announced_number_are_refused() {
    let server = Server::start("");
    let mut raw = Raw::connect(&server.host);
    let settings = raw.expect(SETTINGS, 0).payload;
    let setting = |id: u16| {
        let mut all = settings.chunks(6);
        let one = all.find(|one| one[..2] == id.to_be_bytes())?;
        Some(u32::from_be_bytes(one[2..].try_into().unwrap()))
    };
    // RFC 9113 §6.5.2: concurrent streams, window, frame, header list.
    assert_eq!(setting(3), Some(250));
    assert_eq!(setting(4), Some(1 << 20));
    assert_eq!(setting(6), Some(64 << 10));
    for nth in 0..251 {
        assert!(raw.send(&put(stream(nth))));
    }
    let refused = raw.expect(RST_STREAM, stream(250));
    assert_eq!(refused.code(), Some(REFUSED_STREAM));
    served(&server);
    raw.close();
}
