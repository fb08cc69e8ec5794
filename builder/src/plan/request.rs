//! What someone wants to be built.

use std::collections::BTreeMap;

use oci::Digest;

use super::{Limits, Network, Source};
use crate::s2i::{
    AllowedUids, Artifact, ContainerPath, EnvFilter, ImageConfig, Injection, Reason, Refusal,
    Script, ScriptsUrl, User, Variable,
};

/// An image that a build uses: its name for people and labels, and what it was at the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// As the request named it.
    pub reference: String,
    /// Its manifest's digest: a tag may have moved since, the build does not.
    pub digest: Digest,
    /// Its configuration.
    pub config: ImageConfig,
}

/// Everything that decides a build. [`Request::new`] makes the plainest; the fields say the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The builder image.
    pub builder: Image,
    /// The source.
    pub source: Source,
    /// How the result is called.
    pub output: Output,
    /// The previous result, for an incremental build. `None` if there is none or it is not to be had: a clean build.
    pub previous: Option<Image>,
    /// The image that the result shall stand on instead of the builder image.
    pub runtime: Option<Image>,
    /// What it takes of the built one; if empty, what its label says.
    pub runtime_artifacts: Vec<Artifact>,
    /// Where scripts are looked for first.
    pub scripts_url: Option<ScriptsUrl>,
    /// The scripts that were found there, if it is on the web.
    pub fetched_scripts: BTreeMap<Script, Digest>,
    /// Where the source goes, instead of where the image says.
    pub destination: Option<ContainerPath>,
    /// Who runs `assemble` and `save-artifacts`, instead of whom the image says.
    pub assemble_user: Option<User>,
    /// Who runs `assemble-runtime`, instead of whom the runtime image says.
    pub assemble_runtime_user: Option<User>,
    /// Who may run scripts at all.
    pub allowed_uids: AllowedUids,
    /// Variables; they come over those of the source's `.s2i/environment`. None of them may be a secret: a plan is kept.
    pub env: Vec<Variable>,
    /// The time that no file of the result is younger than, in seconds since 1970: `SOURCE_DATE_EPOCH` while building, unless
    /// the image or a variable says another.
    pub epoch: Option<u64>,
    /// Which names variables may not have.
    pub env_filter: EnvFilter,
    /// Files beside the source.
    pub injections: Vec<Injection>,
    /// Secrets for `assemble`.
    pub secrets: Vec<Secret>,
    /// Folders that outlive the build.
    pub caches: Vec<Cache>,
    /// Whether the source, and scripts and artifacts that the result does not need, are removed after `assemble`. The
    /// `s2i` program leaves them in the image.
    pub clean: bool,
    /// What steps may reach.
    pub network: Network,
    /// What the run may use up.
    pub limits: Limits,
}

/// How the result is called and described.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Its name, `repository:tag`.
    pub tag: String,
    /// `io.k8s.display-name`; the tag if empty.
    pub display_name: String,
    /// `io.k8s.description`.
    pub description: String,
    /// Labels that come over the generated ones.
    pub labels: BTreeMap<String, String>,
    /// Prefix of the generated labels, `io.openshift.s2i.` if `None`.
    pub label_namespace: Option<String>,
}

/// A secret that `assemble` sees while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// Changes whenever its content does, as far as whoever keeps it says so.
    pub revision: Option<String>,
    /// Where it is; `/run/secrets/<name>` by custom.
    pub at: ContainerPath,
}

/// A folder that outlives the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Which one, within the namespace.
    pub id: String,
    /// Which one it begins as a copy of, if it is new.
    pub from: Option<String>,
    /// Where it is.
    pub at: ContainerPath,
}

impl Secret {
    /// Refuses a folder that would hide what `assemble` works upon, as far as it is known: where the source goes
    /// ([`Request::destination`]), and where the application is.
    pub fn check_place(
        &self,
        destination: Option<&ContainerPath>,
        application: Option<&ContainerPath>,
    ) -> Result<(), Refusal> {
        let refuse = |text: String| Refusal::new(Reason::GenericS2IBuildFailed, text);
        let below = |name| {
            let folder = destination.map(|destination| destination.join(name));
            folder
                .transpose()
                .map_err(|error| refuse(error.to_string()))
        };
        let (source, scripts) = (below("src")?, below("scripts")?);
        let root = ContainerPath::parse("/").map_err(|error| refuse(error.to_string()))?;
        let taken = [
            (source.as_ref(), "the source"),
            (scripts.as_ref(), "the scripts"),
            (application, "the application"),
            (Some(&root), "all files"),
        ];
        let taken = taken.into_iter();
        let mut taken = taken.filter_map(|(taken, what)| Some((taken?, what)));
        let Some((taken, what)) = taken.find(|(taken, _)| taken.is_within(&self.at)) else {
            return Ok(());
        };
        let (name, at) = (&self.name, &self.at);
        Err(refuse(format!(
            "the secret {name} at {at} would hide {what} in {taken}: give it a folder of its own, or none, for /run/secrets/{name}"
        )))
    }
}

impl Request {
    /// A build of `source` with `builder` and nothing else said.
    pub fn new(builder: Image, source: Source, output: Output) -> Self {
        Self {
            builder,
            source,
            output,
            previous: None,
            runtime: None,
            runtime_artifacts: Vec::new(),
            scripts_url: None,
            fetched_scripts: BTreeMap::new(),
            destination: None,
            assemble_user: None,
            assemble_runtime_user: None,
            allowed_uids: AllowedUids::default(),
            env: Vec::new(),
            epoch: None,
            env_filter: EnvFilter::default(),
            injections: Vec::new(),
            secrets: Vec::new(),
            caches: Vec::new(),
            clean: false,
            network: Network::default(),
            limits: Limits::default(),
        }
    }
}
