//! The stage upon a runtime image.

use super::{Compilation, base, path, placed};
use crate::plan::{Copy, IfItFails, Image, Run, Stage, StageName, Step};
use crate::s2i::result::environment;
use crate::s2i::{
    Artifact, ContainerPath, Contract, Reason, Refusal, Script, Scripts, User, Warning,
};

impl Compilation<'_> {
    /// What the runtime image takes of the built one; then `assemble-runtime`, if there is one, which the program demands: an image
    /// of nothing else has no shell for it. Gives the run script too: the request's or the source's, else the runtime image's own,
    /// else none where that image has a command, else where the builder image has it.
    pub(super) fn runtime(
        &self,
        image: &Image,
        warnings: &mut Vec<Warning>,
    ) -> Result<(Stage, Option<ContainerPath>), Refusal> {
        let request = self.request;
        let config = image.config.execution();
        let contract = Contract::of("runtime image", &config, warnings)?;
        let scripts = Scripts::find(
            &[Script::AssembleRuntime, Script::Run],
            request.scripts_url.as_ref(),
            &request.fetched_scripts,
            &request.source.scripts,
            contract.scripts_dir(),
            warnings,
        )?;
        let user = request.assemble_runtime_user.as_ref();
        let user = user.unwrap_or(contract.assemble_runtime_user()).clone();
        self.allow(contract.user(), image)?;
        self.allow(&user, image)?;

        let working_dir = contract.working_dir();
        let folder = path(working_dir.join("scripts"))?;
        let copies = self.copies(&contract)?;
        let root = User::default();
        let mut steps = Vec::new();
        let mut finish = None;
        if let Some(origin) = scripts.get(Script::AssembleRuntime) {
            let (program, place) = placed(Script::AssembleRuntime, origin, &folder, &root)?;
            steps.extend(place);
            finish = Some(Step::Run(Run {
                argv: vec![program.as_str().to_owned()],
                env: environment(config.env(), self.variables.iter()),
                user,
                working_dir: working_dir.clone(),
                mounts: Vec::new(),
                output_is_artifacts: false,
                reason: Reason::AssembleFailed,
            }));
        }
        let has_command = !config.cmd().is_empty() || !config.entrypoint().is_empty();
        let run = match scripts.get(Script::Run) {
            Some(origin) => {
                let (run, place) = placed(Script::Run, origin, &folder, &root)?;
                steps.extend(place);
                Some(run)
            }
            None if has_command => None,
            None => {
                let run = self.run_in_builder()?;
                if !copies.iter().any(|copy| has(copy, &run)) {
                    warnings.push(Warning::new(format!(
                        "nothing in the result starts it: its command is {run}, which the builder image has and the runtime image \
                         has not; bring .s2i/bin/run in the source, or use a runtime image that has a command"
                    )));
                }
                Some(run)
            }
        };
        let copies = copies.into_iter().map(Step::Copy);
        let steps = copies.chain(steps).chain(finish).collect();
        let stage = Stage {
            name: StageName::Runtime,
            base: base(image),
            steps,
            if_it_fails: IfItFails::Stop,
        };
        Ok((stage, run))
    }

    /// The request's artifacts, else those that the runtime image's label names, else those that the builder image's does, which
    /// stay where they are.
    fn copies(&self, contract: &Contract) -> Result<Vec<Copy>, Refusal> {
        let requested = &self.request.runtime_artifacts;
        let artifacts = match (requested.is_empty(), contract.input_files()) {
            (false, _) => requested.clone(),
            (true, Some(label)) => Artifact::parse_all(label)?,
            (true, None) => return self.builders_copies(),
        };
        let copy = |artifact: &Artifact| {
            Ok(Copy {
                from: artifact.source().clone(),
                into: artifact.folder(contract.working_dir())?,
            })
        };
        artifacts.iter().map(copy).collect()
    }

    fn builders_copies(&self) -> Result<Vec<Copy>, Refusal> {
        let label = self.contract.artifacts().ok_or_else(|| {
            Refusal::new(
                Reason::InvalidArtifactsMapping,
                "nothing says what the runtime image takes of the built one: name it (--runtime-artifact; in the API: spec.runtime.artifacts), \
                 give the runtime image the label io.openshift.s2i.assemble-input-files, or the builder image dev.slipway.artifacts",
            )
        })?;
        let artifacts = Artifact::parse_all(label)?;
        let copy = |artifact: &Artifact| Copy {
            from: artifact.source().clone(),
            into: artifact.source().parent(),
        };
        Ok(artifacts.iter().map(copy).collect())
    }
}

/// Whether a copy leaves a file where the built image has it.
fn has(copy: &Copy, file: &ContainerPath) -> bool {
    copy.into == copy.from.parent() && file.is_within(&copy.from)
}
