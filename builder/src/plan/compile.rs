//! From a request to a plan.

mod runtime;
mod variables;

use self::variables::{dated, variables};
use super::step::{Base, Content, IfItFails, Mount, Place, Run, Stage, StageName, Step};
use super::{Image, Plan, Recipe, Request};
use crate::s2i::result::environment;
use crate::s2i::{
    AllowedUids, ContainerPath, Contract, ExecutionConfig, Generated, METADATA_PATH, Origin,
    Reason, Refusal, Script, Scripts, SourceScripts, User, Variable, Warning, generated, result,
};

impl Request {
    /// Decides the build. Gives the plan, and what is odd about the request, its images and its source.
    pub fn plan(&self) -> Result<(Plan, Vec<Warning>), Refusal> {
        let mut warnings = Vec::new();
        let recipe = Compilation::begin(self, &mut warnings)?.recipe(&mut warnings)?;
        let plan = Plan {
            version: Plan::VERSION,
            recipe,
            limits: self.limits,
        };
        Ok((plan, warnings))
    }
}

/// What all stages of one build have in common.
struct Compilation<'a> {
    request: &'a Request,
    image: ExecutionConfig,
    contract: Contract,
    scripts: Scripts,
    variables: Vec<Variable>,
    destination: ContainerPath,
    assemble_user: User,
}

impl<'a> Compilation<'a> {
    fn begin(request: &'a Request, warnings: &mut Vec<Warning>) -> Result<Self, Refusal> {
        if request.previous.is_some() && request.runtime.is_some() {
            return Err(Refusal::new(
                Reason::GenericS2IBuildFailed,
                "an incremental build cannot have a runtime image: the previous result has no save-artifacts to run",
            ));
        }
        let image = request.builder.config.execution();
        let contract = Contract::of("builder image", &image, warnings)?;
        let own = [Script::Assemble, Script::Run, Script::SaveArtifacts];
        let mut all = own.to_vec();
        all.extend(request.runtime.as_ref().map(|_| Script::AssembleRuntime));
        let url = request.scripts_url.as_ref();
        Scripts::check_fetched(&all, url, &request.fetched_scripts)?;
        let scripts = Scripts::find(
            &own,
            request.scripts_url.as_ref(),
            &request.fetched_scripts,
            &request.source.scripts,
            contract.scripts_dir(),
            warnings,
        )?;
        let assemble_user = request.assemble_user.as_ref();
        let assemble_user = assemble_user.unwrap_or(contract.assemble_user()).clone();
        let compilation = Self {
            destination: request
                .destination
                .as_ref()
                .unwrap_or(contract.destination())
                .clone(),
            variables: dated(variables(request, warnings)?, request.epoch, &image)?,
            image,
            contract,
            scripts,
            assemble_user,
            request,
        };
        // Of the image's own user too: the result starts as that one, and so does its test.
        compilation.allow(compilation.contract.user(), &request.builder)?;
        compilation.allow(&compilation.assemble_user, &request.builder)?;
        Ok(compilation)
    }

    fn recipe(&self, warnings: &mut Vec<Warning>) -> Result<Recipe, Refusal> {
        let mut stages = Vec::new();
        let takes_over = self.scripts.get(Script::SaveArtifacts).is_some();
        if self.request.previous.is_some() && !takes_over {
            warnings.push(Warning::new(
                "nothing is taken over from the previous image, this is a clean build: there is no script save-artifacts",
            ));
        }
        match self.artifacts() {
            Ok(stage) => stages.extend(stage),
            Err(refusal) => warnings.push(Warning::new(format!(
                "nothing is taken over from the previous image, this is a clean build: {refusal}"
            ))),
        }
        stages.push(self.assemble(&stages)?);
        let (base, run) = match &self.request.runtime {
            None => (self.image.clone(), Some(self.run_in_builder()?)),
            Some(image) => {
                let (stage, run) = self.runtime(image, warnings)?;
                stages.push(stage);
                (image.config.execution(), run)
            }
        };
        let labels = generated(&self.labels());
        let requested = &self.request.output.labels;
        Ok(Recipe {
            source: self.request.source.digest,
            stages,
            network: self.request.network,
            metadata: path(ContainerPath::parse(METADATA_PATH))?,
            config: result::result(&base, run.as_ref(), &self.variables, &labels, requested)?,
        })
    }

    /// `save-artifacts` upon the previous result.
    fn artifacts(&self) -> Result<Option<Stage>, Refusal> {
        let (Some(image), Some(origin)) = (
            &self.request.previous,
            self.scripts.get(Script::SaveArtifacts),
        ) else {
            return Ok(None);
        };
        let config = image.config.execution();
        // The result's own user and folder; its labels are the builder image's, read once already.
        let contract = Contract::of("previous image", &config, &mut Vec::new())?;
        let user = self.request.assemble_user.as_ref();
        let user = user.unwrap_or(contract.user()).clone();
        self.allow(contract.user(), image)?;
        self.allow(&user, image)?;
        let (program, place) = placed(
            Script::SaveArtifacts,
            origin,
            &path(self.destination.join("scripts"))?,
            &user,
        )?;
        let run = Run {
            argv: vec![program.as_str().to_owned()],
            env: environment(config.env(), std::iter::empty()),
            user,
            working_dir: contract.working_dir().clone(),
            mounts: Vec::new(),
            output_is_artifacts: true,
            reason: Reason::GenericS2IBuildFailed,
        };
        Ok(Some(Stage {
            name: StageName::Artifacts,
            base: base(image),
            steps: place.into_iter().chain([Step::Run(run)]).collect(),
            if_it_fails: IfItFails::GoOn,
        }))
    }

    /// The source, the scripts that are not in the image, artifacts, what is injected and kept; then `assemble`.
    fn assemble(&self, before: &[Stage]) -> Result<Stage, Refusal> {
        let below = |name: &str| path(self.destination.join(name));
        let user = &self.assemble_user;
        let place = |content: Content, at: ContainerPath| {
            Step::Place(Place {
                content,
                at,
                owner: user.clone(),
            })
        };
        let folder = below("scripts")?;
        let mut brought = Vec::new();
        let mut moved = Vec::new();
        for script in [Script::Assemble, Script::Run, Script::SaveArtifacts] {
            let Some(origin) = self.scripts.get(script) else {
                continue;
            };
            brought.extend(placed(script, origin, &folder, user)?.1);
            // What a link leads to may be wanted for more.
            if let Origin::Source(path) = origin
                && SourceScripts::paths().any(|own| own == *path)
            {
                moved.push(path.clone());
            }
        }
        let mut steps = vec![place(Content::Source { without: moved }, below("src")?)];
        steps.extend(brought);
        if !before.is_empty() {
            steps.push(place(Content::Artifacts, below("artifacts")?));
        }
        for injection in self.request.injections.iter().filter(|i| i.keep()) {
            let at = injection.destination(self.contract.working_dir())?;
            let content = Content::Injection {
                name: injection.source().to_owned(),
                revision: injection.revision().map(str::to_owned),
            };
            steps.push(place(content, at));
        }
        let origin = self.scripts.require(Script::Assemble)?;
        let (program, _) = placed(Script::Assemble, origin, &folder, user)?;
        steps.push(Step::Run(Run {
            argv: vec![program.as_str().to_owned()],
            env: environment(self.image.env(), self.variables.iter()),
            user: user.clone(),
            working_dir: self.contract.working_dir().clone(),
            mounts: self.mounts()?,
            output_is_artifacts: false,
            reason: Reason::AssembleFailed,
        }));
        if self.request.clean {
            let mut gone = vec![below("src")?, below("artifacts")?];
            let run_is_there = matches!(self.scripts.get(Script::Run), Some(Origin::Image(_)));
            if run_is_there || self.request.runtime.is_some() {
                gone.push(folder);
            }
            steps.push(Step::Remove(gone));
        }
        Ok(Stage {
            name: StageName::Assemble,
            base: base(&self.request.builder),
            steps,
            if_it_fails: IfItFails::Stop,
        })
    }

    fn run_in_builder(&self) -> Result<ContainerPath, Refusal> {
        let origin = self.scripts.require(Script::Run)?;
        let folder = path(self.destination.join("scripts"))?;
        let (run, _) = placed(Script::Run, origin, &folder, &self.assemble_user)?;
        Ok(run)
    }

    fn mounts(&self) -> Result<Vec<Mount>, Refusal> {
        let request = self.request;
        let mut mounts = Vec::new();
        for injection in request.injections.iter().filter(|i| !i.keep()) {
            mounts.push(Mount::Injection {
                name: injection.source().to_owned(),
                revision: injection.revision().map(str::to_owned),
                at: injection.destination(self.contract.working_dir())?,
            });
        }
        for secret in &request.secrets {
            let application = Some(self.contract.working_dir());
            secret.check_place(Some(&self.destination), application)?;
        }
        mounts.extend(request.secrets.iter().map(|secret| Mount::Secret {
            name: secret.name.clone(),
            revision: secret.revision.clone(),
            at: secret.at.clone(),
        }));
        mounts.extend(request.caches.iter().map(|cache| Mount::Cache {
            id: cache.id.clone(),
            from: cache.from.clone(),
            at: cache.at.clone(),
        }));
        Ok(mounts)
    }

    fn labels(&self) -> Generated<'a> {
        let Request {
            source,
            output,
            builder,
            ..
        } = self.request;
        let of_source = Generated {
            namespace: output.label_namespace.as_deref(),
            display_name: &output.display_name,
            description: &output.description,
            tag: &output.tag,
            builder: &builder.reference,
            location: &source.location,
            context_dir: &source.context_dir,
            ..Generated::default()
        };
        let Some(commit) = &source.commit else {
            return of_source;
        };
        Generated {
            author_name: &commit.author_name,
            author_email: &commit.author_email,
            date: &commit.date,
            commit: &commit.id,
            reference: &commit.reference,
            message: &commit.message,
            ..of_source
        }
    }

    fn allow(&self, user: &User, image: &Image) -> Result<(), Refusal> {
        allow(&self.request.allowed_uids, user, image)
    }
}

/// Whether a user may run scripts in an image.
pub(super) fn allow(allowed: &AllowedUids, user: &User, image: &Image) -> Result<(), Refusal> {
    if allowed.allow(user) {
        return Ok(());
    }
    let shown = if user.is_empty() {
        "root"
    } else {
        user.as_str()
    };
    Err(Refusal::new(
        Reason::AssembleUserForbidden,
        format!(
            "user {shown:?} may run nothing in {}: only users by number within the allowed ranges may (builder.allowedUids \
             in the server's configuration); use an image whose USER is such a number, and an assemble user that is",
            image.reference
        ),
    ))
}

/// Where a script is when it runs, and the step that brings it there if it is not in the image.
pub(super) fn placed(
    script: Script,
    origin: &Origin,
    folder: &ContainerPath,
    owner: &User,
) -> Result<(ContainerPath, Option<Step>), Refusal> {
    if let Origin::Image(path) = origin {
        return Ok((path.clone(), None));
    }
    let at = path(folder.join(script.name()))?;
    let place = Place {
        content: Content::Script(origin.clone()),
        at: at.clone(),
        owner: owner.clone(),
    };
    Ok((at, Some(Step::Place(place))))
}

fn base(image: &Image) -> Base {
    Base {
        digest: image.digest,
    }
}

/// A path that can only be invalid by its length.
pub(super) fn path(
    made: Result<ContainerPath, crate::s2i::InvalidPath>,
) -> Result<ContainerPath, Refusal> {
    made.map_err(|error| Refusal::new(Reason::GenericS2IBuildFailed, error.to_string()))
}
