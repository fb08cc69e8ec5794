//! `slipway user`.

use std::path::PathBuf;

use anyhow::Context as _;
use auth::htpasswd::File;

use super::{print, prompt};
use crate::cli::{Output, User, UserCommand, UserFile};
use crate::config::load;

pub(super) fn run(command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Add(user) => set(&user, false),
        UserCommand::Passwd(user) => set(&user, true),
        UserCommand::Remove { name, file } => remove(&name, &file),
        UserCommand::List { file, printing } => list(&file, printing.form()),
    }
}

fn set(user: &User, exists: bool) -> anyhow::Result<()> {
    let path = path(&user.file)?;
    let mut file = File::load(&path)?;
    let name = &user.name;
    let known = file.users().any(|known| known == name);
    anyhow::ensure!(
        known || !exists,
        "{name}: no such user in {}; use `slipway user add`",
        path.display()
    );
    anyhow::ensure!(
        !known || exists,
        "{name}: is in {} already; use `slipway user passwd`",
        path.display()
    );
    file.set_password(name, &prompt::new_password(user.password_stdin)?)?;
    file.save()?;
    let done = if exists { "changed" } else { "added" };
    print::line(&format!("{name}: {done} in {}", path.display()))
}

fn remove(name: &str, file: &UserFile) -> anyhow::Result<()> {
    let path = path(file)?;
    let mut file = File::load(&path)?;
    anyhow::ensure!(
        file.remove(name),
        "{name}: no such user in {}",
        path.display()
    );
    file.save()?;
    print::line(&format!("{name}: removed from {}", path.display()))
}

fn list(file: &UserFile, output: Output) -> anyhow::Result<()> {
    let path = path(file)?;
    // To the other commands a file that is not there is one without users.
    anyhow::ensure!(
        path.try_exists()
            .with_context(|| path.display().to_string())?,
        "{}: there is no such file; `slipway user add` makes it",
        path.display()
    );
    let file = File::load(&path)?;
    match output {
        Output::Text => file.users().try_for_each(print::line),
        Output::Json => {
            let users: Vec<_> = file
                .users()
                .map(|name| serde_json::json!({ "name": name }))
                .collect();
            print::json(&users)
        }
    }
}

fn path(file: &UserFile) -> anyhow::Result<PathBuf> {
    if let Some(path) = &file.htpasswd {
        return Ok(path.clone());
    }
    let config = load(file.config.config.as_deref(), true)?;
    let htpasswd = config.auth.htpasswd.context(
        "no htpasswd file: name it with --htpasswd FILE, or a configuration that does with --config",
    )?;
    Ok(htpasswd.file)
}
