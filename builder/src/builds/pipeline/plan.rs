//! All that was found becomes a plan.

use std::collections::BTreeMap;

use oci::{Algorithm, Digest};

use super::fetch::Fetched;
use super::resolve::Bases;
use super::scripts::FetchedScripts;
use super::{Pipeline, compare};
use crate::builds::spec::Source;
use crate::builds::{reason, spec};
use crate::driver::{Failure, SecretFiles};
use crate::plan::{Cache, Output, Plan, Request, Secret};
use crate::records::{Build, BuildSpec, CacheSpec, Run, SecretUse, SourceSpec};
use crate::s2i::{ContainerPath, Injection};

/// The label of a builder image that names folders which may outlive a run, several with `:` between.
const CACHE_LABEL: &str = "dev.slipway.cache";

/// Folders of it that are used.
const MAX_CACHES: usize = 16;

/// A plan and what it names.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) digest: Digest,
    pub(super) scripts: BTreeMap<Digest, Vec<u8>>,
    pub(super) secrets: BTreeMap<String, SecretFiles>,
}

impl Pipeline<'_> {
    pub(super) async fn plan(
        &self,
        bases: &Bases,
        source: &Fetched,
        scripts: &FetchedScripts,
    ) -> Result<Planned, Failure> {
        let wanted = self.wanted;
        let spec = &self.run.spec;
        let builder = bases.builder.plan_image(bases.builder_name.clone());
        let tag = format!("{}:{}", wanted.output.repo, wanted.output.tag);
        let output = Output {
            tag,
            display_name: spec.output.display_name.clone().unwrap_or_default(),
            description: spec.output.description.clone().unwrap_or_default(),
            labels: spec.output.labels.clone(),
            label_namespace: spec.output.label_namespace.clone(),
        };
        let mut request = Request::new(builder, source.source.clone(), output);
        request.fetched_scripts.clone_from(&scripts.named);
        let (mounts, mut secrets) = self.secrets().await?;
        request.secrets = mounts;
        request.injections = self.injections(&mut secrets).await?;
        request.caches = self.caches(&request).await?;
        let shown = |image: &crate::images::BaseImage| image.plan_image(image.repo().as_str());
        request.previous = bases.previous.as_ref().map(shown);
        request.runtime = bases.runtime.as_ref().map(shown);
        if let Some((_, artifacts)) = &wanted.runtime {
            request.runtime_artifacts.clone_from(artifacts);
        }
        request.scripts_url.clone_from(&wanted.scripts_url);
        request.destination.clone_from(&wanted.destination);
        request.assemble_user.clone_from(&wanted.assemble_user);
        request
            .assemble_runtime_user
            .clone_from(&wanted.runtime_user);
        request.allowed_uids = self.builds.settings().allowed_uids.clone();
        request.env_filter = self.builds.settings().env_filter.clone();
        request.env.clone_from(&wanted.env);
        // What a folder that outlives runs has in it was made at other commits' times.
        let execution = request.builder.config.execution();
        request.epoch = match execution.label(CACHE_LABEL) {
            None => Some(source.epoch),
            Some(_) => None,
        };
        request.clean = spec.clean;
        request.network = wanted.network;
        request.limits = wanted.limits;
        let (plan, warnings) = request.plan()?;
        for warning in warnings {
            self.note(warning.to_string()).await;
        }
        let digest = plan.digest();
        let ingredients = compare::ingredients(&request, &plan);
        let noted = |run: &mut Run| {
            run.resolved.plan = Some(digest.to_string());
            run.resolved.ingredients = Some(ingredients.clone());
        };
        self.progress.change(noted).await?;
        for text in self.changed_inputs().await? {
            self.note(format!("differs: {text}")).await;
        }
        Ok(Planned {
            plan,
            digest,
            scripts: scripts.contents.clone(),
            secrets,
        })
    }

    /// The secrets that `assemble` sees, opened for this run.
    async fn secrets(&self) -> Result<(Vec<Secret>, BTreeMap<String, SecretFiles>), Failure> {
        let mut mounts = Vec::new();
        let mut contents = BTreeMap::new();
        for secret in &self.wanted.secrets {
            let name = &secret.name;
            let opened = self
                .builds
                .open_revision(self.namespace(), name, SecretUse::Build);
            let (files, revision) = opened.await.map_err(reason::secret)?;
            contents.insert(name.clone(), files);
            mounts.push(Secret {
                revision: Some(revision),
                ..secret.clone()
            });
        }
        Ok((mounts, contents))
    }

    /// What is injected, its content among the others. What stays in the image must be meant for that: whoever may build may not
    /// make a secret of somebody else public by saying so.
    async fn injections(
        &self,
        contents: &mut BTreeMap<String, SecretFiles>,
    ) -> Result<Vec<Injection>, Failure> {
        let mut injections = Vec::new();
        for injection in &self.wanted.injections {
            let name = injection.source();
            let used_for = if injection.keep() {
                SecretUse::Image
            } else {
                SecretUse::Build
            };
            let opened = self.builds.open_revision(self.namespace(), name, used_for);
            let (files, revision) = opened.await.map_err(reason::secret)?;
            injections.push(injection.clone().with_revision(revision));
            contents.insert(name.to_owned(), files);
        }
        Ok(injections)
    }

    /// The folders that outlive this run.
    async fn caches(&self, request: &Request) -> Result<Vec<Cache>, Failure> {
        let execution = request.builder.config.execution();
        let (CacheSpec::Auto, Some(label)) = (self.run.spec.caches, execution.label(CACHE_LABEL))
        else {
            return Ok(Vec::new());
        };
        let Some((own, from)) = self.cache_names().await? else {
            return Ok(Vec::new());
        };
        let mut caches = Vec::new();
        let mut folders = label.split(':');
        for folder in folders.by_ref().take(MAX_CACHES) {
            let at = match ContainerPath::parse(folder) {
                Ok(at) => at,
                Err(error) => {
                    let text = format!(
                        "{folder:?} in the builder image's label {CACHE_LABEL} is passed over: {error}"
                    );
                    self.note(text).await;
                    continue;
                }
            };
            let id = |name: &String| format!("{name}:{}", at.as_str());
            caches.push(Cache {
                id: id(&own),
                from: from.as_ref().map(id),
                at: at.clone(),
            });
        }
        if folders.next().is_some() {
            let text = format!(
                "the builder image's label {CACHE_LABEL} names more than {MAX_CACHES} folders: the others are passed over"
            );
            self.note(text).await;
        }
        Ok(caches)
    }

    /// What this run's caches are called, but for the folder, and what new ones are copies of.
    ///
    /// They are the build's, if its own source is built with its own builder image; else, lest what somebody else wrote
    /// leaves something there for the build's own runs, those of that source, which begin as copies of the build's. Without a build
    /// they are those of that source and the repository that the result goes to: who writes there may push there, as was
    /// asked before anything else.
    async fn cache_names(&self) -> Result<Option<(String, Option<String>)>, Failure> {
        let spec = &self.run.spec;
        let of_source = || other(spec, &self.run.actor.name);
        // No branch has two dots in its name (git-check-ref-format(1)), and no build one.
        let Some(build) = &self.run.build else {
            let name = format!(".{}@..{}", self.wanted.output.repo, of_source());
            return Ok(Some((name, None)));
        };
        let store = self.builds.store();
        let Some(found) = store.find::<Build>(self.namespace(), build).await? else {
            return Ok(None);
        };
        let own = found.value.spec;
        let shared = format!("{build}@{}", branch_of(&own.source));
        Ok(Some(
            if spec.source == own.source && spec.builder == own.builder {
                (shared, None)
            } else {
                (format!("{build}@..{}", of_source()), Some(shared))
            },
        ))
    }
}

/// What stands for a source's branch; empty for the repository's own, and for what has none.
fn branch(source: &Source) -> String {
    use crate::source::git::Revision;

    match source {
        Source::Git { revision, .. } => match revision {
            Revision::Branch(name) | Revision::Name(name) => name.as_str().to_owned(),
            // What is built once only has the cache of all.
            Revision::Tag(_) | Revision::Commit(_) | Revision::Default => String::new(),
        },
        Source::Image(_) => String::new(),
    }
}

/// What stands for a source that is not the build's own, or is built with another builder image: in git its place and revision,
/// of what is sent whoever sends it.
fn other(spec: &BuildSpec, actor: &str) -> String {
    let source = match &spec.source {
        SourceSpec::Git { url, revision, .. } => {
            let revision = revision.as_deref().unwrap_or_default();
            format!("git\0{url}\0{revision}")
        }
        SourceSpec::Image { .. } => format!("sent\0{actor}"),
    };
    let text = format!("{source}\0{}", spec.builder);
    Digest::of(Algorithm::Sha256, text.as_bytes()).hex()
}

fn branch_of(source: &SourceSpec) -> String {
    let read = spec::source(source, &[]);
    read.as_ref().map(branch).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_that_differ_do_not_share_a_cache() {
        let spec = |source: serde_json::Value, builder: &str| -> BuildSpec {
            let output = serde_json::json!({"image": "team/app:v1"});
            let spec = serde_json::json!({"source": source, "builder": builder, "output": output});
            serde_json::from_value(spec).unwrap()
        };
        let git = |url: &str, revision: &str, builder: &str| {
            let source = serde_json::json!({"kind": "git", "url": url, "revision": revision});
            other(&spec(source, builder), "ann")
        };
        let one = git("https://a.example/x.git", "main", "team/go:1");
        assert_eq!(one, git("https://a.example/x.git", "main", "team/go:1"));
        for another in [
            git("https://b.example/x.git", "main", "team/go:1"),
            git("https://a.example/x.git", "fix", "team/go:1"),
            git("https://a.example/x.git", "main", "eve/go:1"),
        ] {
            assert_ne!(one, another);
        }
        let source = serde_json::json!({"kind": "image", "reference": "team/sources/app:1"});
        let sent = spec(source, "team/go:1");
        assert_ne!(other(&sent, "ann"), other(&sent, "eve"));
    }
}
