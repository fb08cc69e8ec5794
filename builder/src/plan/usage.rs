//! Asking a builder image how it is used.

use super::{Base, IfItFails, Image, Run, Stage, StageName, Step};
use crate::s2i::{Contract, Reason, Refusal, Script};

impl Image {
    /// The stage that runs the image's script `usage`, whose output is for people (the program's `s2i usage`). Nothing
    /// comes of it but the output.
    pub fn usage(&self) -> Result<Stage, Refusal> {
        let config = self.config.execution();
        let contract = Contract::of("builder image", &config, &mut Vec::new())?;
        let missing = || {
            Refusal::new(
                Reason::InstallScriptsFailed,
                format!("{} does not say where its scripts are", self.reference),
            )
        };
        let folder = contract.scripts_dir().ok_or_else(missing)?;
        let script = folder
            .join(Script::Usage.name())
            .map_err(|error| Refusal::new(Reason::InstallScriptsFailed, error.to_string()))?;
        let run = Run {
            argv: vec![script.as_str().to_owned()],
            env: config.env().to_vec(),
            user: contract.assemble_user().clone(),
            working_dir: contract.working_dir().clone(),
            mounts: Vec::new(),
            output_is_artifacts: false,
            reason: Reason::GenericS2IBuildFailed,
        };
        Ok(Stage {
            name: StageName::Assemble,
            base: Base {
                digest: self.digest,
            },
            steps: vec![Step::Run(run)],
            if_it_fails: IfItFails::Stop,
        })
    }
}
