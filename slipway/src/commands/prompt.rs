//! Asking a person, or reading what a script pipes in.

use std::io::{IsTerminal as _, Read as _, Write as _};

use anyhow::Context as _;
use auth::Secret;

/// More than any password or token.
const MAX_SECRET: u64 = 64 << 10;

/// A line typed by a person; `flag` is how a script says the same.
pub(super) fn line(question: &str, flag: &str) -> anyhow::Result<String> {
    anyhow::ensure!(
        std::io::stdin().is_terminal(),
        "standard input is no terminal to ask for the {} on: give it with {flag}",
        question.to_lowercase()
    );
    eprint!("{question}: ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// A token from standard input.
pub(super) fn token() -> anyhow::Result<Secret> {
    let token = piped()?;
    anyhow::ensure!(
        !token.is_empty(),
        "standard input: there is no token: pipe one in"
    );
    Ok(Secret::new(token))
}

/// A password: from standard input as a whole, without its last line break, or typed unseen.
pub(super) fn password(from_stdin: bool) -> anyhow::Result<Secret> {
    let password = if from_stdin {
        piped()?
    } else {
        anyhow::ensure!(
            std::io::stdin().is_terminal(),
            "standard input is no terminal: pipe the password in and add --password-stdin"
        );
        rpassword::prompt_password("Password: ")?
    };
    anyhow::ensure!(!password.is_empty(), "the password is empty");
    Ok(Secret::new(password))
}

/// Standard input as a whole, without its last line break.
fn piped() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_SECRET)
        .read_to_string(&mut text)
        .context("standard input")?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}

/// As [`password`], for one that nothing can check yet: a person types it twice.
pub(super) fn new_password(from_stdin: bool) -> anyhow::Result<Secret> {
    let new = password(from_stdin)?;
    if !from_stdin {
        let again = Secret::new(rpassword::prompt_password("The same again: ")?);
        anyhow::ensure!(
            again.expose() == new.expose(),
            "the two passwords differ: nothing was changed"
        );
    }
    Ok(new)
}
