use std::process::Command;

use zeroize::Zeroizing;

use super::*;

fn check(files: &[(&str, &str)]) -> Result<(), String> {
    let files = files.iter().map(|(name, content)| {
        let content = Zeroizing::new(content.as_bytes().to_vec());
        ((*name).to_owned(), content)
    });
    let refused = GitFiles::check(&SecretFiles(files.collect()));
    refused.map_err(|refused| refused.to_string())
}

/// The private key and the public one, of the real program.
fn keys(arguments: &[&str]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-f"])
        .arg(&file)
        .args(arguments)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let read = |file| std::fs::read_to_string(file).unwrap();
    (read(file.clone()), read(file.with_extension("pub")))
}

#[test]
fn keys_that_no_server_takes_are_refused_when_they_are_set() {
    let (open, public) = keys(&["-t", "ed25519", "-N", ""]);
    assert_eq!(check(&[("ssh-privatekey", &open), ("hosts", "h")]), Ok(()));
    let (old, _) = keys(&["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""]);
    assert_eq!(check(&[("ssh-privatekey", &old)]), Ok(()));
    let refused = check(&[("ssh-privatekey", &public)]).unwrap_err();
    assert!(refused.contains("public"), "{refused}");
    for form in [
        &["-t", "ed25519"][..],
        &["-t", "rsa", "-b", "2048", "-m", "PEM"],
        &["-t", "rsa", "-b", "2048", "-m", "PKCS8"],
    ] {
        let (locked, _) = keys(&[form, &["-N", "a passphrase"]].concat());
        let refused = check(&[("ssh-privatekey", &locked)]).unwrap_err();
        assert!(refused.contains("passphrase"), "{form:?}: {refused}");
    }
}

#[test]
fn what_is_not_whole_is_refused_and_said_without_what_is_in_it() {
    let certificate = rcgen::generate_simple_self_signed(["git.example".to_owned()]).unwrap();
    let pem = certificate.cert.pem();
    assert_eq!(check(&[("ca.crt", &pem)]), Ok(()));
    assert_eq!(
        check(&[("username", "ann\n"), ("password", "p\n"), ("ca.crt", &pem)]),
        Ok(())
    );
    for (files, named) in [
        (&[("username", "ann")][..], "password"),
        (&[("password", "hunter2")], "user"),
        (&[("deploy", "hunter2")], "deploy"),
        (
            &[
                ("username", "ann"),
                ("password", "hunter2"),
                ("token", "hunter2"),
            ],
            "token",
        ),
        (&[("ca.crt", "hunter2")], "ca.crt"),
        (&[("known_hosts", "hunter2")], "password"),
    ] {
        let refused = check(files).unwrap_err();
        assert!(refused.contains(named), "{files:?}: {refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}
