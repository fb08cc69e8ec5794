//! A route: where, who may, what for, and by what it is answered.

use std::fmt;

use auth::{AdminRight, BuildRight};
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::{Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Who may use a route. There is no route without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Everybody, without being asked who they are: it tells nothing of this registry.
    Open,
    /// Whoever the gate knows, strangers too where they come in: it tells only of the caller, or what
    /// rules name.
    Known,
    /// Whoever has proved who they are: it is about what is theirs.
    Named,
    /// Whoever the gate knows; the handler takes the permit for what path or body name.
    Permit,
    /// Whoever has this right over the whole registry. The handler finds the proof in
    /// [`Administrator`](crate::Administrator).
    Admin(AdminRight),
    /// Whoever has this right with the builds of the namespace that the path names as `{namespace}`; where it names none,
    /// with what is everybody's. The handler finds the proof in [`Builder`](crate::Builder).
    Build(BuildRight),
}

type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// One operation of the API.
pub struct Route {
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) permission: Permission,
    /// Whether the audit record says when it was done.
    pub(crate) is_change: bool,
    pub(crate) summary: &'static str,
    pub(crate) query: Option<MakeSchema>,
    pub(crate) body: Option<MakeSchema>,
    pub(crate) status: StatusCode,
    pub(crate) reply: Option<MakeSchema>,
    /// Media types of an answer that is no JSON.
    pub(crate) content: &'static [&'static str],
    /// Headers that it heeds, and what they are for.
    pub(crate) heeds: Vec<(&'static str, &'static str)>,
    /// Headers of its answer.
    pub(crate) gives: Vec<(&'static str, &'static str)>,
    /// Other answers, and what they mean.
    pub(crate) others: Vec<(StatusCode, &'static str)>,
    /// Whether it may make what it changes: then the answer is 201 and says where that is.
    pub(crate) may_create: bool,
    pub(crate) handler: MethodRouter,
}

/// A constructor for each method.
macro_rules! constructors {
    ($($name:ident: $method:ident;)+) => { $(
        #[doc = concat!("`", stringify!($method), " path`.")]
        /// `operation` names it in the log, the metrics and the document. The handler runs with `state`, once the caller
        /// has the permission.
        pub fn $name<H, T, S>(
            path: &'static str,
            operation: &'static str,
            permission: Permission,
            handler: H,
            state: S,
        ) -> Self
        where
            H: Handler<T, S>,
            T: 'static,
            S: Clone + Send + Sync + 'static,
        {
            let handler = on(MethodFilter::$method, handler).with_state(state);
            Self::new(Method::$method, path, operation, permission, handler)
        }
    )+ };
}

impl Route {
    constructors! {
        get: GET;
        post: POST;
        put: PUT;
        delete: DELETE;
    }

    fn new(
        method: Method,
        path: &'static str,
        operation: &'static str,
        permission: Permission,
        handler: MethodRouter,
    ) -> Self {
        Self {
            operation,
            is_change: method != Method::GET,
            method,
            path,
            permission,
            summary: "",
            query: None,
            body: None,
            status: StatusCode::OK,
            reply: None,
            content: &[],
            heeds: Vec::new(),
            gives: Vec::new(),
            others: Vec::new(),
            may_create: false,
            handler,
        }
    }

    /// What it does, in one line.
    #[must_use]
    pub fn summary(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    /// It is no change although it is no GET either: the audit record says of it only that it was refused.
    #[must_use]
    pub fn changes_nothing(mut self) -> Self {
        self.is_change = false;
        self
    }

    /// Its parameters are those of `T` ([`Query`](crate::Query)).
    #[must_use]
    pub fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(SchemaGenerator::root_schema_for::<T>);
        self
    }

    /// Its body is a `T` ([`Body`](crate::Body)).
    #[must_use]
    pub fn body<T: JsonSchema>(mut self) -> Self {
        self.body = Some(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// Its answer is a `T` with this status ([`Reply`](crate::Reply)).
    #[must_use]
    pub fn reply<T: JsonSchema>(mut self, status: StatusCode) -> Self {
        self.status = status;
        self.reply = Some(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// Its answer is of one of these media types.
    #[must_use]
    pub fn content(mut self, types: &'static [&'static str]) -> Self {
        self.content = types;
        self
    }

    /// It heeds a header of the request.
    #[must_use]
    pub fn heeds(mut self, header: &'static str, what: &'static str) -> Self {
        self.heeds.push((header, what));
        self
    }

    /// Its answer has a header.
    #[must_use]
    pub fn gives(mut self, header: &'static str, what: &'static str) -> Self {
        self.gives.push((header, what));
        self
    }

    /// It may answer otherwise: with a problem, or with a status of success and no body.
    #[must_use]
    pub fn or(mut self, status: StatusCode, what: &'static str) -> Self {
        self.others.push((status, what));
        self
    }

    /// It makes what is not there: its answer then is the same with 201 and `Location`.
    #[must_use]
    pub fn may_create(mut self) -> Self {
        self.may_create = true;
        self
    }

    /// Its answer is this status and no body.
    #[must_use]
    pub fn no_content(mut self) -> Self {
        self.status = StatusCode::NO_CONTENT;
        self
    }

    /// HTTP method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Path, with parameters in braces.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Who may use it.
    pub fn permission(&self) -> Permission {
        self.permission
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({:?})", self.method, self.path, self.permission)
    }
}
