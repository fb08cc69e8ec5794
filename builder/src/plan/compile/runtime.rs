//! The stage upon a runtime image.

use super::{Compilation, base, path, placed};
use crate::plan::{Copy, IfItFails, Image, Run, Stage, StageName, Step};
use crate::s2i::result::environment;
use crate::s2i::{
    Artifact, ContainerPath, Contract, Reason, Refusal, Script, Scripts, User, Warning,
};

impl Compilation<'_> {
    /// What the runtime image takes of the built one; then `assemble-runtime`. Gives the run script too: the request's or
    /// the source's, else the runtime image's own, else where the builder image has it.
    pub(super) fn runtime(
        &self,
        image: &Image,
        warnings: &mut Vec<Warning>,
    ) -> Result<(Stage, ContainerPath), Refusal> {
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
        let mut steps = Vec::new();
        for artifact in self.artifacts_wanted(&contract)? {
            steps.push(Step::Copy(Copy {
                from: artifact.source().clone(),
                into: artifact.folder(working_dir)?,
            }));
        }
        let root = User::default();
        let origin = scripts.require(Script::AssembleRuntime)?;
        let (program, place) = placed(Script::AssembleRuntime, origin, &folder, &root)?;
        steps.extend(place);
        let run = match scripts.get(Script::Run) {
            Some(origin) => {
                let (run, place) = placed(Script::Run, origin, &folder, &root)?;
                steps.extend(place);
                run
            }
            None => self.run_in_builder()?,
        };
        steps.push(Step::Run(Run {
            argv: vec![program.as_str().to_owned()],
            env: environment(config.env(), self.variables.iter()),
            user,
            working_dir: working_dir.clone(),
            mounts: Vec::new(),
            output_is_artifacts: false,
            reason: Reason::AssembleFailed,
        }));
        let stage = Stage {
            name: StageName::Runtime,
            base: base(image),
            steps,
            if_it_fails: IfItFails::Stop,
        };
        Ok((stage, run))
    }

    /// The request's artifacts, else those that the runtime image's label names.
    fn artifacts_wanted(&self, contract: &Contract) -> Result<Vec<Artifact>, Refusal> {
        if !self.request.runtime_artifacts.is_empty() {
            return Ok(self.request.runtime_artifacts.clone());
        }
        let label = contract.input_files().ok_or_else(|| {
            Refusal::new(
                Reason::InvalidArtifactsMapping,
                "nothing says what the runtime image takes of the built one: name it (--runtime-artifact; in the API: spec.runtime.artifacts), \
                 or give the image the label io.openshift.s2i.assemble-input-files",
            )
        })?;
        Artifact::parse_all(label)
    }
}
