//! Archives made by hand, right and wrong ones.

use std::io::Write as _;

/// An archive under way.
#[derive(Clone, Default)]
pub(crate) struct Archive(Vec<u8>);

/// Shows what GNU tar lists.
impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let arguments = ["-tv", "--numeric-owner", "--quoting-style=escape"];
        let listed = crate::lab::filter("tar", &arguments, &self.bytes());
        f.debug_list()
            .entries(String::from_utf8_lossy(&listed).lines())
            .finish()
    }
}

/// The fields of one header, as they will be written.
#[derive(Clone)]
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: u8,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// What the header says; the content may be another length.
    pub(crate) size: u64,
    pub(crate) mtime: u64,
    pub(crate) link: Vec<u8>,
    pub(crate) device: (u32, u32),
    pub(crate) magic: [u8; 8],
    pub(crate) prefix: Vec<u8>,
}

impl Header {
    pub(crate) fn new(kind: u8, name: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            kind,
            mode: if kind == b'5' { 0o755 } else { 0o644 },
            uid: 0,
            gid: 0,
            size: 0,
            mtime: 1_000_000_000,
            link: Vec::new(),
            device: (0, 0),
            magic: *b"ustar\x0000",
            prefix: Vec::new(),
        }
    }

    pub(crate) fn bytes(&self) -> [u8; 512] {
        let mut block = [0; 512];
        let mut put = |at: usize, length: usize, bytes: &[u8]| {
            let length = length.min(bytes.len());
            block[at..at + length].copy_from_slice(&bytes[..length]);
        };
        put(0, 100, &self.name);
        put(100, 8, format!("{:07o}", self.mode).as_bytes());
        put(108, 8, format!("{:07o}", self.uid).as_bytes());
        put(116, 8, format!("{:07o}", self.gid).as_bytes());
        put(124, 12, format!("{:011o}", self.size).as_bytes());
        put(136, 12, format!("{:011o}", self.mtime).as_bytes());
        put(148, 8, b"        ");
        put(156, 1, &[self.kind]);
        put(157, 100, &self.link);
        put(257, 8, &self.magic);
        put(329, 8, format!("{:07o}", self.device.0).as_bytes());
        put(337, 8, format!("{:07o}", self.device.1).as_bytes());
        put(345, 155, &self.prefix);
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

impl Archive {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A header and what follows it, filled to whole blocks.
    pub(crate) fn entry(mut self, header: &Header, content: &[u8]) -> Self {
        self.0.extend_from_slice(&header.bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn file(self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.file_with(name, content, |_| {})
    }

    pub(crate) fn file_with(
        self,
        name: impl AsRef<[u8]>,
        content: impl AsRef<[u8]>,
        with: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new(b'0', name);
        header.size = content.as_ref().len() as u64;
        with(&mut header);
        self.entry(&header, content.as_ref())
    }

    pub(crate) fn directory(self, name: impl AsRef<[u8]>) -> Self {
        self.directory_with(name, |_| {})
    }

    pub(crate) fn directory_with(
        self,
        name: impl AsRef<[u8]>,
        with: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new(b'5', name);
        with(&mut header);
        self.entry(&header, b"")
    }

    pub(crate) fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.linked(b'2', name, target)
    }

    pub(crate) fn hard_link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.linked(b'1', name, target)
    }

    fn linked(self, kind: u8, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        let mut header = Header::new(kind, name);
        header.link = target.as_ref().to_vec();
        let long = (header.link.len() > 100).then(|| header.link.clone());
        let archive = match &long {
            Some(target) => self.pax(&[(b"linkpath", target)]),
            None => self,
        };
        archive.entry(&header, b"")
    }

    /// An extended header with these records.
    pub(crate) fn pax(self, records: &[(&[u8], &[u8])]) -> Self {
        let mut content = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let fits = |length: &usize| rest + length.to_string().len() == *length;
            let length = (rest + 1..rest + 20).find(fits).unwrap();
            write!(content, "{length} ").unwrap();
            content.extend_from_slice(&[*key, b"=", *value, b"\n"].concat());
        }
        let mut header = Header::new(b'x', "PaxHeaders/x");
        header.size = content.len() as u64;
        self.entry(&header, &content)
    }

    /// Its blocks, to be put into another.
    pub(crate) fn blocks(self) -> Vec<u8> {
        self.0
    }

    /// The archive with its end.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.0.clone();
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    }
}
