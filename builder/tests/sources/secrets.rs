//! Where a secret is while it is used: in one private file, and nowhere else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tests::OrFail;

use crate::servers::{PASSWORD, Servers, basic};

/// What anyone on the machine can see of processes: their arguments; and what the same user can: their environments.
fn processes() -> Vec<(String, String)> {
    let entries = std::fs::read_dir("/proc").or_fail("/proc").flatten();
    let read = |file: PathBuf| {
        let bytes = std::fs::read(file).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    };
    entries
        .map(|entry| {
            (
                read(entry.path().join("cmdline")),
                read(entry.path().join("environ")),
            )
        })
        .filter(|(line, _)| {
            line.starts_with("git ") || line.contains("/git") || line.contains("ssh ")
        })
        .collect()
}

#[tokio::test]
async fn no_process_shows_a_password() {
    let servers = Servers::start("secrets");
    let repository = servers.repository("private/app.git");
    for i in 0..20 {
        repository.files("main", &[("file", &format!("{i}"))]);
    }
    let mut app = servers.source("private/app.git");
    app.credential = Some(basic(PASSWORD));
    let is_ours = |environment: &str| environment.contains("/mirrors/sessions/session-");
    let stop = Arc::new(AtomicBool::new(false));
    let is_met = Arc::new(AtomicBool::new(false));
    let (ended, meets) = (stop.clone(), is_met.clone());
    let watcher = std::thread::spawn(move || {
        let mut seen = Vec::new();
        while !ended.load(Ordering::Relaxed) {
            let found = processes();
            if found.iter().any(|(_, environment)| is_ours(environment)) {
                meets.store(true, Ordering::Relaxed);
            }
            seen.extend(found);
        }
        seen
    });
    // On a busy machine the watcher may be too slow for the first ones.
    for number in 0..1_000 {
        if number >= 5 && is_met.load(Ordering::Relaxed) {
            break;
        }
        servers.fetch(&app).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let seen = watcher.join().unwrap();
    let saw = seen.iter().any(|(_, environment)| is_ours(environment));
    assert!(saw, "the watcher saw what it was to watch");
    for (line, environment) in &seen {
        for canary in ["canary-p", "canary%2Dp"] {
            assert!(!line.contains(canary), "{line}");
            assert!(!environment.contains(canary), "{line}");
        }
    }
}

#[tokio::test]
async fn nothing_of_a_password_stays_behind() {
    let servers = Servers::start("traces");
    servers
        .repository("private/app.git")
        .files("main", &[("file", "x")]);
    let mut app = servers.source("private/app.git");
    app.credential = Some(basic(PASSWORD));
    servers.fetch(&app).await.unwrap();
    app.revision = "nowhere".parse().unwrap();
    let fault = servers.fetch(&app).await.unwrap_err();
    assert!(!format!("{fault} {fault:?} {app:?}").contains("canary"));
    let mut folders = vec![servers.mirrors()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.metadata().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let content = std::fs::read(entry.path()).unwrap();
            let found = content.windows(6).any(|window| window == b"canary");
            assert!(!found, "{}", entry.path().display());
        }
    }
    let sessions = servers.mirrors().join("sessions");
    let mode = std::fs::metadata(&sessions).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    // What reads the mirror may end a moment later than what waited for it.
    for _ in 0..6_000 {
        if std::fs::read_dir(&sessions).unwrap().next().is_none() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{} is not empty", sessions.display());
}
