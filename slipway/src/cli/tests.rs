use clap::{Command, CommandFactory as _};

use super::Cli;

/// The commands that do something, by their full names.
fn leaves(command: &Command, name: &str, found: &mut Vec<(String, Command)>) {
    let mut own = command
        .get_subcommands()
        .filter(|inner| inner.get_name() != "help")
        .peekable();
    if own.peek().is_none() {
        found.push((name.to_owned(), command.clone()));
    }
    for inner in own {
        leaves(inner, &format!("{name} {}", inner.get_name()), found);
    }
}

#[test]
fn the_commands_fit_together() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_and_option_is_explained_and_every_command_has_an_example_of_itself() {
    let mut found = Vec::new();
    leaves(&Cli::command(), "slipway", &mut found);
    assert!(found.len() > 10, "{} commands", found.len());
    for (name, command) in found {
        assert!(command.get_about().is_some(), "{name}: what is it?");
        for argument in command.get_arguments() {
            assert!(
                argument.get_help().is_some(),
                "{name}: what is {}?",
                argument.get_id()
            );
        }
        let examples = command.get_after_help().map(ToString::to_string);
        assert!(
            examples.is_some_and(|text| text.contains("Example") && text.contains(&name)),
            "{name}: no example of it"
        );
    }
}
