//! Environment variables: of the source, of the request; which of them stay in the image.

use serde::{Deserialize, Serialize};

use super::Warning;

#[cfg(test)]
mod tests;

/// Where a variable holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// While building and in the image, as the `s2i` program has it for all of them.
    #[default]
    Both,
    /// While building only: it is in no layer's history and not in the image's configuration.
    Build,
}

/// One environment variable: a name that is not empty and holds neither `=` nor a control character, and a value
/// without NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    name: String,
    value: String,
    scope: Scope,
}

impl Variable {
    /// Makes a variable.
    pub fn new(name: &str, value: &str, scope: Scope) -> Result<Self, InvalidVariable> {
        if name.is_empty() || name.contains(['=', ' ']) || name.chars().any(char::is_control) {
            return Err(InvalidVariable::Name);
        }
        if value.contains('\0') {
            return Err(InvalidVariable::Value);
        }
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
            scope,
        })
    }

    /// Reads `NAME=VALUE`, spaces around both taken off, as the `s2i` program reads `-e` and its files.
    pub fn parse(text: &str, scope: Scope) -> Result<Self, InvalidVariable> {
        let (name, value) = text.split_once('=').ok_or(InvalidVariable::NoEquals)?;
        Self::new(name.trim(), value.trim(), scope)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Where it holds.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// `NAME=VALUE`.
    pub fn entry(&self) -> String {
        format!("{}={}", self.name, self.value)
    }
}

/// Why a text is no variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVariable {
    /// There is no `=`.
    #[error("an environment variable is written NAME=VALUE")]
    NoEquals,
    /// The name is none.
    #[error(
        "an environment variable's name must not be empty and has no spaces, = or control characters"
    )]
    Name,
    /// The value holds a NUL.
    #[error("an environment variable's value must not contain NUL")]
    Value,
}

/// A file of variables: `.s2i/environment` of a source, or one that a request names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentFile {
    variables: Vec<Variable>,
}

impl EnvironmentFile {
    /// Longest file that is read, in bytes.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// Reads a file that a request names, as the program reads that of `-E` (`util/env.go`): as [`Self::parse`] does,
    /// but spaces in front of a comment count nothing, and `//` begins one too.
    pub fn parse_request(name: &str, content: &[u8], warnings: &mut Vec<Warning>) -> Self {
        let lines = content.split(|byte| *byte == b'\n').map(|line| {
            let line = line.trim_ascii();
            if line.starts_with(b"//") { b"" } else { line }
        });
        Self::parse(name, &lines.collect::<Vec<_>>().join(&b'\n'), warnings)
    }

    /// Reads `.s2i/environment` as the program does (`scripts/environment.go`): `NAME=VALUE` per line, `#` in the
    /// first column begins a comment, nothing is unquoted, a line that is none is passed over. Where the program
    /// is silent there is a warning with the line's number.
    pub fn parse(name: &str, content: &[u8], warnings: &mut Vec<Warning>) -> Self {
        let mut variables: Vec<Variable> = Vec::new();
        for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
            let mut warn = |what: &str| {
                let at = index + 1;
                warnings.push(Warning::new(format!("{name}:{at}: {what}")));
            };
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let Ok(line) = std::str::from_utf8(line) else {
                warn("the line is not UTF-8 and is passed over");
                continue;
            };
            match Variable::parse(line, Scope::Both) {
                Ok(variable) => {
                    if let Some(hint) = hint(&variable) {
                        warn(&hint);
                    }
                    if variables.iter().any(|known| known.name == variable.name) {
                        warn(&format!(
                            "{} is set again; the last one holds",
                            variable.name
                        ));
                    }
                    variables.push(variable);
                }
                Err(error) if !line.trim().is_empty() => {
                    warn(&format!("the line is passed over: {error}"));
                }
                Err(_) => {}
            }
        }
        Self { variables }
    }

    /// The variables in the file's order; of one name the last holds.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }
}

/// What a person who knows shell scripts may have meant otherwise.
fn hint(variable: &Variable) -> Option<String> {
    let (name, value) = (&variable.name, &variable.value);
    let quoted =
        |quote: char| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
    if quoted('"') || quoted('\'') {
        return Some(format!(
            "the quotes are part of {name}'s value: the file is not read by a shell"
        ));
    }
    if name.contains(['"', '\'']) {
        return Some(format!(
            "the quotes are part of the name {name}: the file is not read by a shell"
        ));
    }
    if name.starts_with('#') {
        return Some(format!(
            "{name:?} is taken as a name: a comment begins in the first column"
        ));
    }
    None
}

/// Names that may not be set: they make programs load or run what the variable says. Whoever writes `assemble` can do that without;
/// names by which builds are steered (`NODE_OPTIONS`, `RUBYOPT`) are for the configuration to deny.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvFilter {
    denied: Vec<String>,
}

impl EnvFilter {
    /// What no build is steered by: of the loader and of bash, for every program that runs.
    pub const USUAL: [&str; 2] = ["LD_*", "BASH_*"];

    /// [`Self::USUAL`].
    pub fn usual() -> Self {
        Self::of(Self::USUAL.map(str::to_owned).to_vec())
    }

    /// These names; `*` at the end stands for anything.
    pub fn of(denied: Vec<String>) -> Self {
        Self { denied }
    }

    /// Whether a variable of this name may be set.
    pub fn allows(&self, name: &str) -> bool {
        !self.denied.iter().any(|pattern| {
            pattern
                .strip_suffix('*')
                .map_or(pattern == name, |prefix| name.starts_with(prefix))
        })
    }
}
