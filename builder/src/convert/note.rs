//! What is told of a conversion.

use std::fmt;

/// How much a note weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It is carried over, and somebody has to do something for it.
    ToDo,
    /// It is not carried over, or not as it was.
    Warning,
    /// No build can be made of it.
    Error,
}

/// Something that is not, or not only, in the file of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How much it weighs.
    pub weight: Weight,
    /// The field that it is about, as in the document; empty for the whole.
    pub field: String,
    /// What became of it, and what to do.
    pub message: String,
}

/// `spec.nodeSelector: warning: …`.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        let weight = match self.weight {
            Weight::ToDo => "to do",
            Weight::Warning => "warning",
            Weight::Error => "error",
        };
        write!(f, "{weight}: {}", self.message)
    }
}

#[derive(Debug, Default)]
pub(super) struct Notes(Vec<Note>);

impl Notes {
    pub(super) fn error(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.add(Weight::Error, field.into(), message.into());
    }

    pub(super) fn warning(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.add(Weight::Warning, field.into(), message.into());
    }

    pub(super) fn ask(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.add(Weight::ToDo, field.into(), message.into());
    }

    pub(super) fn has_errors(&self) -> bool {
        self.0.iter().any(|note| note.weight == Weight::Error)
    }

    pub(super) fn into_vec(self) -> Vec<Note> {
        self.0
    }

    fn add(&mut self, weight: Weight, field: String, message: String) {
        self.0.push(Note {
            weight,
            field,
            message,
        });
    }
}
