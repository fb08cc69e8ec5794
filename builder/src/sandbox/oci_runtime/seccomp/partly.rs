//! The calls that may be made for some purposes, told by one of their arguments.

/// A call, and which of its arguments says what it is for.
pub(super) struct Partly {
    pub(super) name: &'static str,
    pub(super) argument: u8,
    /// It must be one of these.
    pub(super) allowed: &'static [Is],
    /// What else it may be, where programs need another answer than that the call does not exist.
    pub(super) otherwise: Option<(Else, u32)>,
}

/// What an argument is, of the bits in the mask. Numbers are compared as the kernel takes them, without their upper half.
#[derive(Clone, Copy)]
pub(super) struct Is {
    pub(super) mask: u64,
    pub(super) value: u64,
}

/// What is left of an argument's values.
#[derive(Clone, Copy)]
pub(super) enum Else {
    Not(u64),
    Is(Is),
}

const ENOTTY: u32 = 25;
const EOPNOTSUPP: u32 = 95;

/// Every `CLONE_NEW…` flag of `clone(2)`.
const CLONE_NEW: u64 = 0x7E02_0000;
const CLONE_FILES: u64 = 0x400;
const CLONE_THREAD: u64 = 0x1_0000;
const CLOSE_RANGE_UNSHARE: u64 = 2;
/// `FALLOC_FL_KEEP_SIZE` and `FALLOC_FL_PUNCH_HOLE`.
const HOLE: u64 = 3;
/// Where an `ioctl(2)` says whose it is.
const FAMILY: u64 = 0xFF00;
/// `X`: of XFS, and of all file systems since.
const OF_XFS: u64 = 0x5800;

pub(super) const PARTLY: &[Partly] = &[
    // No namespaces, and no thread that has open files of its own, which nobody would find: what threads share they share for ever.
    Partly {
        name: "clone",
        argument: 0,
        allowed: &[
            bits(CLONE_NEW | CLONE_THREAD, 0),
            bits(CLONE_NEW | CLONE_FILES, CLONE_FILES),
        ],
        otherwise: None,
    },
    Partly {
        name: "close_range",
        argument: 2,
        allowed: &[bits(CLOSE_RANGE_UNSHARE, 0)],
        otherwise: None,
    },
    // PER_LINUX, UNAME26, ADDR_NO_RANDOMIZE, and the question which one is set (personality(2)).
    Partly {
        name: "personality",
        argument: 0,
        allowed: &[is(0), is(0x0002_0000), is(0x0004_0000), is(0xFFFF_FFFF)],
        otherwise: None,
    },
    // AF_UNIX, AF_INET, AF_INET6, and AF_NETLINK for the list of interfaces. Not the hypervisor's (AF_VSOCK), the kernel's
    // ciphers' (AF_ALG) nor any other of forty.
    Partly {
        name: "socket",
        argument: 0,
        allowed: &[is(1), is(2), is(10), is(16)],
        otherwise: None,
    },
    // Room is taken by writing, at a speed that whoever measures it keeps up with, and not reserved: that fills a disk at once.
    // glibc and most programs write instead, as where a file system cannot reserve; musl hands the error on.
    Partly {
        name: "fallocate",
        argument: 1,
        allowed: &[is(HOLE)],
        otherwise: Some((Else::Not(HOLE), EOPNOTSUPP)),
    },
    // These reserve as well (FS_IOC_RESVSP), or have XFS reserve at the next write (FS_IOC_FSSETXATTR). All others differ in one bit at least.
    Partly {
        name: "ioctl",
        argument: 1,
        allowed: &[
            bits(0x0100, 0x0100),
            bits(0x0200, 0x0200),
            bits(0x0400, 0x0400),
            bits(0x0800, 0),
            bits(0x1000, 0),
            bits(0x2000, 0x2000),
            bits(0x4000, 0),
            bits(0x8000, 0x8000),
        ],
        otherwise: Some((Else::Is(bits(FAMILY, OF_XFS)), ENOTTY)),
    },
];

const fn is(value: u64) -> Is {
    bits(0xFFFF_FFFF, value)
}

const fn bits(mask: u64, value: u64) -> Is {
    Is { mask, value }
}
