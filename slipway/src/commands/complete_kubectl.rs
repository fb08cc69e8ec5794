//! `kubectl_complete-slipway`: what may follow the words behind `kubectl slipway`
//! (<https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/>; the answer is that of cobra's `__complete`).

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::print;
use crate::cli::Cli;

/// Cobra's word for "files may follow as well".
const FILES: &str = ":0";
/// Cobra's word for "and nothing else".
const NO_FILES: &str = ":4";

pub(super) fn run(words: &[String]) -> anyhow::Result<()> {
    print::whole(answer(words).as_bytes())
}

fn answer(words: &[String]) -> String {
    let (typed, before) = words
        .split_last()
        .map_or(("", words), |(last, before)| (last.as_str(), before));
    let mut command = Cli::command();
    command.build();
    let mut command = &command;
    let mut previous = None;
    for word in before {
        previous = Some(word.as_str());
        if let Some(inner) = command.find_subcommand(word) {
            command = inner;
        }
    }
    let mut lines = String::new();
    let mut offer = |name: &str, about: Option<String>| {
        if name.starts_with(typed) {
            let about = about.unwrap_or_default();
            let about = about.lines().next().unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{name}\t{about}");
        }
    };
    if let Some(values) = previous.and_then(|word| values(command, word)) {
        for value in &values {
            offer(value, None);
        }
        let directive = if values.is_empty() { FILES } else { NO_FILES };
        return format!("{lines}{directive}\n");
    }
    if typed.starts_with('-') {
        for argument in command.get_arguments().filter(|one| !one.is_hide_set()) {
            if let Some(long) = argument.get_long() {
                offer(
                    &format!("--{long}"),
                    argument.get_help().map(ToString::to_string),
                );
            }
        }
        return format!("{lines}{NO_FILES}\n");
    }
    for inner in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        offer(inner.get_name(), inner.get_about().map(ToString::to_string));
    }
    let directive = if command.has_subcommands() {
        NO_FILES
    } else {
        FILES
    };
    format!("{lines}{directive}\n")
}

/// What may stand behind an option that takes a value; nothing in particular is an empty list.
fn values(command: &Command, word: &str) -> Option<Vec<String>> {
    let long = word.strip_prefix("--")?;
    let takes_value =
        |argument: &&Arg| argument.get_long() == Some(long) && argument.get_action().takes_values();
    let argument = command.get_arguments().find(takes_value)?;
    let values = argument.get_possible_values();
    Some(
        values
            .iter()
            .map(|value| value.get_name().to_owned())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::answer;

    fn after(words: &[&str]) -> String {
        answer(&words.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn commands_options_and_values_are_offered() {
        let all = after(&[""]);
        assert!(all.contains("\nlogin\t") && all.ends_with(":4\n"), "{all}");
        assert!(!all.contains("complete-kubectl"), "{all}");
        let auth = after(&["auth", "w"]);
        assert!(
            auth.starts_with("whoami\t") && !auth.contains("can-i"),
            "{auth}"
        );
        let options = after(&["login", "--ser"]);
        assert!(options.starts_with("--service-account\t"), "{options}");
        let values = after(&["pull", "--engine", ""]);
        assert_eq!(values, "podman\t\ndocker\t\ncontainerd\t\n:4\n");
        assert_eq!(after(&["login", "--kubeconfig", "x"]), ":0\n");
    }
}
