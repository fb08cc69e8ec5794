//! From source and a builder image to an image.
//!
//! - [`sandbox`]: one process of a build, run where it can harm nothing.

pub mod sandbox;
