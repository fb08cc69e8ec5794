//! A server that an ordinary user starts, with nothing but `slipway serve`.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener, ToSocketAddrs as _};

use serde_json::Value;
use tests::{Lab, OrFail, Server, Settings, toolbox};

use crate::git::Repository;
use crate::image::Image;
use crate::site::{Run, Site};

/// To whom `/etc/subuid` gives ids; `scripts/lab-install` makes it.
const USER: &str = "slipway-lab";
/// To whom it gives none.
const NOBODY: &str = "65534";

/// Says who it is, and brings something from the network.
const ASSEMBLE: &str = "#!/bin/busybox sh
set -e
echo \"built by $(busybox id -u)\"
busybox wget -q -O /opt/app/fetched \"$PAGE\"
busybox cp -r /tmp/src/. /opt/app/
";

#[test]
fn an_ordinary_users_server_builds() {
    let lab = Lab::new("build-user");
    let page = Page::serve();
    let more = format!(
        "builder: {{network: {{egress: registries-only, registries: ['{}:{}'], allow: [127.0.0.1/32, {}]}}}}\n",
        page.host, page.port, page.network
    );
    let settings = Settings {
        user: Some(USER.to_owned()),
        more,
        ..Settings::default()
    };
    let mut site = Site::with(&lab, &settings);
    let doctor = site
        .server
        .command(&lab, &["build", "doctor", "--json"])
        .ok();
    let doctor: Value = serde_json::from_str(&doctor).or_fail("JSON");
    assert_eq!(doctor["canRun"], true, "{doctor}");

    Image::assembling(ASSEMBLE).push(&lab, &site, "builders/small");
    lab.write("source/hello", "hello");
    let repository = Repository::serve(&lab, lab.path("source"));
    let told = site
        .slipway("build run --builder builders/small:1 --output team/app:v1 --json")
        .args(["--git", &repository.url, "--build-env"])
        .arg(format!("PAGE=http://{}:{}/", page.host, page.port))
        .ok();
    let run = Run::of(&told);
    let log = site.look(&format!("buildruns/{}/log", run.name()));
    assert_eq!(run.state(), "succeeded", "{log}");
    assert!(log.contains("built by 1001"), "{log}");
    let published = site.api().manifest("team/app", "v1").or_fail("the image");
    let published: Value =
        serde_json::from_str(&published.expect(200).text()).or_fail("the manifest");
    let layers = published["layers"].as_array().or_fail("layers");
    let layer = layers.last().and_then(|layer| layer["digest"].as_str());
    let path = format!("/v2/team/app/blobs/{}", layer.or_fail("a layer"));
    let layer = site.api().get(&path).or_fail("the layer").expect(200);
    let files = lab
        .program("tar")
        .args(["--list", "--verbose", "--gzip", "--numeric-owner"]);
    let files = files.stdin(layer.body).ok();
    for file in ["opt/app/hello", "opt/app/fetched"] {
        let line = files.lines().find(|line| line.ends_with(file));
        assert!(line.or_fail(&files).contains(" 1001/0 "), "{files}");
    }
    // The process that was started is the server still: it is who ends, and well.
    site.server.stop();
}

/// What `docs/build-machine.md` leaves to a service of root's is enough, and less than root has.
#[test]
fn a_server_with_the_capabilities_of_its_unit_builds() {
    let lab = Lab::new("build-unit");
    let guide = std::fs::read_to_string(toolbox::checkout().join("docs/build-machine.md"));
    let guide = guide.or_fail("the guide");
    let mut lines = guide.lines();
    let set = lines.find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let set = set.or_fail("the unit's capabilities").split(' ');
    let set = set.map(|name| name.trim_start_matches("CAP_").to_lowercase());
    let set: Vec<_> = set.map(|name| format!(",+{name}")).collect();
    let settings = Settings {
        under: vec![
            "setpriv".to_owned(),
            format!("--bounding-set=-all{}", set.concat()),
            "--".to_owned(),
        ],
        more: "builder: {enabled: true, defaults: {memoryBytes: 268435456}}\n".to_owned(),
        ..Settings::default()
    };
    let mut site = Site::with(&lab, &settings);
    let status = format!("/proc/{}/status", site.server.daemon().id());
    let status = std::fs::read_to_string(status).or_fail("the server's status");
    let effective = status.lines().find(|line| line.starts_with("CapEff:"));
    // Neither the kernel's modules nor its clock, say.
    let effective = effective.or_fail(&status).split_whitespace().nth(1);
    let effective = u64::from_str_radix(effective.or_fail(&status), 16).or_fail(&status);
    assert_eq!(effective & (1 << 16 | 1 << 25), 0, "{effective:x}");

    Image::assembling("#!/bin/busybox sh\nexec busybox cp -r /tmp/src/. /opt/app/\n").push(
        &lab,
        &site,
        "builders/small",
    );
    lab.write("source/hello", "hello");
    let repository = Repository::serve(&lab, lab.path("source"));
    let told = site
        .slipway("build run --builder builders/small:1 --output team/app:v1 --json")
        .args(["--git", &repository.url, "--test", "test -s /opt/app/hello"])
        .ok();
    let run = Run::of(&told);
    let log = site.look(&format!("buildruns/{}/log", run.name()));
    assert_eq!(run.state(), "succeeded", "{log}");
}

/// Where the user has no ids: a registry, or no server, as the configuration says.
#[test]
fn a_server_without_ids_is_a_registry() {
    let lab = Lab::new("build-nobody");
    let mut settings = Settings {
        user: Some(NOBODY.to_owned()),
        ..Settings::default()
    };
    let mut server = Server::start(&lab, &settings);
    assert!(server.log().contains("this machine runs no builds"));
    server.stop();
    "builder: {enabled: true}\n".clone_into(&mut settings.more);
    let mut server = Server::launch(&lab, &settings);
    assert!(!server.daemon().wait().success());
    let log = server.log();
    assert!(log.contains("cannot run builds"), "{log}");
    assert!(log.contains("usermod"), "it says how: {log}");
}

#[test]
fn a_server_whose_builder_cannot_be_opened_is_a_registry() {
    let lab = Lab::new("build-closed");
    let mut settings = Settings {
        more: "builder: {dir: /proc/nowhere}\n".to_owned(),
        ..Settings::default()
    };
    let mut server = Server::start(&lab, &settings);
    let log = server.log();
    assert!(
        log.contains("runs no builds") && log.contains("/proc/nowhere"),
        "{log}"
    );
    server.stop();
    "builder: {dir: /proc/nowhere, enabled: true}\n".clone_into(&mut settings.more);
    let mut server = Server::launch(&lab, &settings);
    assert!(!server.daemon().wait().success());
}

/// A web server of this machine, under a name that does not mean the sandbox itself.
struct Page {
    host: String,
    port: u16,
    network: String,
}

impl Page {
    fn serve() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").or_fail("a name");
        let host = host.trim().to_owned();
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).or_fail("listen");
        let port = listener.local_addr().or_fail("an address").port();
        let addresses = (host.as_str(), port).to_socket_addrs();
        let mut addresses = addresses.or_fail("this machine's name leads to it");
        let address = addresses.find_map(|address| match address.ip() {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        });
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.or_fail("a connection");
                let mut request = [0; 1024];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\npage\n");
            }
        });
        Self {
            network: format!("{}/32", address.or_fail("an IPv4 address of it")),
            host,
            port,
        }
    }
}
