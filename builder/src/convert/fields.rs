//! The fields of an object, each of which is to be read: what nobody has read is told of.

use serde_json::{Map, Value};

use super::note::Notes;

#[derive(Debug)]
pub(super) struct Fields {
    path: String,
    left: Map<String, Value>,
}

impl Fields {
    /// The fields of `value`, which is at `path`; none, and an error, if it is no object.
    pub(super) fn read(value: Value, path: &str, notes: &mut Notes) -> Self {
        let left = match value {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            _ => {
                notes.error(path, "it has no fields below it");
                Map::new()
            }
        };
        Self {
            path: path.to_owned(),
            left,
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The path of a field.
    pub(super) fn at(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.left.values().any(says_something)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &str, notes: &mut Notes) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text).filter(|text| !text.is_empty()),
            other => {
                notes.error(self.at(name), format!("{other} is no text"));
                None
            }
        }
    }

    pub(super) fn flag(&mut self, name: &str, notes: &mut Notes) -> Option<bool> {
        let value = self.take(name)?;
        if value.as_bool().is_none() {
            notes.error(self.at(name), format!("{value} is neither true nor false"));
        }
        value.as_bool()
    }

    pub(super) fn number(&mut self, name: &str, notes: &mut Notes) -> Option<u64> {
        let value = self.take(name)?;
        if value.as_u64().is_none() {
            notes.error(self.at(name), format!("{value} is no number from 0 up"));
        }
        value.as_u64()
    }

    /// Absent, it has no fields.
    pub(super) fn object(&mut self, name: &str, notes: &mut Notes) -> Self {
        let value = self.take(name).unwrap_or(Value::Null);
        Self::read(value, &self.at(name), notes)
    }

    pub(super) fn list(&mut self, name: &str, notes: &mut Notes) -> Vec<Value> {
        match self.take(name) {
            None => Vec::new(),
            Some(Value::Array(all)) => all,
            Some(_) => {
                notes.error(self.at(name), "it is no list");
                Vec::new()
            }
        }
    }

    /// The objects of a list.
    pub(super) fn objects(&mut self, name: &str, notes: &mut Notes) -> Vec<Self> {
        let items = self.list(name, notes).into_iter().enumerate();
        let path = self.at(name);
        items
            .map(|(index, item)| Self::read(item, &format!("{path}[{index}]"), notes))
            .collect()
    }

    /// `name` of an object that has nothing else.
    pub(super) fn name_in(&mut self, name: &str, notes: &mut Notes) -> Option<String> {
        let mut object = self.object(name, notes);
        let found = object.text("name", notes);
        object.end(notes);
        found
    }

    /// There is nothing in it that anybody could miss.
    pub(super) fn ignore(&mut self, name: &str) {
        self.left.remove(name);
    }

    /// If the field is there, it is told of.
    pub(super) fn lost(&mut self, name: &str, message: &str, notes: &mut Notes) {
        if self.take(name).is_some_and(|value| says_something(&value)) {
            notes.warning(self.at(name), message);
        }
    }

    /// Tells of what nobody has read.
    pub(super) fn end(self, notes: &mut Notes) {
        for (name, value) in &self.left {
            if says_something(value) {
                notes.warning(self.at(name), "it has no counterpart, and is left out");
            }
        }
    }
}

/// What is empty or false says what holds anyway.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => !all.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}
