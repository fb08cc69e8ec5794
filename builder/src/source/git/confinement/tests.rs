//! What a program that a stranger got to run finds: not the server's user, and nothing to write to but its own.

use std::io::Write as _;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::thread::UnshareFlags;
use tempfile::TempDir;

use super::*;
use crate::source::SourceNetwork;
use crate::source::git::process::{Allowance, run};
use crate::source::git::session::Session;
use crate::source::git::sessions::Sessions;

struct Site {
    root: TempDir,
    repository: PathBuf,
    session: Arc<Session>,
}

/// A session with a repository, in a folder that only the server may look into.
fn site() -> Site {
    let root = tempfile::Builder::new()
        .prefix("it's # ")
        .tempdir()
        .unwrap();
    let user = User::usual();
    let sessions = Sessions::new(root.path().join("sessions"), user);
    let repository = root.path().join("repository.git");
    std::fs::create_dir(&repository).unwrap();
    user.give(&repository).unwrap();
    let session = Arc::new(Session::local(&repository, &sessions).unwrap());
    let site = Site {
        root,
        repository,
        session,
    };
    let made = site.git(&["init", "--quiet", "--bare"]);
    assert!(made.status.success(), "{made:?}");
    site
}

impl Site {
    fn git(&self, arguments: &[&str]) -> Output {
        let started = self
            .session
            .start(arguments, 1 << 30, |mut command| command.output());
        started.unwrap().0
    }

    /// Lets git run a shell, as a stranger would who found a way to.
    fn shell(&self, script: &str) -> String {
        let alias = format!("alias.x=!{script}");
        let output = self.git(&["-c", &alias, "x"]);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: not root, git is the same user as this test");
    }
    is_root
}

#[test]
fn git_is_nobody_and_can_become_no_more() {
    let site = site();
    let said = site.shell("id -u; id -G; setpriv --dump");
    assert!(said.contains("no_new_privs: 1"), "{said}");
    if !is_root() {
        return;
    }
    let User::Own(id) = User::usual() else {
        panic!("root has a user for git");
    };
    assert_ne!(id, 0);
    assert!(said.starts_with(&format!("{id}\n{id}\n")), "{said}");
    for set in [
        "Inheritable capabilities: [none]",
        "Capability bounding set: [none]",
    ] {
        assert!(said.contains(set), "{said}");
    }
    let setuid = site.shell("unshare --mount true; mount -t tmpfs none /; su -c id");
    assert!(!setuid.contains("uid=0"), "{setuid}");
}

#[test]
fn git_writes_to_its_session_and_its_repository_alone() {
    let site = site();
    let own = site.shell("touch \"$HOME/made\" \"$GIT_DIR/made\" && echo both");
    assert!(own.contains("both"), "{own}");
    assert!(site.repository.join("made").exists());
    if !is_root() {
        return;
    }
    // Open to everybody, so that only what is mounted keeps git away.
    let canary = site.root.path().join("canary");
    std::fs::write(&canary, "untouched").unwrap();
    for open in [site.root.path(), &canary] {
        std::fs::set_permissions(open, Permissions::from_mode(0o777)).unwrap();
    }
    let shared = PathBuf::from(format!("/tmp/slipway-canary-{}", std::process::id()));
    for place in [
        &canary,
        &shared,
        Path::new("/usr/slipway-canary"),
        Path::new("/etc/passwd"),
        Path::new("/canary"),
    ] {
        let said = site.shell(&format!(
            "echo harm >> '{}' || echo kept",
            place.display().to_string().replace('\'', "'\\''")
        ));
        assert!(said.contains("kept"), "{}: {said}", place.display());
    }
    assert_eq!(std::fs::read_to_string(&canary).unwrap(), "untouched");
    assert!(!shared.exists());
    let seen = site.shell("ls / /etc /tmp; ls \"$HOME/..\"; cat /etc/shadow || echo none");
    for hidden in ["proc", "root", "var", "shadow", "mounts", "slipway"] {
        assert!(!seen.lines().any(|line| line == hidden), "{hidden}: {seen}");
    }
    assert!(seen.contains("\nnone\n"), "{seen}");
}

#[test]
fn git_sees_no_process_of_others_and_leaves_none() {
    if !is_root() {
        return;
    }
    let site = site();
    // As the same user, but elsewhere.
    let sleep = ["-c", "alias.x=!sleep 600", "x"];
    let started = site
        .session
        .start(&sleep, 1 << 30, |mut command| command.spawn());
    let (other, _) = started.unwrap();
    let said = site.shell("kill -9 -1; setsid sleep 600 > /dev/null 2>&1 & echo started");
    drop(said);
    let alive = rustix::process::Pid::from_raw(other.id().cast_signed()).unwrap();
    assert!(rustix::process::test_kill_process(alive).is_ok());
    drop(crate::source::git::process::Group::of(Some(other.id())));
    let ended = { other }.wait().unwrap();
    assert!(!ended.success());
    let sleeping = std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let of_git = entry.metadata().is_ok_and(|found| {
            use std::os::unix::fs::MetadataExt as _;
            User::Own(found.uid()) == User::usual()
        });
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let here = site.repository.as_os_str().as_bytes();
        of_git
            && line.starts_with(b"sleep")
            && environment.windows(here.len()).any(|part| part == here)
    });
    assert!(!sleeping, "what git left running ended with it");
}

#[test]
fn t75_git_asks_the_kernel_for_what_builds_may() {
    let site = site();
    // io_uring_setup(2) has this number everywhere; AF_ALG and AF_VSOCK.
    let odd = "perl -e '$! = 0; syscall(425, 1, 0); print \"ring \", $! + 0, \"\\n\"; \
        for (38, 40) { $! = 0; socket(my $s, $_, 1, 0); print \"socket \", $! + 0, \"\\n\" } \
        socket(my $s, 2, 1, 0) and print \"tcp\\n\"'";
    assert_eq!(site.shell(odd), "ring 38\nsocket 38\nsocket 38\ntcp\n");
}

/// Takes one connection, says its name and closes.
fn listening(name: &'static str) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(name.as_bytes());
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn t75_git_reaches_its_server_and_nothing_else() {
    if !is_root() {
        return;
    }
    let site = site();
    let (server, other) = (listening("server"), listening("other"));
    let url = format!("https://127.0.0.1:{}/a.git", server.port());
    let sessions = Sessions::new(site.root.path().join("remote"), User::usual());
    let session = Session::remote(
        &url.parse().unwrap(),
        &site.repository,
        vec![server],
        None,
        &SourceNetwork::default(),
        Path::new("/x"),
        &sessions,
    );
    let remote = Arc::new(session.unwrap());
    let read =
        |host: &str, port: u16| format!("alias.x=!bash -c 'cat < /dev/tcp/{host}/{port} && echo'");
    for (session, host, port, answer) in [
        (&remote, "127.0.0.1", server.port(), "server\n"),
        // Where it means to go decides nothing.
        (&remote, "192.0.2.7", server.port(), "server\n"),
        (&remote, "127.0.0.1", other.port(), ""),
        (&remote, "192.0.2.7", 443, ""),
        (&site.session, "127.0.0.1", server.port(), ""),
        (&site.session, "192.0.2.7", server.port(), ""),
    ] {
        let allowance = Allowance {
            until: Instant::now() + Duration::from_secs(60),
            output: 1000,
            growth: None,
        };
        let ended = run(session, &["-c", &read(host, port), "x"], b"", allowance).await;
        let said = ended.unwrap().stdout;
        assert_eq!(String::from_utf8_lossy(&said), answer, "{host}:{port}");
    }
}

/// Says of every name that it is 192.0.2.53, and tells how often it was asked (RFC 1035, 4.1).
fn name_server(at: Ipv4Addr) -> Arc<AtomicUsize> {
    let socket = UdpSocket::bind((at, 53)).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            count.fetch_add(1, Ordering::SeqCst);
            let name = question[12..length].iter().position(|byte| *byte == 0);
            let end = 12 + name.unwrap() + 5;
            let is_for_ipv4 = question[end - 4..end - 2] == [0, 1];
            let mut answer = question[..end].to_vec();
            answer[2..12].copy_from_slice(&[
                0x81,
                0x80,
                0,
                1,
                0,
                u8::from(is_for_ipv4),
                0,
                0,
                0,
                0,
            ]);
            if is_for_ipv4 {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 53]);
            }
            socket.send_to(&answer, from).unwrap();
        }
    });
    asked
}

#[test]
fn t75_git_asks_no_name_server() {
    if !is_root() {
        return;
    }
    let site = site();
    let [.., high, low] = std::process::id().to_be_bytes();
    let at = Ipv4Addr::new(127, 53, high, low);
    let asked = name_server(at);
    let resolv = site.root.path().join("resolv.conf");
    std::fs::write(&resolv, format!("nameserver {at}\n")).unwrap();
    let question = "getent -s dns ahostsv4 slipway.test.";
    // A thread of its own, whose file system has another configuration.
    let (outside, inside) = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            #[expect(deprecated, reason = "what is not safe is the flag for files")]
            rustix::thread::unshare(UnshareFlags::NEWNS).unwrap();
            let all = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", all).unwrap();
            mount_bind(&resolv, "/etc/resolv.conf").unwrap();
            let outside = Command::new("sh").args(["-c", question]).output().unwrap();
            let outside = String::from_utf8(outside.stdout).unwrap();
            let asked = asked.swap(0, Ordering::SeqCst);
            let inside = site.shell(&format!("cat /etc/resolv.conf; {question}; echo $?"));
            ((outside, asked), inside)
        });
        thread.join().unwrap()
    });
    assert!(
        outside.0.starts_with("192.0.2.53 ") && outside.1 > 0,
        "{outside:?}"
    );
    assert_eq!(inside, format!("nameserver {at}\n2\n"));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn what_a_repository_brings_is_not_executed() {
    if !is_root() {
        return;
    }
    let site = site();
    let hook = site.repository.join("hook");
    std::fs::write(&hook, "#!/bin/sh\necho harm\n").unwrap();
    std::fs::set_permissions(&hook, Permissions::from_mode(0o755)).unwrap();
    let said = site.shell("\"$GIT_DIR/hook\"");
    assert!(
        !said.contains("harm") && said.contains("ermission denied"),
        "{said}"
    );
}

#[test]
fn bounds_hold_from_the_first_moment() {
    let site = site();
    let said = site.shell("ulimit -c; ulimit -d; ulimit -f");
    assert_eq!(said, format!("0\n{}\n{}\n", MEMORY / 1024, (1 << 30) / 512));
}

#[test]
fn a_machine_that_cannot_confine_runs_no_git() {
    if !is_root() {
        return;
    }
    let site = site();
    let mounts = site.session.folder().join("mounts");
    std::fs::write(mounts, "/nowhere /nowhere none rbind 0 0\n").unwrap();
    let output = site.git(&["-c", "alias.x=!echo ran", "x"]);
    assert_eq!(output.status.code(), Some(UNCONFINED), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("ran"));
}
