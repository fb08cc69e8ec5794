//! Read buffers that outlive their use, so that a read costs neither an allocation nor zeroing.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::body::DEFAULT_READ_SIZE;

/// Idle buffers kept, 4 MiB in all.
const KEPT: usize = 64;

static IDLE: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

/// A read buffer; one of the default size goes back to the pool on drop.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    filled: usize,
}

impl Buffer {
    pub(crate) fn take(size: usize) -> Self {
        let idle = if size == DEFAULT_READ_SIZE {
            IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop()
        } else {
            None
        };
        Self {
            bytes: idle.unwrap_or_else(|| vec![0; size].into_boxed_slice()),
            filled: 0,
        }
    }

    pub(crate) fn space(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The first `filled` bytes, without a copy.
    pub(crate) fn freeze(mut self, filled: usize) -> Bytes {
        self.filled = filled;
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.len() == DEFAULT_READ_SIZE {
            let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < KEPT {
                idle.push(bytes);
            }
        }
    }
}
