use tokio::net::TcpListener;

use super::*;

/// A proxy that answers once, and gives back what it was asked.
async fn proxy(answer: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap()
    });
    (port, asked)
}

#[tokio::test]
async fn a_connection_is_asked_for_and_begins_after_the_answer() {
    let (port, asked) = proxy("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nfirst").await;
    let upstream =
        Upstream::parse(&format!("http://me:p%40ss@127.0.0.1:{port}"), Vec::new()).unwrap();
    let mut stream = upstream.connect("pypi.org", 443).await.unwrap();
    let mut first = String::new();
    stream.read_to_string(&mut first).await.unwrap();
    assert_eq!(first, "first");
    let asked = asked.await.unwrap();
    assert!(
        asked.starts_with("CONNECT pypi.org:443 HTTP/1.1\r\nHost: pypi.org:443\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains(&format!(
            "Proxy-Authorization: Basic {}\r\n",
            STANDARD.encode("me:p@ss")
        )),
        "{asked}"
    );
    assert!(!format!("{upstream:?}").contains("ss"));
}

#[tokio::test]
async fn a_refusal_is_one() {
    for answer in [
        "HTTP/1.1 407 Who\r\n\r\n",
        "HTTP/1.1 403 No\r\n\r\n",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 cut",
    ] {
        let (port, _asked) = proxy(answer).await;
        let upstream = Upstream::parse(&format!("http://127.0.0.1:{port}"), Vec::new()).unwrap();
        assert!(upstream.connect("pypi.org", 443).await.is_err(), "{answer}");
    }
}

#[test]
fn only_plain_http_proxies_are_proxies() {
    for text in [
        "",
        "proxy:3128",
        "https://proxy",
        "socks5://proxy:1080",
        "http://proxy/path",
        "http://",
    ] {
        assert!(Upstream::parse(text, Vec::new()).is_err(), "{text}");
    }
    let direct = vec!["*.corp.example".parse().unwrap()];
    let upstream = Upstream::parse("http://proxy:3128/", direct).unwrap();
    assert!(upstream.spares("nexus.corp.example", 443));
    assert!(!upstream.spares("pypi.org", 443));
}
