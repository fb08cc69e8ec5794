//! The names of all variables, and which of them a misspelt one was meant to be.

use builder::edits;
use schemars::schema_for;
use serde_json::Value;

use super::Config;

/// Variables of commands, which are no keys, and those that docs/pipelines.md has a pipeline set.
const COMMANDS: [&str; 5] = ["CONFIG", "SERVER", "NAMESPACE", "URL", "TOKEN"];
/// The longest name that two mistakes turn into another word altogether.
const SHORT: usize = 5;

/// The names of the variables of all keys, those that hold keys too, without `SLIPWAY_`.
pub(super) fn all() -> Vec<String> {
    let schema = schema_for!(Config).to_value();
    let mut names = Vec::new();
    collect(&schema, &schema, "", &mut names);
    names
}

fn collect(root: &Value, schema: &Value, above: &str, names: &mut Vec<String>) {
    let target = schema["$ref"].as_str();
    if let Some(schema) = target.and_then(|target| root.pointer(target.trim_start_matches('#'))) {
        return collect(root, schema, above, names);
    }
    let choices = ["anyOf", "oneOf"].map(|word| schema[word].as_array());
    for choice in choices.into_iter().flatten().flatten() {
        collect(root, choice, above, names);
    }
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        let name = match above {
            "" => upper(key),
            above => format!("{above}__{}", upper(key)),
        };
        collect(root, inner, &name, names);
        names.push(name);
    }
}

/// The variable that `written`, which is none, was meant to be.
pub(super) fn meant<'a>(written: &str, names: &'a [String]) -> Option<&'a str> {
    if is_of_commands(written) {
        return None;
    }
    let plain = |name: &str| name.replace('_', "");
    let distance = |name: &str| {
        let is_same = plain(name) == plain(written);
        if is_same { 0 } else { edits(written, name) }
    };
    let near = names.iter().map(|name| (distance(name), name));
    let (distance, name) = near.min_by_key(|(distance, _)| *distance)?;
    let bound = if name.len() > SHORT { 2 } else { 1 };
    (distance <= bound).then_some(name)
}

/// It is a command's own.
pub(super) fn is_of_commands(written: &str) -> bool {
    COMMANDS.contains(&written)
}

/// `certFile` → `CERT_FILE`.
fn upper(camel: &str) -> String {
    let mut upper = String::with_capacity(camel.len() + 1);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            upper.push('_');
        }
        upper.push(letter.to_ascii_uppercase());
    }
    upper
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::{all, is_of_commands, meant};
    use crate::cli::Cli;

    #[test]
    fn every_key_has_a_name() {
        let names = all();
        for name in [
            "LISTEN",
            "AUTH__HTPASSWD__FILE",
            "STORAGE__FS__ROOT",
            "TLS",
            "TLS__KEY_FILE",
        ] {
            assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
        }
    }

    /// No word of the command line is taken for a key that is none.
    #[test]
    fn variables_of_all_commands_are_known() {
        fn look(command: &clap::Command, found: &mut usize) {
            for variable in command.get_arguments().filter_map(clap::Arg::get_env) {
                if let Some(name) = variable.to_str().unwrap().strip_prefix("SLIPWAY_") {
                    assert!(is_of_commands(name), "{name}");
                    *found += 1;
                }
            }
            command.get_subcommands().for_each(|one| look(one, found));
        }
        let mut found = 0;
        look(&Cli::command(), &mut found);
        assert!(found > 3, "{found}");
    }

    #[test]
    fn what_was_meant_is_found_and_what_others_mean_is_not() {
        let names = all();
        for (written, name) in [
            ("LISTENN", "LISTEN"),
            ("LITSEN", "LISTEN"),
            ("HOST", "HOSTS"),
            ("DATADIR", "DATA_DIR"),
            ("AUTH_HTPASSWD_FILE", "AUTH__HTPASSWD__FILE"),
            ("STORAGE_FS_ROOT", "STORAGE__FS__ROOT"),
            ("TLS_CERT_FILE", "TLS__CERT_FILE"),
            ("AUTH_ANONYMUS", "AUTH__ANONYMOUS"),
            ("LOG_LEVEL", "LOG__LEVEL"),
        ] {
            assert_eq!(meant(written, &names), Some(name), "{written}");
        }
        for written in [
            "FOO",
            "CONFIG",
            "SERVER",
            "NAMESPACE",
            "TOKEN",
            "URL",
            "PORT",
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_HTTPS",
            "PORT_5000_TCP",
            "PORT_5000_TCP_ADDR",
            "PORT_5000_TCP_PORT",
            "PORT_5000_TCP_PROTO",
            "LOG_SERVICE_HOST",
            "LOG_PORT",
            "AUTH_PORT",
            "TLS_SERVICE_PORT",
        ] {
            assert_eq!(meant(written, &names), None, "{written}");
        }
    }
}
