//! The parsed file.
