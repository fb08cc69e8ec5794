use tokio::sync::mpsc;

use super::*;

/// A question for the addresses (type 1) of a name, or of another type.
fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut message = vec![0xAB, 0xCD, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    message
}

/// A name server that answers each question with `length` bytes, and tells of it.
async fn name_server(length: usize) -> (SocketAddr, mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            while let Ok(asked) = message(&mut stream).await {
                let _ = tell.send(asked);
                send(&mut stream, &vec![7; length]).await.unwrap();
            }
        }
    });
    (address, told)
}

/// A run's end of a connection that is carried to name servers.
async fn connection(servers: Vec<SocketAddr>) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let outside = TcpStream::connect(listener.local_addr().unwrap());
    let (outside, inside) = tokio::join!(outside, listener.accept());
    let inside = inside.unwrap().0;
    tokio::spawn(async move { carry_questions(inside, &servers).await });
    outside.unwrap()
}

#[tokio::test]
async fn ordinary_questions_are_answered_over_a_connection() {
    // More than a datagram takes: why a resolver asks this way.
    let (server, mut told) = name_server(60_000).await;
    let mut stream = connection(vec![server]).await;
    for name in ["pypi.org", "files.pythonhosted.org"] {
        send(&mut stream, &question(name, 1)).await.unwrap();
        assert_eq!(message(&mut stream).await.unwrap(), vec![7; 60_000]);
        assert_eq!(told.recv().await.unwrap(), question(name, 1));
    }
}

#[tokio::test]
async fn what_is_no_ordinary_question_ends_the_connection_and_is_not_carried_on() {
    let (server, mut told) = name_server(12).await;
    let mut update = question("example.com", 6);
    update[2] = 5 << 3;
    for other in [
        question("example.com", 252),
        question("example.com", 255),
        update,
        b"GET / HTTP/1.1\r\nHost: metadata\r\n\r\n".to_vec(),
        Vec::new(),
        vec![0; 65_535],
    ] {
        let mut stream = connection(vec![server]).await;
        send(&mut stream, &question("pypi.org", 1)).await.unwrap();
        assert_eq!(message(&mut stream).await.unwrap(), [7; 12]);
        told.recv().await.unwrap();
        send(&mut stream, &other).await.unwrap();
        assert!(message(&mut stream).await.is_err(), "{other:?}");
        assert!(told.try_recv().is_err(), "{other:?}");
    }
}

#[tokio::test]
async fn a_name_server_that_does_not_answer_is_passed_over() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = closed.local_addr().unwrap();
    drop(closed);
    let (server, _told) = name_server(12).await;
    let mut stream = connection(vec![gone, server]).await;
    send(&mut stream, &question("pypi.org", 1)).await.unwrap();
    assert_eq!(message(&mut stream).await.unwrap(), [7; 12]);
    // None is left: the connection ends, and the resolver tries another way.
    let mut stream = connection(vec![gone]).await;
    send(&mut stream, &question("pypi.org", 1)).await.unwrap();
    assert!(message(&mut stream).await.is_err());
}
