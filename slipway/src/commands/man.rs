//! `slipway man`: what `--help` says, as pages for man(1).

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;
use clap::{Arg, Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::VERSION;
use crate::cli::Cli;

/// What is read besides the variables of arguments, by the argument that brings it.
const ENVIRONMENT: [(&str, &str, &str); 3] = [
    (
        "config",
        "SLIPWAY_…",
        "Every key of the configuration: SLIPWAY_AUTH__HTPASSWD__FILE is auth.htpasswd.file. \
         They go over the file.",
    ),
    (
        "authfile",
        "DOCKER_CONFIG",
        "The folder of docker's config.json, if not ~/.docker.",
    ),
    (
        "authfile",
        "XDG_RUNTIME_DIR",
        "The folder of podman's containers/auth.json, if not /run/containers/UID/auth.json.",
    ),
];

pub(super) fn write(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    pages(&command, "slipway", dir)
        .with_context(|| format!("write the pages into {}", dir.display()))
}

/// `path` is the command as it is typed.
fn pages(command: &Command, path: &str, dir: &Path) -> io::Result<()> {
    for command in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        pages(command, &format!("{path} {}", command.get_name()), dir)?;
    }
    let man = Man::new(command.clone().bin_name(path))
        .source(format!("slipway {VERSION}"))
        .manual("Slipway Manual");
    let mut page = Vec::new();
    render(&man, command, &mut page)?;
    let mut file = fs::File::create(dir.join(man.get_filename()))?;
    file.write_all(&page)
}

fn render(man: &Man, command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    if command.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(page)?;
    }
    environment(command).to_writer(page)?;
    examples(command).to_writer(page)
}

fn environment(command: &Command) -> Roff {
    let mut roff = Roff::new();
    let of_arguments = command.get_arguments().filter_map(|arg| {
        let name = arg.get_env()?.to_str()?;
        Some((name, format!("Stands for {}.", written(arg))))
    });
    let more = ENVIRONMENT
        .into_iter()
        .filter(|(arg, ..)| command.get_arguments().any(|one| one.get_id() == arg))
        .map(|(_, name, text)| (name, text.to_owned()));
    let mut variables = of_arguments.chain(more).peekable();
    if variables.peek().is_some() {
        roff.control("SH", ["ENVIRONMENT"]);
    }
    for (name, text) in variables {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(text)]);
    }
    roff
}

fn written(arg: &Arg) -> String {
    match arg.get_long() {
        Some(long) => format!("--{long}"),
        None => arg.get_id().as_str().to_uppercase(),
    }
}

/// The examples line by line as they stand in the help: their columns mean something.
fn examples(command: &Command) -> Roff {
    let mut roff = Roff::new();
    let Some(help) = command.get_after_help() else {
        return roff;
    };
    let help = help.to_string();
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in help.lines().filter(|line| !line.starts_with("Example")) {
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    roff.control("fi", []);
    roff
}
