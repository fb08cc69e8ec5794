//! Asking a builder image how it is used.

use oci::{Algorithm, Digest};

use super::{
    Base, IfItFails, Image, Limits, Network, Plan, Recipe, Run, Stage, StageName, Step, compile,
};
use crate::s2i::{
    AllowedUids, ContainerPath, Contract, METADATA_PATH, Reason, Refusal, Script, Scripts,
    SourceScripts,
};

impl Image {
    /// The plan that runs the image's script `usage`, whose output is for people (the program's `s2i usage`). Its source is
    /// empty and it reaches nothing; what comes of it besides the output is for nobody.
    pub fn usage(&self, allowed: &AllowedUids, limits: Limits) -> Result<Plan, Refusal> {
        let config = self.config.execution();
        let contract = Contract::of("builder image", &config, &mut Vec::new())?;
        let scripts = Scripts::find(
            &[Script::Usage],
            None,
            &[].into(),
            &SourceScripts::default(),
            contract.scripts_dir(),
            &mut Vec::new(),
        )?;
        let missing = || {
            Refusal::new(
                Reason::InstallScriptsFailed,
                format!("{} does not say where its scripts are", self.reference),
            )
        };
        let origin = scripts.get(Script::Usage).ok_or_else(missing)?;
        let user = contract.assemble_user().clone();
        compile::allow(allowed, contract.user(), self)?;
        compile::allow(allowed, &user, self)?;
        let root = compile::path(ContainerPath::parse("/"))?;
        let (program, _) = compile::placed(Script::Usage, origin, &root, &user)?;
        let run = Run {
            argv: vec![program.as_str().to_owned()],
            env: config.env().to_vec(),
            user,
            working_dir: contract.working_dir().clone(),
            mounts: Vec::new(),
            output_is_artifacts: false,
            reason: Reason::GenericS2IBuildFailed,
        };
        let stage = Stage {
            name: StageName::Assemble,
            base: Base {
                digest: self.digest,
            },
            steps: vec![Step::Run(run)],
            if_it_fails: IfItFails::Stop,
        };
        Ok(Plan {
            version: Plan::VERSION,
            recipe: Recipe {
                source: Digest::of(Algorithm::Sha256, b""),
                stages: vec![stage],
                network: Network::None,
                metadata: compile::path(ContainerPath::parse(METADATA_PATH))?,
                config,
            },
            limits,
        })
    }
}
