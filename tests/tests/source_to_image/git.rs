//! A git server, which tests of builder images have as well.

pub(crate) use tests::Repository;
