//! What a server lists is asked for without git where the server understands it, and of git where it does not.

use builder::source::git::{GitSource, References};
use builder::source::{Fault, FaultClass};
use tests::OrFail;

use crate::servers::{PASSWORD, Servers, basic};

/// What a repository offers, and the requests that it took, `POST 200`.
async fn asked(servers: &Servers, source: &GitSource) -> (Result<References, Fault>, Vec<String>) {
    let before = servers.requests().len();
    let fetcher = servers.fetcher(servers.network());
    let found = fetcher.references("shop", source).await;
    let requests = servers.requests().split_off(before);
    let short = requests.lines().map(|line| {
        let mut parts = line.split('"').skip(1);
        let (request, status) = (parts.next(), parts.next());
        let word = |text: Option<&str>| {
            let text = text.or_fail("nginx's usual line");
            text.split_whitespace().next().map(str::to_owned)
        };
        format!(
            "{} {}",
            word(request).or_fail("a method"),
            word(status).or_fail("a status")
        )
    });
    (found, short.collect())
}

/// With branches, an annotated tag, and a default branch that is not the first.
fn repository(servers: &Servers, path: &str) {
    let repository = servers.repository(path);
    repository.files("also", &[("file", "also")]);
    let commit = repository.files("main", &[("file", "main")]);
    repository.tag("v1", &commit);
}

#[tokio::test]
async fn it_takes_one_question() {
    let servers = Servers::start("listed");
    repository(&servers, "public/app.git");
    repository(&servers, "private/app.git");
    let (public, requests) = asked(&servers, &servers.source("public/app.git")).await;
    let public = public.unwrap();
    assert_eq!(requests, ["POST 200"]);
    assert_eq!(public.default_branch().unwrap().as_str(), "main");
    assert_eq!(public.branches().len(), 2);
    let (tag, main) = ("v1".parse().unwrap(), "main".parse().unwrap());
    assert_eq!(public.commit(&tag), public.commit(&main));

    let mut private = servers.source("private/app.git");
    private.credential = Some(basic(PASSWORD));
    let (private, requests) = asked(&servers, &private).await;
    assert_eq!(requests, ["POST 200"]);
    assert_eq!(private.unwrap(), public);
}

#[tokio::test]
async fn git_asks_servers_of_the_old_protocol_the_same() {
    let servers = Servers::start("listed-old");
    repository(&servers, "public/app.git");
    let (new, _) = asked(&servers, &servers.source("public/app.git")).await;
    let (old, requests) = asked(&servers, &servers.source("old/app.git")).await;
    assert_eq!(requests, ["POST 200", "GET 200"]);
    assert_eq!(old.unwrap(), new.unwrap());
}

#[tokio::test]
async fn git_says_why_there_is_no_answer() {
    let servers = Servers::start("listed-none");
    repository(&servers, "private/app.git");
    let mut wrong = servers.source("private/app.git");
    wrong.credential = Some(basic("wrong"));
    for (source, class) in [
        (
            servers.source("public/none.git"),
            FaultClass::GitRemoteRepositoryNotFound,
        ),
        (
            servers.source("private/app.git"),
            FaultClass::GitRemoteRepositoryPrivate,
        ),
        (wrong, FaultClass::GitAuthInvalidUserOrPass),
    ] {
        let (fault, requests) = asked(&servers, &source).await;
        assert_eq!(fault.unwrap_err().class(), class);
        assert!(requests.len() > 1, "{requests:?}");
    }
    // One that asks for no password takes a wrong one, as git never shows it.
    repository(&servers, "public/app.git");
    let mut public = servers.source("public/app.git");
    public.credential = Some(basic("wrong"));
    asked(&servers, &public).await.0.unwrap();
}
