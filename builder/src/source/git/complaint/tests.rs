use super::*;

#[test]
fn words_of_git_ssh_and_servers_have_their_class() {
    for (printed, class) in [
        (
            "fatal: Authentication failed for 'https://host/a/'",
            FaultClass::GitAuthInvalidUserOrPass,
        ),
        (
            "fatal: could not read Username for 'https://host': terminal prompts disabled",
            FaultClass::GitRemoteRepositoryPrivate,
        ),
        (
            "git@host: Permission denied (publickey). fatal: Could not read from remote repository.",
            FaultClass::GitAuthInvalidKey,
        ),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @ Host key verification failed.",
            FaultClass::GitHostKeyChanged,
        ),
        (
            "Host key verification failed. fatal: Could not read from remote repository.",
            FaultClass::GitHostKeyUnknown,
        ),
        (
            "fatal: couldn't find remote ref refs/heads/x",
            FaultClass::GitRevisionNotFound,
        ),
        (
            "fatal: repository 'https://host/a/' not found",
            FaultClass::GitRemoteRepositoryNotFound,
        ),
        (
            "ERROR: Repository not found. fatal: Could not read from remote repository.",
            FaultClass::GitRemoteRepositoryNotFound,
        ),
        (
            "server certificate verification failed. CAfile: none CRLfile: none",
            FaultClass::GitCertificateUntrusted,
        ),
        (
            "Failed to connect to host port 443: Connection refused",
            FaultClass::GitRemoteUnreachable,
        ),
        (
            "fatal: write error: No space left on device",
            FaultClass::DiskPressure,
        ),
        ("fatal: something new", FaultClass::GitError),
    ] {
        let url: GitUrl = "https://host/a".parse().unwrap();
        let fault = understand(&url, true, printed);
        assert_eq!(fault.class(), class, "{printed}");
        let is_of_ssh = printed.contains("Host key verification failed");
        assert_ne!(fault.to_string().contains(printed), is_of_ssh, "{fault}");
    }
}

#[test]
fn of_what_ssh_says_of_a_key_only_the_key_is_shown() {
    let url: GitUrl = "git@host:a".parse().unwrap();
    let banner = "@@@@@ @ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @ @@@@@ The fingerprint for the ED25519 key sent by \
        the remote host is SHA256:6jw0yoNHXVvdM3A5hjFCZUVvXsKbo4A7EDTG0sFh7dw. Please contact your system administrator. \
        remove with: ssh-keygen -f \"/builder/home/known_hosts\" -R \"host\" Host key verification failed.";
    let fault = understand(&url, true, banner).to_string();
    let end = "(it shows the key SHA256:6jw0yoNHXVvdM3A5hjFCZUVvXsKbo4A7EDTG0sFh7dw)";
    assert!(fault.ends_with(end), "{fault}");
    assert!(!fault.contains("@@"), "{fault}");
    let strict = "No ED25519 host key is known for host and you have requested strict checking. Host key verification failed.";
    let fault = understand(&url, true, strict).to_string();
    assert!(fault.ends_with("(builder.git.knownHostsFile)"), "{fault}");
    let old = "Unable to negotiate with host port 22: no matching host key type found. Their offer: ssh-rsa";
    let fault = understand(&url, true, old).to_string();
    assert!(fault.contains("Their offer: ssh-rsa"), "{fault}");
    assert!(!fault.contains("keyscan"), "{fault}");
}

#[test]
fn a_certificate_of_another_name_is_not_mended_by_an_authority() {
    let url: GitUrl = "https://host/a".parse().unwrap();
    for words in [
        "SSL: certificate subject name (ca) does not match target host name 'host'",
        "SSL: certificate subject name 'ca' does not match target hostname 'host'",
        "SSL: no alternative certificate subject name matches target host name 'host'",
        "SSL: no alternative certificate subject name matches target ipv4 address '10.0.0.1'",
    ] {
        let printed = format!("fatal: unable to access 'https://host/a/': {words}");
        let fault = understand(&url, true, &printed);
        assert_eq!(fault.class(), FaultClass::GitCertificateUntrusted);
        let said = fault.to_string();
        assert!(said.contains("of another name"), "{said}");
        assert!(!said.contains("ca.crt"), "{said}");
    }
}

#[test]
fn a_refused_key_that_was_never_given_is_a_missing_secret() {
    let url: GitUrl = "git@host:a".parse().unwrap();
    let fault = understand(&url, false, "git@host: Permission denied (publickey).");
    assert_eq!(fault.class(), FaultClass::GitRemoteRepositoryPrivate);
}

#[test]
fn a_repository_s_name_is_no_complaint() {
    let url: GitUrl = "https://host/ssl/certificate-not-found.git"
        .parse()
        .unwrap();
    let printed =
        format!("fatal: unable to access '{url}/': The requested URL returned error: 500");
    let fault = understand(&url, true, &printed);
    assert_eq!(fault.class(), FaultClass::GitError);
    let printed = "OpenSSL SSL_read: Connection reset by peer, errno 104";
    let fault = understand(&url, true, printed);
    assert_eq!(fault.class(), FaultClass::GitRemoteUnreachable);
}
