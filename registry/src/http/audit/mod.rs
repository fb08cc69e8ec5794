//! What the audit record says of requests: the one table, and the one place where rows are made of them.
//!
//! A change that is made leaves its rows in its own transaction: all that happens here is to say on whose account
//! ([`Asked::cause`]). Refusals, failures, logins and pulls change nothing, and go to the [`Recorder`].

mod log;
mod recorder;

pub use recorder::{Recorded, Recorder};

use std::sync::Arc;

use auth::{Credential, Gate, Identity};
use http::header::USER_AGENT;
use http::{HeaderMap, Response, StatusCode};
use oci::{Operation, Reference, RepoName};
use storage::audit::{Cause, Entry, Groups, Origin, Outcome, Place, Proof, Verb};

use super::Body;
use super::problem::Problem;
use super::reply::DOCKER_CONTENT_DIGEST;
use super::token::{Issued, credential};
use super::told;
use super::trace::Record;

/// Longest path of the API kept, in characters.
const REFERENCE: usize = 300;

/// What is recorded of an operation. Every operation has its line in [`deed`]: one that is added does not compile
/// without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Deed {
    verb: Verb,
    success: Success,
}

/// What is recorded when it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Success {
    /// Nothing: only that it was refused.
    Nothing,
    /// The change leaves its rows in the index; here, that it failed.
    Change,
    /// That it was done, where pulls are recorded.
    Pull,
}

const fn deed(operation: &Operation) -> Deed {
    let (verb, success) = match operation {
        Operation::Base => (Verb::Login, Success::Nothing),
        Operation::Catalog { .. } | Operation::ListTags { .. } | Operation::Referrers { .. } => {
            (Verb::List, Success::Nothing)
        }
        // Of a pull the manifest is recorded: clients ask for it once, and for blobs only if they have them not.
        Operation::GetManifest { .. } => (Verb::Pull, Success::Pull),
        Operation::HeadManifest { .. } | Operation::GetBlob { .. } | Operation::HeadBlob { .. } => {
            (Verb::Pull, Success::Nothing)
        }
        Operation::PutManifest { .. } => (Verb::Push, Success::Change),
        Operation::DeleteManifest { .. } | Operation::DeleteBlob { .. } => {
            (Verb::Delete, Success::Change)
        }
        Operation::StartUpload { mount: Some(_), .. } => (Verb::Mount, Success::Change),
        Operation::StartUpload {
            digest: Some(_), ..
        }
        | Operation::FinishUpload { .. } => (Verb::Upload, Success::Change),
        // A blob that is on its way is none yet.
        Operation::StartUpload { .. }
        | Operation::UploadStatus { .. }
        | Operation::PatchUpload { .. }
        | Operation::CancelUpload { .. } => (Verb::Upload, Success::Nothing),
    };
    Deed { verb, success }
}

/// Whether the operation changes what is recorded by itself.
pub(super) const fn is_change(operation: &Operation) -> bool {
    matches!(deed(operation).success, Success::Change)
}

/// Whether it is a pull that may be recorded.
pub(super) const fn is_pull(operation: &Operation) -> bool {
    matches!(deed(operation).success, Success::Pull)
}

/// How the caller said who they are.
#[derive(Debug)]
pub(super) struct Presented {
    proof: Proof,
    /// The name that came with it, whether or not it is true. People also type passwords into that field.
    claimed: Option<String>,
}

impl Presented {
    /// What was sent, and whom it turned out to be.
    pub(super) fn of(credential: Option<&Credential>, who: Option<&Identity>) -> Self {
        let is_own = who.is_some_and(|who| who.access().is_some());
        let (proof, claimed) = match credential {
            None => (Proof::None, None),
            Some(Credential::Basic(basic)) => (Proof::Basic, Some(basic.user().to_owned())),
            Some(Credential::Bearer(_)) if is_own => (Proof::Token, None),
            Some(Credential::Bearer(_)) => (Proof::Bearer, None),
        };
        Self { proof, claimed }
    }

    /// A refresh token.
    pub(super) const fn refresh() -> Self {
        Self {
            proof: Proof::Refresh,
            claimed: None,
        }
    }

    /// The signature of a webhook's call.
    const fn webhook() -> Self {
        Self {
            proof: Proof::Webhook,
            claimed: None,
        }
    }

    /// Something that is no credential.
    pub(super) const fn unreadable() -> Self {
        Self {
            proof: Proof::Unreadable,
            claimed: None,
        }
    }

    /// The same from a request's headers, read once more: for replies that are errors.
    fn from_headers(headers: &HeaderMap, who: Option<&Identity>) -> Self {
        match credential(headers) {
            Ok(credential) => Self::of(credential.as_ref(), who),
            Err(_) => Self::unreadable(),
        }
    }
}

/// A request with what a row says of its caller.
pub(super) struct Asked<'a> {
    pub(super) record: &'a Record,
    pub(super) headers: &'a HeaderMap,
    pub(super) gate: &'a Gate,
}

impl Asked<'_> {
    /// On whose account an operation changes something.
    pub(super) fn cause(
        &self,
        operation: &Operation,
        credential: Option<&Credential>,
        who: &Identity,
    ) -> Cause {
        if is_change(operation) {
            let presented = Presented::of(credential, Some(who));
            Cause::of(self.origin(presented, Some(who)), self.record.at)
        } else {
            self.record.at.into()
        }
    }

    /// Records that the operation was done, if it is a pull and those are recorded.
    pub(super) fn answered(&self, operation: &Operation, response: &Response<Body>) {
        if !is_pull(operation) {
            return;
        }
        let who = self.record.user.as_ref();
        let presented = Presented::from_headers(self.headers, who);
        let status = response.status();
        let entry = self.entry(presented, operation, Outcome::Allowed, status);
        let digest = response.headers().get(&DOCKER_CONTENT_DIGEST);
        let digest = digest.and_then(|digest| digest.to_str().ok()?.parse().ok());
        self.note(Entry { digest, ..entry });
    }

    /// Records that the operation was refused, or failed.
    pub(super) fn refused(&self, operation: &Operation, problem: &Problem) {
        let who = self.record.user.as_ref();
        let presented = Presented::from_headers(self.headers, who);
        if problem.is_denial() && who.is_none() {
            return self.unidentified(presented, problem);
        }
        let outcome = match problem.is_denial() {
            true if is_challenge(&presented, problem) => return,
            true => Outcome::Denied,
            false if is_change(operation) => Outcome::Failed,
            false => return,
        };
        let entry = self.entry(presented, operation, outcome, problem.status);
        self.note(entry.because(Some(&told::cut(problem.message()))));
    }

    /// Records what became of asking for a token, of those who said who they are.
    pub(super) fn logged_in(&self, presented: Presented, issued: Result<&Issued, &Problem>) {
        let Issued { who, refresh, .. } = match issued {
            Ok(issued) => issued,
            Err(problem) if problem.is_denial() => return self.unidentified(presented, problem),
            Err(_) => return,
        };
        if !who.is_anonymous() {
            let origin = self.origin(presented, Some(who));
            let (verb, place) = (Verb::Login, Place::Registry);
            let status = StatusCode::OK.as_u16();
            self.note(Entry {
                reference: refresh.as_ref().map(ToString::to_string),
                ..Entry::new(&Arc::new(origin), verb, place, Outcome::Allowed, status)
            });
        }
    }

    /// Records what became of a request to another room: that a change was done, before the caller is told so; that it
    /// failed; that anything was refused.
    pub(super) async fn administered(&self, is_change: bool, done: Result<StatusCode, &Problem>) {
        let who = self.record.user.as_ref();
        let (outcome, status, reason) = match done {
            Ok(status) if is_change => (Outcome::Allowed, status, None),
            Err(problem) if problem.is_denial() => (Outcome::Denied, problem.status, Some(problem)),
            Err(problem) if is_change => (Outcome::Failed, problem.status, Some(problem)),
            Ok(_) | Err(_) => return,
        };
        let reference = &self.record.reference;
        let path = reference.split(' ').nth(1).unwrap_or_default();
        // Whom a webhook acts for is known only once its signature holds.
        let presented = match who {
            Some(_) if path.starts_with("/hooks/") => Presented::webhook(),
            _ => Presented::from_headers(self.headers, who),
        };
        if let Some(problem) = reason.filter(|_| outcome == Outcome::Denied) {
            if is_challenge(&presented, problem) {
                return;
            }
            if who.is_none() {
                return self.unidentified(presented, problem);
            }
        }
        let origin = Arc::new(self.origin(presented, who));
        let entry = Entry {
            reference: Some(told::cut(reference).chars().take(REFERENCE).collect()),
            ..Entry::new(&origin, Verb::Admin, within(path), outcome, status.as_u16())
        };
        let entry = entry.because(reason.map(Problem::message).map(told::cut).as_deref());
        match outcome {
            Outcome::Allowed => self.record.recorder().note_durably(entry).await,
            Outcome::Denied | Outcome::Failed => self.note(entry),
        }
    }

    /// A login that was refused, wherever it was tried: what else the request asked for was not looked at.
    fn unidentified(&self, presented: Presented, problem: &Problem) {
        if is_challenge(&presented, problem) {
            return;
        }
        let origin = self.origin(presented, problem.was());
        let (verb, place) = (Verb::Login, Place::Registry);
        let status = problem.status.as_u16();
        let entry = Entry::new(&Arc::new(origin), verb, place, Outcome::Denied, status);
        self.note(entry.because(Some(&told::cut(problem.message()))));
    }

    fn entry(
        &self,
        presented: Presented,
        operation: &Operation,
        outcome: Outcome,
        status: StatusCode,
    ) -> Entry {
        let origin = Arc::new(self.origin(presented, self.record.user.as_ref()));
        let repo = operation.repo().cloned();
        let place = repo.map_or(Place::Registry, Place::Repository);
        let (reference, digest) = match operation {
            Operation::GetManifest { reference, .. }
            | Operation::HeadManifest { reference, .. }
            | Operation::PutManifest { reference, .. }
            | Operation::DeleteManifest { reference, .. } => match reference {
                Reference::Tag(tag) => (Some(tag.to_string()), None),
                Reference::Digest(digest) => (None, Some(*digest)),
            },
            Operation::GetBlob { digest, .. }
            | Operation::HeadBlob { digest, .. }
            | Operation::DeleteBlob { digest, .. }
            | Operation::FinishUpload { digest, .. }
            | Operation::Referrers { digest, .. } => (None, Some(*digest)),
            Operation::StartUpload { digest, mount, .. } => (None, mount.or(*digest)),
            Operation::Base
            | Operation::Catalog { .. }
            | Operation::ListTags { .. }
            | Operation::UploadStatus { .. }
            | Operation::PatchUpload { .. }
            | Operation::CancelUpload { .. } => (None, None),
        };
        Entry {
            reference,
            digest,
            ..Entry::new(
                &origin,
                deed(operation).verb,
                place,
                outcome,
                status.as_u16(),
            )
        }
    }

    fn origin(&self, presented: Presented, who: Option<&Identity>) -> Origin {
        let Presented { proof, claimed } = presented;
        let agent = self.headers.get(USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok()).map(told::cut);
        Origin {
            request_id: self.record.id.to_string(),
            user: match who {
                Some(who) => who.name().to_owned(),
                None => claimed
                    .filter(|name| self.gate.has_user(name))
                    .unwrap_or_default(),
            },
            provider: who.map(Identity::provider).unwrap_or_default().to_owned(),
            uid: who.and_then(Identity::uid).map(str::to_owned),
            groups: who
                .map(Identity::own_groups)
                .map(Groups::of)
                .unwrap_or_default(),
            credential: proof,
            credential_id: who.and_then(Identity::token).map(ToString::to_string),
            client: Some(self.record.client),
            ..Origin::own(self.record.at).with_agent(agent.as_deref())
        }
    }

    fn note(&self, entry: Entry) {
        self.record.recorder().note(entry);
    }
}

/// Where a path of the API is about.
fn within(path: &str) -> Place {
    let rest = path
        .strip_prefix("/api/v1/namespaces/")
        .or_else(|| path.strip_prefix("/hooks/"));
    let namespace = rest.and_then(|rest| rest.split('/').next());
    // What is no namespace must not come among the rows of one.
    let namespace = namespace.and_then(|text| RepoName::parse(text).ok());
    namespace.map_or(Place::Registry, |name| Place::Namespace(name.to_string()))
}

/// The first answer to every client that does not know yet whether it must log in.
fn is_challenge(presented: &Presented, problem: &Problem) -> bool {
    presented.proof == Proof::None && problem.status == StatusCode::UNAUTHORIZED
}
