//! What somebody sees of the list of repositories.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::OnceLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use oci::RepoName;

use crate::answers::BUSY;
use crate::gate::in_scope;
use crate::{Gate, Identity, Refusal};

#[cfg(test)]
mod tests;

/// Most questions that one request puts to a policy that asks elsewhere.
const BUDGET: usize = 200;
/// Repositories that are looked at together. Each costs two questions at most: its namespace, and its name.
const TOGETHER: usize = 16;
/// What a sealed position begins with, and no name does.
const SEALED: char = '~';

/// One request's look at the list of repositories: by whom, and how much it has asked.
#[derive(Debug)]
pub struct Sight<'a> {
    gate: &'a Gate,
    who: &'a Identity,
    /// What policy said of namespaces: all that is in them, or not all, or that it is to be asked by name.
    namespaces: HashMap<Box<str>, Option<bool>>,
    left: usize,
}

/// How far a [`Sight`] came.
#[derive(Debug)]
pub struct Seen {
    /// Those of the names that are seen, in order.
    pub repositories: Vec<RepoName>,
    /// How many of the names were looked at; the others wait for the next request, since this one has asked enough.
    pub looked_at: usize,
}

impl<'a> Sight<'a> {
    pub(crate) fn new(gate: &'a Gate, who: &'a Identity) -> Self {
        Self {
            gate,
            who,
            namespaces: HashMap::new(),
            left: BUDGET,
        }
    }

    /// Looks at `names` in order, until more than `enough` are seen or this request has asked enough. The first call of a
    /// request looks at some at least, so that whoever goes on where it ended comes to the end.
    // Boxed, since the compiler does not see of streams of such futures in a greater one that they are `Send`.
    pub fn look<'s>(
        &'s mut self,
        names: &'s [RepoName],
        enough: usize,
    ) -> BoxFuture<'s, Result<Seen, Refusal>> {
        let look = async move {
            let mut seen = Seen {
                repositories: Vec::new(),
                looked_at: 0,
            };
            for some in names.chunks(TOGETHER) {
                if self.left < 2 * TOGETHER || seen.repositories.len() > enough {
                    break;
                }
                seen.repositories.extend(self.look_at(some).await?);
                seen.looked_at += some.len();
            }
            Ok(seen)
        };
        look.boxed()
    }

    async fn look_at(&mut self, names: &[RepoName]) -> Result<Vec<RepoName>, Refusal> {
        let (gate, who) = (self.gate, self.who);
        let in_scope = names.iter().filter(|name| in_scope(who, name)).cloned();
        let in_scope: Vec<RepoName> = in_scope.collect();
        let unknown: HashSet<Box<str>> = in_scope
            .iter()
            .map(|name| Box::from(name.namespace()))
            .filter(|namespace| !self.namespaces.contains_key(namespace))
            .collect();
        let asked = unknown.into_iter().map(|namespace| async move {
            let answer = gate.sees_all_of(who, &namespace).await?;
            Ok::<_, Refusal>((namespace, answer))
        });
        let answers: Vec<(Box<str>, Option<bool>)> = stream::iter(asked)
            .buffer_unordered(TOGETHER)
            .try_collect()
            .await?;
        for (namespace, answer) in answers {
            self.left -= usize::from(answer.is_some());
            self.namespaces.insert(namespace, answer);
        }
        let mut asked = Vec::new();
        for name in in_scope {
            let all = self.namespaces.get(name.namespace()).copied().flatten();
            // Rules may name repositories: a no for the namespace is none for each of them.
            self.left -= usize::from(all == Some(false));
            asked.push(async move {
                let is_seen = all == Some(true) || gate.sees(who, &name).await?;
                Ok::<_, Refusal>(is_seen.then_some(name))
            });
        }
        let seen: Vec<Option<RepoName>> =
            stream::iter(asked).buffered(TOGETHER).try_collect().await?;
        Ok(seen.into_iter().flatten().collect())
    }

    /// The position behind `name` for a link. The name may be one that they must not know of, so it is sealed, for them
    /// alone and until the end of this process.
    pub fn seal(&self, name: &str) -> Result<String, Refusal> {
        let mut text = name.as_bytes().to_vec();
        let whose = Aad::from(self.who.principal().as_bytes());
        let nonce = self
            .gate
            .positions()
            .key()?
            .seal_in_place_append_tag(whose, &mut text)
            .map_err(|_| BUSY)?;
        text.extend(nonce.as_ref());
        Ok(format!("{SEALED}{}", URL_SAFE_NO_PAD.encode(text)))
    }

    /// The position that a client came with: a name, or what [`seal`](Self::seal) made for the same user. `None`: it was
    /// sealed by another process, or for somebody else.
    pub fn position(&self, last: &str) -> Result<Option<String>, Refusal> {
        let Some(sealed) = last.strip_prefix(SEALED) else {
            return Ok(Some(last.to_owned()));
        };
        let key = self.gate.positions().key()?;
        let open = || {
            let mut text = URL_SAFE_NO_PAD.decode(sealed).ok()?;
            let nonce = text.split_off(text.len().checked_sub(NONCE_LEN)?);
            let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
            let whose = Aad::from(self.who.principal().as_bytes());
            let name = key.open_in_place(nonce, whose, &mut text).ok()?;
            String::from_utf8(name.to_vec()).ok()
        };
        Ok(open())
    }
}

/// The key that positions are sealed with, made when it is first needed.
#[derive(Default)]
pub(crate) struct Positions(OnceLock<RandomizedNonceKey>);

impl Positions {
    fn key(&self) -> Result<&RandomizedNonceKey, Refusal> {
        if let Some(key) = self.0.get() {
            return Ok(key);
        }
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| BUSY)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| BUSY)?;
        Ok(self.0.get_or_init(|| key))
    }
}

impl fmt::Debug for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Positions(…)")
    }
}
