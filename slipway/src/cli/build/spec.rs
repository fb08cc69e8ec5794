//! Arguments that say what is built, and how.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

/// A git repository as a source.
#[derive(Debug, Args)]
pub(crate) struct GitArgs {
    /// The repository (https://…, ssh://…, user@host:path); behind # a branch, a tag or a commit. Default: its default
    /// branch.
    #[arg(long, value_name = "URL[#REVISION]")]
    pub(crate) git: Option<String>,
    /// The folder of the repository to build.
    #[arg(long, value_name = "DIR")]
    pub(crate) context_dir: Option<String>,
    /// The secret for the repository's server (slipway secret set --for git).
    #[arg(long, value_name = "NAME")]
    pub(crate) git_secret: Option<String>,
    /// Fetch submodules too.
    #[arg(long)]
    pub(crate) submodules: bool,
    /// Fetch files of Git LFS too.
    #[arg(long)]
    pub(crate) lfs: bool,
}

/// How something is built.
#[derive(Debug, Default, Args)]
pub(crate) struct SpecArgs {
    /// A variable while building and in the image; without a value, as it is here. May be given more than once.
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// A variable while building, which is not in the image.
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) build_env: Vec<String>,
    /// A file of variables, NAME=VALUE on each line, read as .s2i/environment is: no quotes, no blanks around either. Lines of
    /// comments begin with # or //.
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// A secret of the namespace (slipway secret set), whose files the build finds in the folder /run/secrets/NAME, or in
    /// this one.
    #[arg(long, value_name = "NAME[:PATH]")]
    pub(crate) secret: Vec<String>,
    /// The files of a secret, in the folder where assemble works or in this one, while building only.
    #[arg(long, value_name = "NAME[:PATH]")]
    pub(crate) inject: Vec<String>,
    /// The same, which stay in the image: the secret must be set --for image.
    #[arg(long, value_name = "NAME[:PATH]")]
    pub(crate) inject_keep: Vec<String>,
    /// How .s2iignore is read. Default: classic.
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) ignore: Option<IgnoreArg>,
    /// Take over artifacts of the image before (save-artifacts): of the build's newest result, or of what the output's
    /// name stands for now.
    #[arg(long)]
    pub(crate) incremental: bool,
    /// The image that the result stands on instead of the builder image.
    #[arg(long, value_name = "IMAGE")]
    pub(crate) runtime_image: Option<String>,
    /// What the runtime image takes of the built one. Default: what its label says.
    #[arg(long, value_name = "SOURCE[:FOLDER]", requires = "runtime_image")]
    pub(crate) runtime_artifact: Vec<String>,
    /// Who runs assemble-runtime. Default: whom the runtime image's label says, else its user.
    #[arg(long, value_name = "USER", requires = "runtime_image")]
    pub(crate) assemble_runtime_user: Option<String>,
    /// Remove the source after assemble.
    #[arg(long)]
    pub(crate) clean: bool,
    /// What the build may reach. Default: everything but the server's own surroundings.
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(crate) network: Option<NetworkArg>,
    /// Memory at most: 512m, 2g.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory: Option<u64>,
    /// Processors at most: 0.5, 2.
    #[arg(long, value_name = "NUMBER", value_parser = millis)]
    pub(crate) cpus: Option<u32>,
    /// Written to disk at most: 10g.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) disk: Option<u64>,
    /// Processes and threads at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pids: Option<u32>,
    /// How long a run may wait for its turn: 30m.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) queue_timeout: Option<Duration>,
    /// How long a run may work: 30m.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// A command that must succeed in the result before it is published.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) test: Option<String>,
    /// A label of the image.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) label: Vec<String>,
    /// What the image is called for people (io.k8s.display-name).
    #[arg(long, value_name = "TEXT")]
    pub(crate) display_name: Option<String>,
    /// What the image is for (io.k8s.description).
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// What labels that say what was built from what begin with. Default: io.openshift.s2i.
    #[arg(long, value_name = "PREFIX.")]
    pub(crate) label_namespace: Option<String>,
    /// A further tag; {commit} and {run} stand for the commit and the run's name.
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Where scripts are looked for first: a folder of the image (<image:///path>) or an https URL without a user,
    /// password or query.
    #[arg(long, value_name = "URL")]
    pub(crate) scripts_url: Option<String>,
    /// The folder that the source goes into. Default: what the builder image says.
    #[arg(long, value_name = "PATH")]
    pub(crate) destination: Option<String>,
    /// Who runs assemble. Default: whom the builder image says.
    #[arg(long, value_name = "USER")]
    pub(crate) assemble_user: Option<String>,
}

/// What a build may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkArg {
    /// Nothing.
    None,
    /// The package registries that the server's configuration names.
    RegistriesOnly,
    /// Everything but the server's own surroundings.
    Full,
}

/// How .s2iignore is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IgnoreArg {
    /// As the s2i program reads it: *.log names files of the root only.
    Classic,
    /// As .dockerignore is read: ** is any number of folders.
    Recursive,
}

/// Bytes: `512m`, `2g`, `2GiB`.
fn size(text: &str) -> Result<u64, String> {
    let bytes = builder::plan::bytes(text).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| "write a size as 512m or 2g".to_owned())
}

/// Thousandths of a processor.
fn millis(text: &str) -> Result<u32, String> {
    let wrong = || "write processors as 0.5 or 2".to_owned();
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 3 {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let part: u32 = format!("{part:0<3}").parse().map_err(|_| wrong())?;
    let millis = whole
        .checked_mul(1000)
        .and_then(|whole| whole.checked_add(part));
    millis.filter(|millis| *millis > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::super::plain;
    use super::{millis, size};

    #[test]
    fn sizes_processors_and_names_are_read() {
        assert_eq!(size("512m"), Ok(512 << 20));
        for text in ["", "2x", "0"] {
            assert!(size(text).is_err(), "{text}");
        }
        for (text, expected) in [("2", 2000), ("0.5", 500), ("1.25", 1250), ("0.001", 1)] {
            assert_eq!(millis(text), Ok(expected), "{text}");
        }
        for text in ["", ".", "1.", ".5", "0", "1.0001", "-1", "1e3", "9999999"] {
            assert!(millis(text).is_err(), "{text}");
        }
        for text in ["", "..", "a/b", "a?b", "a b", "%2e"] {
            assert!(plain(text).is_err(), "{text}");
        }
        assert!(plain("app-7").is_ok());
    }
}
