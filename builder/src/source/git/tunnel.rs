//! How ssh goes through a proxy: by a program of ours (`ProxyCommand`, `ssh_config(5)`), for ssh itself knows no proxies.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::session::write_private;
use crate::sandbox::Upstream;
use crate::source::Fault;

const PATIENCE: Duration = Duration::from_secs(20);

/// A proxy, and where it is to lead.
pub(super) struct Way<'a> {
    pub(super) proxy: &'a str,
    pub(super) host: &'a str,
    pub(super) port: u16,
}

impl Way<'_> {
    /// Into a file, for there may be a password in it, which no list of processes shows then.
    pub(super) fn write(&self, file: &Path) -> Result<(), Fault> {
        let Self { proxy, host, port } = self;
        let text = Zeroizing::new(format!("{proxy}\n{host}\n{port}\n"));
        write_private(file, &text)
    }

    fn parse(text: &str) -> Option<Way<'_>> {
        let mut lines = text.lines();
        Some(Way {
            proxy: lines.next()?,
            host: lines.next()?,
            port: lines.next()?.parse().ok()?,
        })
    }
}

/// The words of `ProxyCommand`, which a shell reads after ssh has read its own signs of percent.
pub(super) fn command(words: &[OsString], file: &Path) -> String {
    let quoted = |word: &str| format!("'{}'", word.replace('\'', "'\\''").replace('%', "%%"));
    let words = words.iter().map(|word| word.to_string_lossy());
    let words = words.chain([file.to_string_lossy()]);
    let words: Vec<_> = words.map(|word| quoted(&word)).collect();
    words.join(" ")
}

/// What the command of [`SourceNetwork::tunnel`](crate::source::SourceNetwork::tunnel) does: connects through the proxy that `file` names, and
/// carries standard input there and what comes back to standard output, until the other side ends.
pub fn tunnel(file: &Path) -> io::Result<()> {
    let text = Zeroizing::new(std::fs::read_to_string(file)?);
    let way = Way::parse(&text).ok_or_else(|| io::Error::other("no proxy, host and port"))?;
    let proxy = Upstream::parse(way.proxy, Vec::new()).map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let connect = proxy.connect(way.host, way.port);
    let connected = runtime.block_on(async { tokio::time::timeout(PATIENCE, connect).await? });
    let stream = connected.map_err(|error| {
        let Way { host, port, .. } = way;
        io::Error::other(format!(
            "there is no way through the proxy to {host}:{port}: {error}"
        ))
    })?;
    let mut stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    // Past the library's buffers, which would wait for the ends of lines.
    let mut from = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut to = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut there = stream.try_clone()?;
    // It ends with the process if ssh says nothing more.
    std::thread::spawn(move || {
        let _ = carry(&mut from, &mut there);
        let _ = there.shutdown(Shutdown::Write);
    });
    carry(&mut stream, &mut to)
}

/// As `io::copy`, which has the kernel do it and so holds a pipe locked while it waits for more: nobody reads meanwhile what came before.
fn carry(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => to.write_all(&buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_and_ssh_read_the_words_as_they_are() {
        let words = ["/it's 100%/slipway", "tunnel"].map(OsString::from);
        let command = command(&words, Path::new("/tmp/a b/way"));
        assert_eq!(command, r"'/it'\''s 100%%/slipway' 'tunnel' '/tmp/a b/way'");
    }
}
