//! What a builder image promises.

use super::image::ExecutionConfig;
use super::{ContainerPath, InvalidUser, Reason, Refusal, ScriptsUrl, User, Warning};

#[cfg(test)]
mod tests;

/// Where scripts are: a URL of a folder.
pub(crate) const SCRIPTS_URL: &str = "io.openshift.s2i.scripts-url";
/// Where the source goes.
pub(crate) const DESTINATION: &str = "io.openshift.s2i.destination";
/// Who runs `assemble`.
pub(crate) const ASSEMBLE_USER: &str = "io.openshift.s2i.assemble-user";
/// Who runs `assemble-runtime`, on a runtime image.
const ASSEMBLE_RUNTIME_USER: &str = "io.openshift.s2i.assemble-runtime-user";
/// What a runtime image wants of the built one.
const ASSEMBLE_INPUT_FILES: &str = "io.openshift.s2i.assemble-input-files";

/// What a runtime image needs of what is built upon a builder image of our own.
const ARTIFACTS: &str = "dev.slipway.artifacts";

/// The fall-backs of [`SCRIPTS_URL`]: a label and a variable that older images have.
const OLD_SCRIPTS_URL: (&str, &str) = ("io.s2i.scripts-url", "STI_SCRIPTS_URL");
/// The fall-backs of [`DESTINATION`].
const OLD_DESTINATION: (&str, &str) = ("io.s2i.destination", "STI_LOCATION");

/// What an image says about itself in the labels of S2I, each with its fall-backs (the program's `docker.go`,
/// `getScriptsURL` and `getDestination`).
///
/// All of it was written by whoever made the image: paths and users are checked here, and a scripts URL that is not
/// inside the image is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    scripts_dir: Option<ContainerPath>,
    destination: ContainerPath,
    working_dir: ContainerPath,
    user: User,
    assemble_user: Option<User>,
    assemble_runtime_user: Option<User>,
    input_files: Option<String>,
    artifacts: Option<String>,
}

impl Contract {
    /// Reads the labels. `role` is for messages: `builder image`, `runtime image`.
    pub fn of(
        role: &str,
        image: &ExecutionConfig,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, Refusal> {
        if !image.on_build.is_empty() {
            return Err(Refusal::new(
                Reason::OnBuildForbidden,
                format!(
                    "the {role} has ONBUILD instructions, which would run unseen in every build: use an image \
                     without them (the same image's variant for S2I, or one built from it)"
                ),
            ));
        }
        let path = |what: &str, text: &str| {
            ContainerPath::parse(text).map_err(|error| refused(role, what, text, &error))
        };
        let user = |what: &str, text: Option<&str>| {
            let read = text.map(User::parse).transpose();
            read.map_err(|error| refused(role, what, text.unwrap_or_default(), &error))
        };
        let destination = match aged(role, image, DESTINATION, OLD_DESTINATION, warnings) {
            Some(text) => path(DESTINATION, text)?,
            None => path("default destination", "/tmp")?,
        };
        let working_dir = match image.working_dir() {
            "" => "/",
            text => text,
        };
        let own = user("USER", Some(image.user()))?.unwrap_or_default();
        // The result keeps it as it is written, and with blanks it is another's name.
        if own.as_str() != image.user() {
            return Err(refused(role, "USER", image.user(), &InvalidUser::Malformed));
        }
        Ok(Self {
            scripts_dir: scripts_dir(role, image, warnings)?,
            destination,
            working_dir: path("WORKDIR", working_dir)?,
            user: own,
            assemble_user: user(ASSEMBLE_USER, image.label(ASSEMBLE_USER))?,
            assemble_runtime_user: user(ASSEMBLE_RUNTIME_USER, image.label(ASSEMBLE_RUNTIME_USER))?,
            input_files: image.label(ASSEMBLE_INPUT_FILES).map(str::to_owned),
            artifacts: image.label(ARTIFACTS).map(str::to_owned),
        })
    }

    /// The folder of the image's own scripts, if it says one.
    pub fn scripts_dir(&self) -> Option<&ContainerPath> {
        self.scripts_dir.as_ref()
    }

    /// Below it come `src`, `scripts` and `artifacts`; `/tmp` unless the image says otherwise.
    pub fn destination(&self) -> &ContainerPath {
        &self.destination
    }

    /// Where its processes start.
    pub fn working_dir(&self) -> &ContainerPath {
        &self.working_dir
    }

    /// The image's `USER`.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// Who runs `assemble` unless the request says it: the label, else the image's user.
    pub fn assemble_user(&self) -> &User {
        self.assemble_user.as_ref().unwrap_or(&self.user)
    }

    /// Who runs `assemble-runtime` unless the request says it: the label, else the image's user.
    pub fn assemble_runtime_user(&self) -> &User {
        self.assemble_runtime_user.as_ref().unwrap_or(&self.user)
    }

    /// What a runtime image wants of the built one, unread: see [`super::Artifact`].
    pub fn input_files(&self) -> Option<&str> {
        self.input_files.as_deref()
    }

    /// What of an image built upon this one a runtime image needs, unread; it stays where it is.
    pub fn artifacts(&self) -> Option<&str> {
        self.artifacts.as_deref()
    }
}

fn scripts_dir(
    role: &str,
    image: &ExecutionConfig,
    warnings: &mut Vec<Warning>,
) -> Result<Option<ContainerPath>, Refusal> {
    let Some(text) = aged(role, image, SCRIPTS_URL, OLD_SCRIPTS_URL, warnings) else {
        warnings.push(Warning::new(format!(
            "the {role} has no label {SCRIPTS_URL}: only scripts of the source or of the request can be used"
        )));
        return Ok(None);
    };
    // What it says is not told: what stands before its host or behind its path may be a secret.
    let url: Result<ScriptsUrl, _> = text.parse();
    let url = url.map_err(|error| {
        Refusal::new(
            Reason::GenericS2IBuildFailed,
            format!("the {role}'s label {SCRIPTS_URL}: {error}"),
        )
    })?;
    match url {
        ScriptsUrl::Image(dir) => Ok(Some(dir)),
        ScriptsUrl::Web(_) => Err(Refusal::new(
            Reason::FetchScriptsFailed,
            format!(
                "the {role}'s label {SCRIPTS_URL} is a URL of the web: scripts that are not in the image itself are not \
                 fetched on the image's word; name the URL in the request if you trust it"
            ),
        )),
    }
}

/// The value of a label, or of what older images have instead, with a warning.
fn aged<'a>(
    role: &str,
    image: &'a ExecutionConfig,
    label: &str,
    (old_label, variable): (&str, &str),
    warnings: &mut Vec<Warning>,
) -> Option<&'a str> {
    if let Some(value) = image.label(label) {
        return Some(value);
    }
    let (value, what) = match image.label(old_label) {
        Some(value) => (value, format!("label {old_label}")),
        None => (
            image.variable(variable)?,
            format!("environment variable {variable}"),
        ),
    };
    warnings.push(Warning::new(format!(
        "the {role} uses the deprecated {what}; its author should use label {label}"
    )));
    Some(value)
}

fn refused(role: &str, what: &str, text: &str, error: &dyn std::error::Error) -> Refusal {
    Refusal::new(
        Reason::GenericS2IBuildFailed,
        format!("the {role}'s {what} is {text:?}: {error}"),
    )
}
