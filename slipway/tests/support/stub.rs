//! A host that answers over HTTP what a test wants it to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

/// Answers every request until the test ends: `answer` gets its head and its body, and gives the status with its reason, headers
/// below it if there are any, and the body.
pub fn serve(
    listener: TcpListener,
    mut answer: impl FnMut(&str, &str) -> (String, String) + Send + 'static,
) {
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                let from = head.len();
                if reader.read_line(&mut head).unwrap_or(0) == 0 {
                    break;
                }
                let line = head[from..].to_lowercase();
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
            }
            if head.is_empty() {
                continue;
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let (status, text) = answer(&head, &String::from_utf8(body).unwrap());
            let length = text.len();
            let end = format!("Content-Length: {length}\r\nConnection: close\r\n\r\n{text}");
            // Whoever goes away early does so.
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n{end}").as_bytes());
        }
    });
}
