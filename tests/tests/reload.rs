//! Certificates, users and rights change under a running server, as an operator changes them: by writing files.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tests::{Access, Api, Endpoint, Lab, OrFail, Server, Settings, access, tls, until};

/// The serial number of the certificate that the server presents.
fn serial(lab: &Lab, at: &Endpoint) -> String {
    let shown = lab
        .program("openssl")
        .args(["s_client", "-connect", &at.host, "-servername", "localhost"])
        .ok();
    lab.program("openssl")
        .args(["x509", "-noout", "-serial"])
        .stdin(shown)
        .ok()
}

fn status(api: &Api, path: &str) -> u16 {
    api.get(path).or_fail(path).status.as_u16()
}

#[test]
fn a_renewed_certificate_is_presented_without_a_restart_and_a_broken_one_is_not() {
    let lab = Lab::new("reload-tls");
    let authority = tls::Authority::new(&lab);
    let settings = Settings {
        tls: Some((
            authority.certificate.clone(),
            authority.issue(&lab, "server"),
        )),
        ..Settings::default()
    };
    let mut server = Server::start(&lab, &settings);
    let at = server.endpoint().clone();
    let first = serial(&lab, &at);

    authority.issue(&lab, "server");
    until("the renewed certificate is presented", || {
        serial(&lab, &at) != first
    });
    let renewed = serial(&lab, &at);

    let kept = std::fs::read(lab.path("server.crt")).or_fail("read the certificate");
    let logged = server.log().len();
    lab.write("server.crt", "this is no certificate\n");
    until("the log names the bad file", || {
        server.log()[logged..].contains("server.crt")
    });
    assert_eq!(serial(&lab, &at), renewed, "a broken file changes nothing");
    lab.write("server.crt", kept);
    let _ = Api::new(&at)
        .get("/v2/")
        .or_fail("still serves")
        .expect(200);
    server.stop();
}

#[test]
fn a_user_added_to_htpasswd_gets_in_and_a_removed_one_is_locked_out() {
    let lab = Lab::new("reload-users");
    let settings = Settings {
        access: Some(Access::write(&lab)),
        ..Settings::default()
    };
    let server = Server::start(&lab, &settings);
    let path = "/v2/team/app/tags/list";
    let newcomer = Api::new(&server.endpoint().as_user("newcomer"));
    assert_eq!(status(&newcomer, "/v2/"), 401);

    let before = std::fs::read_to_string(lab.path("htpasswd")).or_fail("read htpasswd");
    let line = access::htpasswd_line(&lab, "newcomer", &access::password_of("newcomer"));
    lab.write("htpasswd", format!("{before}{line}"));
    until("the newcomer is known", || status(&newcomer, "/v2/") == 200);

    let puller = Api::new(&server.endpoint().as_user("puller"));
    assert_eq!(
        status(&puller, path),
        404,
        "known, and nothing is there yet"
    );
    let without: Vec<&str> = before
        .lines()
        .filter(|line| !line.starts_with("puller:"))
        .collect();
    lab.write("htpasswd", without.join("\n") + "\n");
    until("the removed user is locked out", || {
        status(&puller, "/v2/") == 401
    });
}

#[test]
fn a_binding_written_to_the_folder_gives_a_right_and_its_removal_takes_it() {
    let lab = Lab::new("reload-rbac");
    let settings = Settings {
        access: Some(Access::write(&lab)),
        ..Settings::default()
    };
    let server = Server::start(&lab, &settings);
    let pusher = Api::new(&server.endpoint().as_user("pusher"));
    pusher.push_image("team/app", "v1", &[b"a layer".to_vec()]);
    let stranger = Api::new(&server.endpoint().as_user("stranger"));
    let path = "/v2/team/app/tags/list";
    let refused = status(&stranger, path);
    assert!([401, 403, 404].contains(&refused), "{refused}");

    let file = lab.write(
        "rbac/more.yaml",
        access::binding("team", "image-puller", "stranger"),
    );
    until("the new binding counts", || status(&stranger, path) == 200);
    std::fs::remove_file(file).or_fail("remove the binding");
    until("the removed binding counts no more", || {
        status(&stranger, path) == refused
    });
}

/// A Secret as the kubelet mounts it: files behind a link to a folder, which is swapped whole.
struct Volume {
    root: PathBuf,
    generation: u32,
}

impl Volume {
    fn new(lab: &Lab, name: &str, keys: &str) -> Self {
        let mut volume = Self {
            root: lab.dir(name),
            generation: 0,
        };
        volume.update(keys);
        symlink("..data/keys.pem", volume.file()).or_fail("link the file");
        volume
    }

    fn file(&self) -> PathBuf {
        self.root.join("keys.pem")
    }

    fn update(&mut self, keys: &str) {
        self.generation += 1;
        let folder = format!("..{}", self.generation);
        let path = self.root.join(&folder);
        std::fs::create_dir(&path).or_fail("make the next folder");
        std::fs::write(path.join("keys.pem"), keys).or_fail("write the keys");
        let next = self.root.join("..data_tmp");
        symlink(&folder, &next).or_fail("link it");
        std::fs::rename(next, self.root.join("..data")).or_fail("swap it in");
        let before = self.root.join(format!("..{}", self.generation - 1));
        if before.exists() {
            std::fs::remove_dir_all(before).or_fail("remove the one before");
        }
    }
}

/// A server of its own content whose keys are in a volume.
fn with_keys(lab: &Lab, name: &str, htpasswd: &Path, volume: &Volume) -> Server {
    let settings = Settings {
        memory: true,
        data: Some(lab.path(name)),
        more: format!(
            "hosts: [registry.example]\nauth:\n  htpasswd: {{file: {}}}\n  tokens: {{keyFile: {}}}\n",
            htpasswd.display(),
            volume.file().display()
        ),
        ..Settings::default()
    };
    Server::start(lab, &settings)
}

fn issued(server: &Server) -> String {
    let puller = Api::new(&server.endpoint().as_user("puller"));
    let reply = puller.get("/auth/token").or_fail("ask").expect(200);
    let answer: serde_json::Value = serde_json::from_slice(&reply.body).or_fail("JSON");
    answer["token"].as_str().or_fail("a token").to_owned()
}

/// The id of the key that signed it.
fn signer(token: &str) -> String {
    token.split('.').next().unwrap_or_default().to_owned()
}

#[test]
fn two_servers_take_each_others_tokens_through_a_whole_rotation_of_their_keys() {
    let lab = Lab::new("reload-keys");
    let htpasswd = Access::write(&lab).htpasswd;
    let key = || {
        lab.program("openssl")
            .args(["genpkey", "-algorithm", "ed25519"])
            .ok()
    };
    let (old, new) = (key(), key());
    let mut volumes = ["one", "two"].map(|name| Volume::new(&lab, name, &old));
    let servers = [
        with_keys(&lab, "data-one", &htpasswd, &volumes[0]),
        with_keys(&lab, "data-two", &htpasswd, &volumes[1]),
    ];
    let accepted = |token: &str| {
        servers.each_ref().map(|server| {
            let api = Api::new(server.endpoint());
            let request = api.request(reqwest::Method::GET, "/v2/").bearer_auth(token);
            api.send(request).or_fail("ask").status.as_u16()
        })
    };
    let reads = |server: &Server| server.log().matches("read again after a change").count();
    let first = issued(&servers[0]);
    assert_eq!(accepted(&first), [200, 200]);

    let mut live = vec![first.clone(), issued(&servers[1])];
    // In front it verifies, behind it signs; and never both servers at the same time.
    for keys in [format!("{new}{old}"), format!("{old}{new}")] {
        for (volume, server) in volumes.iter_mut().zip(&servers) {
            let before = reads(server);
            volume.update(&keys);
            until("the keys are read again", || reads(server) > before);
            live.extend(servers.iter().map(issued));
            for token in &live {
                assert_eq!(accepted(token), [200, 200]);
            }
        }
    }
    let last = issued(&servers[0]);
    assert_ne!(signer(&last), signer(&first), "the new key signs");
    assert_eq!(signer(&last), signer(&issued(&servers[1])));
    // When the old key goes, so do its tokens, and only those.
    for volume in &mut volumes {
        volume.update(&new);
    }
    until("the old key's tokens end", || {
        accepted(&first) == [401, 401]
    });
    assert_eq!(accepted(&last), [200, 200]);
}
