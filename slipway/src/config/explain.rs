//! What is wrong with a configuration, in the words of its keys rather than of the parser.

use builder::meant;
use serde_json::Value;

/// Characters of a value that are shown.
const SHOWN: usize = 60;
/// serde's words, of which the formats make no others.
const UNKNOWN: &str = "unknown field `";
/// What else than its type says how a value is written, by the beginning of its key.
const WRITTEN: [(&str, &str); 6] = [
    (
        "listen[",
        "an IP address and a port, such as 127.0.0.1:5000, or [::]:5000 for all addresses",
    ),
    (
        "listen",
        "a list of IP addresses and ports, such as [\"127.0.0.1:5000\"]",
    ),
    ("trustedProxies[", "a network, such as 10.0.0.0/8"),
    ("trustedProxies", "a list of networks, such as [10.0.0.0/8]"),
    ("builder.network.allow[", "a network, such as 10.0.0.0/8"),
    (
        "builder.network.allow",
        "a list of networks, such as [10.0.0.0/8]",
    ),
];

/// Where in a configuration something is: keys, and numbers in lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeyPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    pub(super) fn of(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment;
        let step = |segment: &Segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Enum { variant } => Some(Step::Key(variant.clone())),
            Segment::Unknown => None,
        };
        Self(path.iter().filter_map(step).collect())
    }

    /// `auth.htpasswd.file`, as errors of [`Config::check`](super::Config::check) begin.
    pub(super) fn parse(text: &str) -> Self {
        Self(
            text.split('.')
                .map(|key| Step::Key(key.to_owned()))
                .collect(),
        )
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// With the key that an error in serde's words says is unknown, where the parser stood above it.
    pub(super) fn to_unknown(&self, said: &str) -> Option<Self> {
        let key = between(said, UNKNOWN, "`")?;
        let is_there = matches!(self.0.last(), Some(Step::Key(last)) if last == key);
        (!is_there).then(|| self.with(key))
    }

    /// What stands there.
    fn of_document<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(document, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        })
    }

    fn with(&self, key: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.to_owned()));
        Self(steps)
    }
}

impl std::fmt::Display for KeyPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if number == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// What is wrong at `path` of `document`, where the parser `said` something of it: the key, what is there, and what should be
/// by `schema`, which is that of a `what`.
pub(super) fn explain(
    path: &KeyPath,
    said: &str,
    document: &Value,
    (schema, what): (&Value, &str),
) -> String {
    let form = Form {
        root: schema,
        document,
    };
    if said.contains(UNKNOWN) {
        return form.unknown(path);
    }
    if let Some(key) = between(said, "missing field `", "`") {
        let missing = path.with(key);
        return format!("{missing}: is missing: add {}", form.expected(&missing));
    }
    if let Some(key) = between(said, "duplicate mapping key: ", ",") {
        let is_there = matches!(path.0.last(), Some(Step::Key(last)) if last == key);
        let path = if is_there {
            path.clone()
        } else {
            path.with(key)
        };
        return format!("{path}: is there twice: leave one of them out");
    }
    let mut path = path.clone();
    if said.contains("after enum variant") {
        // Of several where one is to be; the parser stands at the first.
        path.0.pop();
    }
    let path = &path;
    let found = path.of_document(document);
    let found = found.map_or_else(|| "this".to_owned(), shown);
    let expected = form.expected(path);
    if path.0.is_empty() {
        return format!("{found} is no {what}: write {expected}");
    }
    format!("{path}: {found} is not right: write {expected}")
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// The form of the file, as its schema has it.
struct Form<'a> {
    root: &'a Value,
    /// What was read, which says of which kind something is.
    document: &'a Value,
}

impl<'a> Form<'a> {
    /// Every form that is possible at a path.
    fn at(&self, path: &KeyPath) -> Vec<&'a Value> {
        let mut forms = self.choices(self.root);
        for step in &path.0 {
            let below = forms.iter().filter_map(|form| match step {
                Step::Key(key) => {
                    let own = form["properties"].get(key);
                    own.or_else(|| {
                        form.get("additionalProperties")
                            .filter(|more| more.is_object())
                    })
                }
                Step::Index(_) => form.get("items"),
            });
            forms = below.flat_map(|form| self.choices(form)).collect();
        }
        forms
    }

    fn choices(&self, form: &'a Value) -> Vec<&'a Value> {
        if let Some(target) = form["$ref"].as_str() {
            let target = self.root.pointer(target.trim_start_matches('#'));
            return target.map_or_else(Vec::new, |form| self.choices(form));
        }
        let choices: Vec<_> = ["anyOf", "oneOf"]
            .iter()
            .filter_map(|word| form[*word].as_array())
            .flatten()
            .flat_map(|form| self.choices(form))
            .collect();
        if choices.is_empty() {
            vec![form]
        } else {
            choices
        }
    }

    /// The keys that may be below a path; where a key there says of which kind it is, those of that.
    fn keys(&self, path: &KeyPath) -> Vec<&'a str> {
        let (mut forms, there) = (self.at(path), path.of_document(self.document));
        let is_of = |form: &&Value| {
            tag(form)
                .is_some_and(|(key, kind)| there.and_then(|there| there.get(key)) == Some(kind))
        };
        if forms.iter().any(is_of) {
            forms.retain(is_of);
        }
        let keys = forms
            .iter()
            .filter_map(|form| form["properties"].as_object());
        keys.flat_map(|keys| keys.keys().map(String::as_str))
            .collect()
    }

    fn unknown(&self, path: &KeyPath) -> String {
        let (Some(Step::Key(written)), above) = (
            path.0.last(),
            KeyPath(path.0[..path.0.len().saturating_sub(1)].to_vec()),
        ) else {
            return format!("{path}: there is no such key");
        };
        let keys = self.keys(&above);
        if let Some(meant) = meant(written, keys.iter().copied()) {
            return format!(
                "{path}: there is no such key: did you mean {}?",
                above.with(meant)
            );
        }
        let mut elsewhere = Vec::new();
        self.named(written, &KeyPath::default(), &mut elsewhere);
        if let [one] = &elsewhere[..] {
            return format!("{path}: there is no such key here: did you mean {one}?");
        }
        format!(
            "{path}: there is no such key; there are {}",
            keys.join(", ")
        )
    }

    /// Where keys of this name are.
    fn named(&self, name: &str, path: &KeyPath, found: &mut Vec<KeyPath>) {
        for key in self.keys(path) {
            let below = path.with(key);
            self.named(name, &below, found);
            if key == name {
                found.push(below);
            }
        }
    }

    /// How the value at a path is written.
    fn expected(&self, path: &KeyPath) -> String {
        let text = path.to_string();
        if let Some((_, written)) = WRITTEN.iter().find(|(key, _)| text.starts_with(key)) {
            return (*written).to_owned();
        }
        let forms = self.at(path);
        let words = forms.iter().flat_map(|form| {
            let several = form["enum"].as_array().into_iter().flatten();
            form.get("const").into_iter().chain(several)
        });
        let words: Vec<_> = words
            .map(|word| {
                word.as_str()
                    .map_or_else(|| word.to_string(), str::to_owned)
            })
            .collect();
        if !words.is_empty() {
            return words.join(" or ");
        }
        let is = |kind: &str| {
            forms.iter().any(|form| match &form["type"] {
                // With `null` where it may be left out.
                Value::Array(kinds) => kinds.iter().any(|one| *one == *kind),
                one => *one == *kind,
            })
        };
        let keys = self.keys(path);
        let kinds: Vec<_> = forms.iter().filter_map(|form| kind(form)).collect();
        if !kinds.is_empty() {
            return format!("keys below it: {}", kinds.join(", or "));
        }
        if !keys.is_empty() {
            let kinds = forms.iter().filter(|form| form["properties"].is_object());
            let which = match kinds.count() {
                1 => "keys below it, of",
                _ => "exactly one key below it, of",
            };
            return format!("{which} {}", keys.join(", "));
        }
        let is_length = |form: &&Value| {
            let told = form["description"].as_str().unwrap_or_default();
            told.starts_with("A length of time")
        };
        if forms.iter().any(is_length) {
            "a length of time, such as 90s, 10m, 24h or 7d".to_owned()
        } else if is("array") {
            "a list, such as [a, b], or a line with a dash for each".to_owned()
        } else if is("boolean") {
            "true or false".to_owned()
        } else if is("integer") && is("string") && text.ends_with("Bytes") {
            "a number of bytes, or one with its unit, such as 512Mi or 2Gi".to_owned()
        } else if is("integer") && text.ends_with("Bytes") {
            "a number of bytes without a unit, such as 1073741824 for 1 GiB".to_owned()
        } else if is("integer") {
            "a whole number, such as 1000".to_owned()
        } else if is("object") {
            "keys with a text each, such as {a: b}".to_owned()
        } else if ["File", "file", "dir", "Dir", "root", "path", "kubeconfig"]
            .iter()
            .any(|end| text.ends_with(end))
        {
            "a path, such as /etc/slipway/file or ./file".to_owned()
        } else {
            "a text".to_owned()
        }
    }
}

/// The key that says of which kind something of this form is, and what it says.
fn tag(form: &Value) -> Option<(&str, &Value)> {
    let mut keys = form["properties"].as_object()?.iter();
    keys.find_map(|(key, form)| Some((&**key, form.get("const")?)))
}

/// What a form with such a key must have: `kind: git with url`.
fn kind(form: &Value) -> Option<String> {
    let (key, kind) = tag(form)?;
    let required = form["required"].as_array().into_iter().flatten();
    let required = required.filter_map(Value::as_str);
    let others: Vec<_> = required.filter(|other| *other != key).collect();
    let (kind, others) = (kind.as_str()?, others.join(" and "));
    Some(match &*others {
        "" => format!("{key}: {kind}"),
        others => format!("{key}: {kind} with {others}"),
    })
}
