//! Who is asking, and what they may do.
//!
//! A request passes here once, on its way in:
//!
//! ```text
//! Authorization header ─► Credential ─► Gate::identify ─► Identity ─► Gate::permit::<V> ─► Permit<V>
//! ```
//!
//! - [`Credential`] is what the client sent, [`Identity`] who that is, [`Permit`] the proof that it may do one
//!   thing in one repository. Only [`Gate`] makes a permit, and every deed of the registry takes one, so a handler
//!   without its check does not compile.
//! - [`AdminPermit`] is the same for what is done to the registry as a whole, [`BuildPermit`] for builds.
//! - Two kinds of tokens are our own, and the gate's: those that are issued for minutes ([`Tokens`]) and those that are kept
//!   ([`OpaqueTokens`]: API tokens, refresh tokens), whose store is a seam ([`opaque::TokenStore`]).
//! - Two seams more: [`Authenticator`] (htpasswd, [`oidc`], [`kubernetes`]) and [`Policy`] (RBAC files, or any
//!   authenticated user).
//! - No rule is a refusal, and an authenticator or policy that cannot answer is [`Refusal::Unavailable`], never a
//!   yes and never "no such thing".
//!
//! Who may see what, by what is configured (users of OpenID Connect or a cluster count as those of htpasswd):
//!
//! | configuration | a user | a stranger |
//! |---|---|---|
//! | nothing ([`Gate::open`]) | everything | everything |
//! | htpasswd | everything ([`AllowAuthenticated`]) | nothing |
//! | htpasswd, `anonymous: true` | everything | nothing: no rule is a refusal |
//! | htpasswd, RBAC files ([`Rbac`]) | what the rules say | nothing |
//! | htpasswd, RBAC files, `anonymous: true` | what the rules say | what the rules give `system:anonymous` or `system:unauthenticated` |

mod action;
mod admin;
mod answers;
mod build;
mod complaints;
mod credential;
mod deed;
mod gate;
pub mod htpasswd;
mod identity;
mod jws;
mod keyed;
pub mod kubernetes;
pub mod length;
pub mod oidc;
pub mod opaque;
mod permit;
mod policy;
pub mod rbac;
mod refusal;
mod replace;
mod right;
mod scope;
mod secret;
mod sight;
mod throttle;
pub mod token;
mod turns;
mod watched;

pub use action::{Action, Actions};
pub use admin::{AdminPermit, AdminRight};
pub use build::{BuildPermit, BuildRight};
pub use credential::{Basic, Credential};
pub use deed::Deed;
pub use gate::{Authenticator, Gate};
pub use htpasswd::Htpasswd;
pub use identity::Identity;
pub use oidc::IdTokens;
pub use opaque::{OpaqueTokens, TokenId};
pub use permit::{Delete, Permit, Pull, Push, Retag, Verb};
pub use policy::{AllowAuthenticated, Policy, RulesKept};
pub use rbac::Rbac;
pub use refusal::{Denied, Outage, Refusal, SpentToken};
pub use right::Right;
pub use scope::{Access, InvalidScope, Scope};
pub use secret::Secret;
pub use sight::{Seen, Sight};
pub use token::{IssuedToken, Tokens};
pub use watched::LoadError;
