//! The variables of a build.

use crate::plan::Request;
use crate::s2i::{EnvironmentFile, ExecutionConfig, Reason, Refusal, Scope, Variable, Warning};

/// The source's variables and the request's over them.
pub(super) fn variables(
    request: &Request,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Variable>, Refusal> {
    let content = request.source.environment.as_deref().unwrap_or_default();
    let file = EnvironmentFile::parse(".s2i/environment", content, warnings);
    let allows = |variable: &Variable| request.env_filter.allows(variable.name());
    if let Some(variable) = request.env.iter().find(|variable| !allows(variable)) {
        return Err(Refusal::new(
            Reason::GenericS2IBuildFailed,
            format!(
                "the environment variable {} may not be set here (builder.forbiddenEnv in the server's configuration)",
                variable.name()
            ),
        ));
    }
    // Who made the source did not make it for this server.
    let (kept, denied): (Vec<_>, Vec<_>) = file.variables().iter().partition(|v| allows(v));
    warnings.extend(denied.into_iter().map(|variable| {
        Warning::new(format!(
            ".s2i/environment: {} is passed over: it may not be set here (builder.forbiddenEnv in the server's configuration)",
            variable.name()
        ))
    }));
    Ok(kept.into_iter().chain(&request.env).cloned().collect())
}

/// With the variable that tools take a time from instead of the clock (reproducible-builds.org, `SOURCE_DATE_EPOCH`).
pub(super) fn dated(
    mut variables: Vec<Variable>,
    epoch: Option<u64>,
    image: &ExecutionConfig,
) -> Result<Vec<Variable>, Refusal> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let is_set = variables.iter().any(|variable| variable.name() == NAME);
    if let Some(epoch) = epoch
        && !is_set
        && image.variable(NAME).is_none()
    {
        let made = Variable::new(NAME, &epoch.to_string(), Scope::Build);
        variables.push(
            made.map_err(|error| Refusal::new(Reason::GenericS2IBuildFailed, error.to_string()))?,
        );
    }
    Ok(variables)
}
