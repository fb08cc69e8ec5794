use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

struct Lab {
    dir: TempDir,
    htpasswd: Arc<Htpasswd>,
}

fn line(user: &str, password: &str) -> String {
    format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap())
}

fn lab(users: &[(&str, &str)]) -> Lab {
    let dir = tempfile::tempdir().unwrap();
    let text: String = users
        .iter()
        .map(|(user, password)| line(user, password))
        .collect();
    fs::write(dir.path().join("users"), text).unwrap();
    let htpasswd = Arc::new(Htpasswd::load(&dir.path().join("users")).unwrap());
    Lab { dir, htpasswd }
}

impl Lab {
    fn path(&self) -> PathBuf {
        self.dir.path().join("users")
    }

    async fn ask(&self, user: &str, password: &str) -> Result<Option<Identity>, Refusal> {
        let credential = Credential::basic(user, Secret::new(password.into()))?;
        let from = Some("10.0.0.1".parse().unwrap());
        self.htpasswd
            .authenticate(&credential, from, SystemTime::UNIX_EPOCH)
            .await
    }
}

#[tokio::test]
async fn right_and_wrong() {
    let lab = lab(&[("alice", "secret"), ("bob", "other")]);
    let who = lab.ask("alice", "secret").await.unwrap().unwrap();
    assert_eq!((who.name(), who.provider()), ("alice", "htpasswd"));
    for (user, password) in [
        ("alice", "other"),
        ("alice", "secre"),
        ("alice", "secret "),
        ("", "secret"),
    ] {
        assert_eq!(
            lab.ask(user, password).await,
            Err(Refusal::BadCredential),
            "{user} {password}"
        );
    }
    for nobody in ["Alice", "eve"] {
        assert_eq!(lab.ask(nobody, "secret").await, Ok(None), "{nobody}");
    }
    let bearer = Credential::Bearer(Secret::new("x".into()));
    assert_eq!(
        lab.htpasswd
            .authenticate(&bearer, None, SystemTime::UNIX_EPOCH)
            .await,
        Ok(None)
    );
}

#[tokio::test]
async fn a_pull_of_twenty_layers_pays_once() {
    let lab = lab(&[("alice", "secret")]);
    for _ in 0..20 {
        assert!(lab.ask("alice", "secret").await.is_ok());
    }
    assert_eq!(lab.htpasswd.checks(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_that_start_at_once_pay_once() {
    let lab = Arc::new(lab(&[("alice", "secret")]));
    let clients: Vec<_> = (0..100)
        .map(|_| Arc::clone(&lab))
        .map(|lab| tokio::spawn(async move { lab.ask("alice", "secret").await }))
        .collect();
    for client in clients {
        assert_eq!(client.await.unwrap().unwrap().unwrap().name(), "alice");
    }
    assert_eq!(lab.htpasswd.checks(), 1);
}

#[tokio::test]
async fn known_and_unknown_users_cost_one_check_each() {
    let lab = lab(&[("alice", "secret")]);
    let _ = lab.ask("alice", "wrong").await;
    assert_eq!(lab.htpasswd.checks(), 1);
    let _ = lab.ask("nobody", "wrong").await;
    assert_eq!(lab.htpasswd.checks(), 2);
    // The decoy is alice's hash, and still her password lets nobody in.
    assert_eq!(lab.ask("nobody", "secret").await, Ok(None));
    assert_eq!(lab.htpasswd.checks(), 3);
}

#[tokio::test]
async fn what_bcrypt_cannot_hold_is_left_to_others_and_not_cut() {
    let full = "p".repeat(72);
    let lab = lab(&[("alice", &full)]);
    assert!(lab.ask("alice", &full).await.unwrap().is_some());
    assert_eq!(lab.ask("alice", &format!("{full}x")).await, Ok(None));
    // No credential holds these at all.
    for other in [format!("{full}\0"), "p\0".into(), String::new()] {
        let asked = lab.ask("alice", &other).await;
        assert_eq!(asked, Err(Refusal::BadCredential));
    }
    assert_eq!(
        lab.ask("alice", &full[1..]).await,
        Err(Refusal::BadCredential)
    );
}

#[tokio::test]
async fn guessing_is_throttled_but_whoever_is_known_gets_in() {
    let lab = lab(&[("alice", "secret"), ("bob", "other")]);
    lab.ask("alice", "secret").await.unwrap();
    let mut wrong = 0;
    loop {
        match lab.ask("alice", &format!("guess {wrong}")).await {
            Err(Refusal::BadCredential) => wrong += 1,
            Err(Refusal::Throttled { retry_after }) => {
                assert!(retry_after >= Duration::from_secs(1));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(wrong, 10);
    let checks = lab.htpasswd.checks();
    assert!(lab.ask("alice", "guess").await.is_err());
    assert_eq!(
        lab.htpasswd.checks(),
        checks,
        "a throttled attempt costs no bcrypt"
    );
    assert!(
        lab.ask("alice", "secret").await.is_ok(),
        "the pair is remembered"
    );
    assert!(lab.ask("bob", "other").await.is_ok(), "another account");
}

/// A short token of a cluster, in the place of a password, is no guess; what nobody knows is one.
#[tokio::test]
async fn names_of_no_user_are_throttled_unless_somebody_else_knows_them() {
    let lab = lab(&[("alice", "secret")]);
    let token = Credential::basic("token", Secret::new("sha256~known".into())).unwrap();
    let from = Some("10.0.0.1".parse().unwrap());
    for guess in 0..9 {
        let asked = lab.ask("token", &format!("guess {guess}")).await;
        assert_eq!(asked, Ok(None));
    }
    for _ in 0..30 {
        assert_eq!(lab.ask("token", "sha256~known").await, Ok(None));
        lab.htpasswd.known_elsewhere(&token, from);
    }
    assert_eq!(lab.htpasswd.checks(), 10, "the pair is remembered");
    assert_eq!(lab.ask("token", "guess 9").await, Ok(None));
    let eleventh = lab.ask("token", "guess 10").await;
    assert!(
        matches!(eleventh, Err(Refusal::Throttled { .. })),
        "nothing was forgiven twice: {eleventh:?}"
    );
    assert_eq!(lab.ask("token", "sha256~known").await, Ok(None));
    fs::write(lab.path(), line("token", "sha256~known")).unwrap();
    assert!(lab.htpasswd.reload().unwrap());
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
    let user = lab.htpasswd.authenticate(&token, from, later).await;
    assert!(user.unwrap().is_some(), "there is such a user now");
}

/// Forgiving is for what was counted: a long token under a user's name makes no room for guesses at that user.
#[tokio::test]
async fn a_token_under_a_users_name_forgives_no_guess() {
    let lab = lab(&[("alice", "secret")]);
    let long = Credential::basic("alice", Secret::new("t".repeat(73))).unwrap();
    let from = Some("10.0.0.1".parse().unwrap());
    for guess in 0..10 {
        let asked = lab.ask("alice", &format!("guess {guess}")).await;
        assert_eq!(asked, Err(Refusal::BadCredential));
        let asked = lab
            .htpasswd
            .authenticate(&long, from, SystemTime::UNIX_EPOCH);
        assert_eq!(asked.await, Ok(None));
        lab.htpasswd.known_elsewhere(&long, from);
    }
    let asked = lab.ask("alice", "guess").await;
    assert!(matches!(asked, Err(Refusal::Throttled { .. })), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_made_at_once_do_not_slip_through_together() {
    let lab = Arc::new(lab(&[("alice", "secret")]));
    let guesses: Vec<_> = (0..200)
        .map(|n| (n, Arc::clone(&lab)))
        .map(|(n, lab)| tokio::spawn(async move { lab.ask("alice", &n.to_string()).await }))
        .collect();
    let mut throttled = 0;
    for guess in guesses {
        throttled += usize::from(matches!(
            guess.await.unwrap(),
            Err(Refusal::Throttled { .. })
        ));
    }
    assert_eq!((throttled, lab.htpasswd.checks()), (190, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_turned_away_beyond_the_queue_and_nobody_is_blamed() {
    let lab = lab(&[("alice", "secret")]);
    let all = lab
        .htpasswd
        .queue
        .clone()
        .acquire_many_owned(u32::try_from(MAX_QUEUED).unwrap())
        .await
        .unwrap();
    for _ in 0..20 {
        assert!(matches!(
            lab.ask("alice", "secret").await,
            Err(Refusal::Unavailable { .. })
        ));
    }
    assert_eq!(lab.htpasswd.checks(), 0);
    drop(all);
    assert!(lab.ask("alice", "secret").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hang_up_do_not_free_a_core_that_still_works() {
    let lab = lab(&[("alice", "secret")]);
    let cores = lab.htpasswd.cores.available_permits();
    let slow = bcrypt::hash("x", 12).unwrap();
    fs::write(lab.path(), format!("alice:{slow}\n")).unwrap();
    assert!(lab.htpasswd.reload().unwrap());
    {
        let ask = lab.ask("alice", "x");
        tokio::pin!(ask);
        while lab.htpasswd.checks() == 0 {
            assert!(poll_once(ask.as_mut()).await.is_none(), "not done yet");
        }
    }
    assert_eq!(lab.htpasswd.cores.available_permits(), cores - 1);
    let _rest = lab
        .htpasswd
        .cores
        .acquire_many(u32::try_from(cores).unwrap())
        .await
        .unwrap();
    assert_eq!(lab.htpasswd.queue.available_permits(), MAX_QUEUED);
}

/// Polls once.
async fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut future = Some(future);
    std::future::poll_fn(move |context| {
        let polled = future.take().map(|future| future.poll(context));
        std::task::Poll::Ready(match polled {
            Some(std::task::Poll::Ready(output)) => Some(output),
            _ => None,
        })
    })
    .await
}

#[tokio::test]
async fn a_changed_or_removed_password_is_forgotten_with_the_reload() {
    let lab = lab(&[("alice", "old"), ("bob", "other")]);
    let alice = lab.ask("alice", "old").await.unwrap().unwrap();
    let bob = lab.ask("bob", "other").await.unwrap().unwrap();
    fs::write(lab.path(), line("alice", "new")).unwrap();
    assert!(lab.ask("alice", "old").await.is_ok(), "not yet read");
    assert!(lab.htpasswd.reload().unwrap());
    assert_eq!(lab.ask("alice", "old").await, Err(Refusal::BadCredential));
    assert!(lab.ask("alice", "new").await.is_ok());
    assert_eq!(lab.ask("bob", "other").await, Ok(None));
    assert!(lab.htpasswd.revoked(&bob) && lab.htpasswd.revoked(&alice));
    let alice = lab.ask("alice", "new").await.unwrap().unwrap();
    assert!(!lab.htpasswd.revoked(&alice));
    let elsewhere = Identity::authenticated("kubernetes", "bob", []);
    assert!(!lab.htpasswd.revoked(&elsewhere), "not one of its own");
}

/// The same person is the same wherever the file is read, and whoever has the name with another password is not.
#[tokio::test]
async fn a_uid_is_of_one_user_and_one_password() {
    let lab = lab(&[("alice", "secret"), ("bob", "secret")]);
    let alice = lab.ask("alice", "secret").await.unwrap().unwrap();
    let uid = alice.uid().unwrap();
    assert!(uid.len() == 20 && !uid.contains('$'));
    let bob = lab.ask("bob", "secret").await.unwrap().unwrap();
    assert_ne!(bob.uid(), alice.uid());
    let replica = Htpasswd::load(&lab.path()).unwrap();
    assert!(!replica.revoked(&alice));
    // Another line, above: what is before it does not matter.
    let file = fs::read_to_string(lab.path()).unwrap();
    fs::write(lab.path(), format!("# users\n{}{file}", line("eve", "x"))).unwrap();
    assert!(lab.htpasswd.reload().unwrap() && !lab.htpasswd.revoked(&alice));
    let unmarked = Identity::authenticated(PROVIDER, "alice", []);
    assert!(lab.htpasswd.revoked(&unmarked), "no uid is none of theirs");
    fs::write(lab.path(), line("bob", "secret")).unwrap();
    assert!(lab.htpasswd.reload().unwrap() && lab.htpasswd.revoked(&alice));
    fs::write(lab.path(), line("alice", "secret")).unwrap();
    assert!(lab.htpasswd.reload().unwrap());
    assert!(
        lab.htpasswd.revoked(&alice),
        "of the same name and password"
    );
    let namesake = lab.ask("alice", "secret").await.unwrap().unwrap();
    assert_eq!(namesake.principal(), alice.principal(), "uploads go on");
    assert!(!lab.htpasswd.revoked(&namesake));
}

#[tokio::test]
async fn a_broken_file_keeps_the_users() {
    let lab = lab(&[("alice", "secret")]);
    fs::write(lab.path(), "alice:plain\n").unwrap();
    let error = lab.htpasswd.reload().unwrap_err().to_string();
    assert!(error.contains("users:1: "), "{error}");
    fs::remove_file(lab.path()).unwrap();
    assert!(lab.htpasswd.reload().is_err());
    assert!(lab.ask("alice", "secret").await.is_ok());
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let lab = lab(&[("alice", "hunter2")]);
    let _ = lab.ask("alice", "hunter2").await;
    let shown = format!("{:?} {:?}", lab.htpasswd, lab.htpasswd.users.current());
    assert!(
        !shown.contains("hunter2") && !shown.contains("$2"),
        "{shown}"
    );
}
