//! Programs of the host that do what safe Rust cannot: enter namespaces, mount in them, fill their tables.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::error::SandboxError;
use crate::programs;

/// None of them takes longer than milliseconds; this is for a machine that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that inherits nothing of the server's environment, which may hold secrets.
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(programs::to_start(program));
    command
        .env_clear()
        .env("PATH", programs::PATH)
        .current_dir("/")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs it with `input`; its standard output is returned, and it must succeed.
pub(super) async fn run(
    mut command: Command,
    name: &str,
    input: &[u8],
) -> Result<String, SandboxError> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let failed = |message: String| SandboxError::Tool {
        program: name.to_owned(),
        message,
    };
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let mut stdin = child.stdin.take();
    let output = async {
        if let Some(stdin) = &mut stdin {
            // One that ends without reading says why on its standard error.
            let _ = stdin.write_all(input).await;
        }
        drop(stdin.take());
        child.wait_with_output().await
    };
    let output = timeout(PATIENCE, output)
        .await
        .map_err(|_| failed("it did not end within a minute".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(last_lines(&said, output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The end of what a program said, on one line.
pub(super) fn last_lines(said: &str, status: std::process::ExitStatus) -> String {
    let lines: Vec<_> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    match lines.as_slice() {
        [] => status.to_string(),
        lines => lines[lines.len().saturating_sub(4)..].join("; "),
    }
}
