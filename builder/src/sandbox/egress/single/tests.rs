use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use super::*;

/// What somebody reads who connects, inside, to where they like.
fn read(servers: Vec<SocketAddr>, aim: SocketAddr) -> (io::Result<String>, Single) {
    let runtime = tokio::runtime::Handle::current();
    let inside = std::thread::spawn(move || {
        #[expect(deprecated, reason = "what is not safe is the flag for files")]
        rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNET).unwrap();
        let listeners = listen(&servers).unwrap();
        let _entered = runtime.enter();
        let single = Single::open(listeners, &servers).unwrap();
        let read = || {
            let mut stream = TcpStream::connect_timeout(&aim, Duration::from_secs(20))?;
            stream.write_all(b"?")?;
            let mut said = String::new();
            stream.read_to_string(&mut said)?;
            Ok(said)
        };
        (read(), single)
    });
    inside.join().unwrap()
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: not root, who alone may make networks");
    }
    is_root
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_is_the_server_and_every_other_port_is_nothing() {
    if !is_root() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0];
            stream.read_exact(&mut asked).unwrap();
            stream.write_all(b"server").unwrap();
        }
    });
    // The first address of the server does not answer.
    let dead: SocketAddr = (Ipv4Addr::new(127, 9, 9, 9), server.port()).into();
    let on = |port, hosts: &[&str]| -> Vec<SocketAddr> {
        let address = |host: &&str| (host.parse::<std::net::IpAddr>().unwrap(), port).into();
        hosts.iter().map(address).collect()
    };
    for aim in on(server.port(), &["127.0.0.1", "203.0.113.9", "192.0.2.1"]) {
        let (said, single) = read(vec![dead, server], aim);
        assert_eq!(said.unwrap(), "server", "{aim}");
        assert_eq!(single.failure(), None);
    }
    for aim in on(server.port() ^ 1, &["127.0.0.1", "203.0.113.9"]) {
        let (said, _single) = read(vec![server], aim);
        assert_eq!(said.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
    let (said, _single) = read(Vec::new(), server);
    said.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_told_of() {
    if !is_root() {
        return;
    }
    // Taken, so that nobody else listens there, and nobody does.
    let taken = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    taken.bind(&any.into()).unwrap();
    let gone = taken.local_addr().unwrap().as_socket().unwrap();
    let (said, single) = read(vec![gone], gone);
    said.unwrap_err();
    match single.failure() {
        Some(Failure::Server(why)) => assert!(why.contains("refused"), "{why}"),
        other => panic!("{other:?}"),
    }
}

/// Not a test of its own: it takes all descriptors of its process.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by a_connection_that_cannot_be_taken_ends_nothing"]
async fn out_of_descriptors() {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let inside = TcpListener::bind("127.0.0.1:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    let mut client = TcpStream::connect(inside.local_addr().unwrap()).unwrap();
    let limit = rustix::process::Rlimit {
        current: Some(64),
        maximum: Some(64),
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let all: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    let single = Single::open(vec![inside], &[server.local_addr().unwrap()]).unwrap();
    let noted = async {
        while single.failure().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(matches!(single.failure(), Some(Failure::Machine(_))));
        drop(all);
        server.accept().await
    };
    let noted = tokio::time::timeout(Duration::from_secs(60), noted);
    let (mut stream, _) = noted.await.unwrap().unwrap();
    assert_eq!(single.failure(), None, "it was taken after all");
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"server")
        .await
        .unwrap();
    drop(stream);
    let mut said = String::new();
    client.read_to_string(&mut said).unwrap();
    assert_eq!(said, "server");
}

#[test]
fn a_connection_that_cannot_be_taken_ends_nothing() {
    let name = "sandbox::egress::single::tests::out_of_descriptors";
    let mut process = std::process::Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", name, "--ignored"]);
    let ended = process.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(said.contains("1 passed"), "{said}");
}
