//! Holds objects and index against each other.
