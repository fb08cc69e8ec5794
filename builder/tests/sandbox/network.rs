//! Where a run can connect to.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use builder::sandbox::{AddressRules, Egress, Stream, Upstream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::lab::{Lab, programs, script};

/// Says `own` by way of its own loopback, for half a second at least. From a file: nc(1) ends with the other, which may be before
/// there is anything in a pipe.
const TALKS: &str = "echo own > own; nc -l -p 4000 < own & sleep 0.5; \
                     until nc 127.0.0.1 4000 </dev/null 2>/dev/null; do sleep 0.1; done";
/// How long that may take: it has an end where it is in vain.
const IN_VAIN: Option<Duration> = Some(Duration::from_secs(120));

/// A server on the host's loopback that answers every request with its own name.
pub(crate) async fn server(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let _ = stream.read(&mut request).await;
                let reply = format!(
                    "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{name}\n",
                    name.len() + 1
                );
                let _ = stream.write_all(reply.as_bytes()).await;
            });
        }
    });
    address
}

fn registries(hosts: &[&str], ranges: &[&str]) -> Egress {
    Egress::Registries {
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        addresses: AddressRules::allowing(
            ranges.iter().map(|range| range.parse().unwrap()).collect(),
        ),
    }
}

#[tokio::test]
async fn none_is_none_but_the_loopback_works() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let host = server("host").await;
    let mut process = script(&format!(
        "nc {} {} </dev/null || echo refused; nc -w 2 1.1.1.1 80 </dev/null || echo unreachable; \
         {TALKS}; \
         ip -o address | grep -v ' lo '; ip route",
        host.ip(),
        host.port()
    ));
    process.limits.wall = IN_VAIN;
    let said = lab.run(&root, &process).await.unwrap();
    assert_eq!(
        said.out(),
        "refused\nunreachable\nown\n",
        "{:?}",
        said.lines
    );
}

#[tokio::test]
async fn registries_are_reached_by_name_and_nothing_else_is() {
    let lab = Lab::new().await;
    let root = lab.debian("root");
    let port = server("registry").await.port();
    let other = server("other").await.port();
    let name = host_name();
    // No /bin/sh of the host's needs more than its libraries.
    let mut process = programs(&format!(
        "get() {{ curl -sS -m 60 http://$1/ || echo no; }}; get {name}:{port}; get {name}:{other}; \
         get 127.0.0.1:{port}; get example.com; get 169.254.169.254; get '[::1]:{port}'; get '[2606:4700::1111]'; get 1.1.1.1; \
         bash -c 'echo x > /dev/udp/1.1.1.1/4000' 2>/dev/null || echo no"
    ));
    let host = format!("{name}:{port}");
    process.egress = registries(&[&host], &["127.0.0.0/8"]);
    let said = lab.run(&root, &process).await.unwrap();
    let lines: Vec<_> = said
        .lines
        .iter()
        .filter(|line| line.stream == Stream::Out)
        .map(|line| line.text.as_str())
        .collect();
    assert_eq!(
        lines,
        ["registry", "no", "no", "no", "no", "no", "no", "no", "no"],
        "{:?}",
        said.lines
    );
    let refused = said.text(Stream::Sandbox);
    for what in [
        &format!("{name}:{other}"),
        "example.com",
        "169.254.169.254:80",
    ] {
        assert!(refused.contains(what), "{what} in {refused}");
    }
}

#[tokio::test]
async fn t61_a_name_that_leads_to_a_private_address_is_refused() {
    let lab = Lab::new().await;
    let root = lab.debian("root");
    let port = server("private").await.port();
    let name = host_name();
    let mut process = programs(&format!(
        "curl -sS -m 60 http://{name}:{port}/ 2>/dev/null || echo refused"
    ));
    process.egress = registries(&[&format!("{name}:{port}")], &[]);
    let said = lab.run(&root, &process).await.unwrap();
    assert_eq!(said.out(), "refused\n");
    assert!(
        said.text(Stream::Sandbox).contains("127.0.0.1"),
        "{:?}",
        said.lines
    );
}

#[tokio::test]
async fn t61_full_reaches_what_is_allowed_and_never_metadata() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    // An address of the host that is not the namespace's own loopback.
    let own = tests::machine::private_address();
    let listener = TcpListener::bind((own, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"host\n").await;
        }
    });
    let text = format!(
        "nc {own} {port} </dev/null || echo refused; nc 169.254.169.254 80 </dev/null || echo never; \
         nc 127.0.0.1 {port} </dev/null || echo own"
    );
    let mut process = script(&text);
    let range = format!("{own}/32").parse().unwrap();
    process.egress = Egress::Full {
        addresses: AddressRules::allowing(vec![range, "169.254.0.0/16".parse().unwrap()]),
    };
    let said = lab.run(&root, &process).await.unwrap();
    assert!(said.out().starts_with("host\n"), "{:?}", said.lines);
    assert!(said.text(Stream::Sandbox).contains("169.254.169.254:80"));
    process.egress = Egress::Full {
        addresses: AddressRules::default(),
    };
    let said = lab.run(&root, &process).await.unwrap();
    assert!(
        !said.out().contains("host"),
        "private by default: {:?}",
        said.lines
    );
    assert!(
        said.text(Stream::Sandbox)
            .contains(&format!("{own}:{port}"))
    );
}

/// A name that this machine's own files lead to the loopback or to an address of its own; not `localhost`, which the
/// sandbox's files lead to its own loopback.
fn host_name() -> String {
    let output = std::process::Command::new("hostname").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn runs_do_not_meet() {
    let lab = Lab::new().await;
    let roots: Vec<_> = (0..8)
        .map(|number| lab.root(&format!("root{number}")))
        .collect();
    // The same address and port, and the same names of abstract sockets, at the same time.
    let text = format!("grep -c @ /proc/net/unix; {TALKS}; sleep 0.5");
    let mut process = script(&text);
    process.limits.wall = IN_VAIN;
    process.egress = registries(&["localhost"], &[]);
    let runs = roots.iter().map(|root| lab.run(root, &process));
    for said in futures_util::future::join_all(runs).await {
        let said = said.unwrap();
        assert_eq!(said.out(), "0\nown\n", "{:?}", said.lines);
    }
}

/// A server that needs a proxy has it used for its builds, which know nothing of it.
#[tokio::test]
async fn connections_go_through_the_servers_proxy() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut inner = vec![0; 4096];
        let _ = stream.read(&mut inner).await.unwrap();
        let reply = b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\nproxied\n";
        stream.write_all(reply).await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let upstream = Upstream::parse(&format!("http://me:hunter2@127.0.0.1:{port}"), Vec::new());
    let lab = Lab::with(|settings| settings.upstream = Some(upstream.unwrap())).await;
    let root = lab.debian("root");
    let mut process = programs("curl -sS -m 60 http://registry.example/; env");
    process.egress = registries(&["registry.example"], &[]);
    let said = lab.run(&root, &process).await.unwrap();
    assert!(said.out().starts_with("proxied\n"), "{:?}", said.lines);
    assert!(!said.out().contains("hunter2"));
    assert!(
        asked
            .await
            .unwrap()
            .starts_with("CONNECT registry.example:80 ")
    );
}

/// A proxy that says who was asked for, whatever that is.
async fn proxy() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let target = request.split(' ').nth(1).unwrap_or_default();
            seen.lock().unwrap().push(target.to_owned());
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut inner = vec![0; 4096];
            let _ = stream.read(&mut inner).await.unwrap();
            let reply = b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\nproxied\n";
            stream.write_all(reply).await.unwrap();
        }
    });
    (port, asked)
}

/// Whichever the policy: names that this machine does not know reach the proxy as names, and hosts that are spared do not.
#[tokio::test]
async fn a_proxy_is_asked_by_name_and_spares_what_is_direct() {
    let (port, asked) = proxy().await;
    let direct = server("direct").await.port();
    let own = host_name();
    let rule = format!("{own}:{direct}");
    let upstream = Upstream::parse(
        &format!("http://127.0.0.1:{port}"),
        vec![rule.parse().unwrap()],
    );
    let lab = Lab::with(|settings| settings.upstream = Some(upstream.unwrap())).await;
    let root = lab.debian("root");
    let mut process = programs(&format!(
        "get() {{ curl -sS -m 60 http://$1/ || echo no; }}; get outside.example; get {rule}; get 169.254.169.254"
    ));
    let loopback = || vec!["127.0.0.0/8".parse().unwrap()];
    let full = |addresses| Egress::Full { addresses };
    let listed = registries(&["outside.example", &rule], &["127.0.0.0/8"]);
    for egress in [listed, full(AddressRules::allowing(loopback()))] {
        process.egress = egress.clone();
        let said = lab.run(&root, &process).await.unwrap();
        assert_eq!(
            said.out(),
            "proxied\ndirect\nno\n",
            "{egress:?} {:?}",
            said.lines
        );
        let asked = std::mem::take(&mut *asked.lock().unwrap());
        assert_eq!(asked, ["outside.example:80"], "{egress:?}");
    }
    // What this machine knows of a name is judged all the same, through the proxy or not.
    process = programs(&format!(
        "curl -sS -m 60 http://{rule}/ || echo no; curl -sS -m 60 http://{own}:81/ || echo no"
    ));
    process.egress = full(AddressRules::default());
    let said = lab.run(&root, &process).await.unwrap();
    assert_eq!(said.out(), "no\nno\n", "{:?}", said.lines);
    assert!(said.text(Stream::Sandbox).contains(&rule));
    let asked = asked.lock().unwrap();
    assert!(asked.is_empty(), "{asked:?}");
}
