//! Bytes for somebody who may go.

use std::io::{self, Read, Write};

use tokio_util::sync::CancellationToken;

/// Bytes that end with an error when who asked for them was stopped: a thread that reads or writes them cannot be dropped.
pub(crate) struct Until<T> {
    bytes: T,
    stop: CancellationToken,
}

impl<T> Until<T> {
    pub(crate) fn new(bytes: T, stop: CancellationToken) -> Self {
        Self { bytes, stop }
    }

    fn go_on(&self) -> io::Result<()> {
        if self.stop.is_cancelled() {
            return Err(io::Error::other("the run was stopped"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Until<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.go_on()?;
        self.bytes.read(buffer)
    }
}

impl<W: Write> Write for Until<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.go_on()?;
        self.bytes.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.bytes.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source without end: who reads it ends with the run.
    #[test]
    fn who_reads_for_a_run_ends_with_it() {
        let stop = CancellationToken::new();
        let mut endless = Until::new(io::repeat(0), stop.clone());
        endless.read_exact(&mut [0; 10]).unwrap();
        let reading = std::thread::spawn(move || io::copy(&mut endless, &mut io::sink()));
        stop.cancel();
        reading.join().unwrap().unwrap_err();
    }
}
