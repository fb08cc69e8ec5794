//! Slipway: an OCI registry in one program.

mod cli;
mod client;
mod commands;
mod config;
mod invoked;
mod logging;
mod nested;
mod ownership;
mod providers;
mod serve;
mod storage;
mod telemetry;
mod wiring;

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // What speaks TLS and names no provider itself takes the process's; nothing was chosen before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (cli, invoked) = invoked::parse(std::env::args_os().collect());
    match commands::run(cli, invoked) {
        Ok(code) => code,
        Err(error) => {
            note(&told(&error));
            ExitCode::FAILURE
        }
    }
}

/// A line on standard error: what is wrong, or what is waited for.
pub(crate) fn note(line: &str) {
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "slipway: {line}");
}

/// One line, whatever the causes say: scripts read it, and so do people. Some errors repeat their
/// cause in their own words; it is not said twice.
pub(crate) fn told(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if line.contains(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    line.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cause_is_told_once() {
        let io = std::io::Error::from_raw_os_error(2).to_string();
        let held = anyhow::anyhow!(io.clone()).context(format!("/nope: {io}"));
        let line = super::told(&held.context("auth.htpasswd"));
        assert_eq!(line, format!("auth.htpasswd: /nope: {io}"));
        let other = anyhow::anyhow!("inner\nlines").context("outer");
        assert_eq!(super::told(&other), "outer: inner lines");
    }
}
