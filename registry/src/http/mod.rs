//! HTTP: the only room of this crate that knows it.
//!
//! [`Front`] takes every request of every connection. `/v2/` goes straight to the hall, because a
//! manifest is answered in less time than a general router takes; everything else goes to axum.

mod admission;
mod audit;
mod blobs;
mod body;
mod challenge;
mod chunk;
mod conditional;
mod connection;
mod ended;
mod forwarded;
mod hall;
mod incoming;
mod limits;
mod lists;
mod manifests;
mod problem;
mod range;
mod reply;
mod request_id;
mod rest;
mod room;
mod token;
mod told;
mod trace;
mod uploads;

pub use admission::Admissions;
pub use audit::{Recorded, Recorder};
pub use body::Body;
pub use challenge::Hosts;
pub use connection::Connection;
use connection::names_one_host;
pub use forwarded::TrustedProxies;
pub use limits::Limits;
pub use problem::Problem;
pub use request_id::{RequestId, RequestIds};
pub use room::{Account, Arrival};
pub use token::credential;
pub use trace::{AccessLog, Finished, Format, Metrics, Observer, Sink};

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version};
use oci::Operation;
use tower::ServiceExt as _;

use crate::Registry;
use admission::Admission;
use audit::{Asked, Presented};
use hall::{Ask, Hall};
use trace::Record;

/// Paths that cost little, and that monitors ask.
const MONITORED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

static OCI_NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The front door.
#[derive(Debug)]
pub struct Front {
    hall: Hall,
    rest: axum::Router,
    observer: Arc<Observer>,
    ids: RequestIds,
}

impl Front {
    /// Opens the door to `registry`. `more` are routes of other rooms of the program.
    pub fn new(
        registry: Arc<Registry>,
        limits: Limits,
        observer: Arc<Observer>,
        more: axum::Router,
    ) -> Result<Self, getrandom::Error> {
        let rest = rest::router(Arc::clone(&registry), Arc::clone(&observer)).merge(more);
        Ok(Self {
            hall: Hall {
                registry,
                admission: Admission::new(limits.admissions),
                limits,
            },
            rest,
            observer,
            ids: RequestIds::new()?,
        })
    }

    /// Answers one request. Never fails: what goes wrong is a reply too.
    pub async fn respond<B>(&self, request: Request<B>, connection: &Connection) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + std::fmt::Display,
    {
        let (parts, body) = request.into_parts();
        let (body, body_ended) = ended::watched(body, &parts);
        let version = parts.version;
        let limits = &self.hall.limits;
        let client = limits.trusted_proxies.client(connection, &parts.headers);
        let mut record = Record::start(
            &self.observer,
            self.ids.next(),
            parts.method.clone(),
            parts.uri.clone(),
            client,
            SystemTime::now(),
        );
        if self.observer.sink.is_some() {
            record.traceparent = parts.headers.get(&TRACEPARENT).cloned();
        }
        let path = parts.uri.path();
        let mut response = if version == Version::HTTP_11 && !names_one_host(&parts.headers) {
            let problem = Problem::host_unclear();
            self.refuse(problem, &parts, connection, None, &mut record)
        } else if let Some(problem) =
            told::misplaced(&parts.uri).filter(|_| !token::PATHS.contains(&path))
        {
            record.error = Some((problem.code.as_str(), None));
            if is_registry(path) {
                problem.into_oci(record.id)
            } else {
                problem.into_details(record.id)
            }
        } else if is_registry(path) {
            self.registry(&parts, body, connection, &mut record).await
        } else if token::PATHS.contains(&path) {
            self.token(&parts, body, &mut record).await
        } else {
            self.other(parts, body, connection, &mut record).await
        };
        if record.method == Method::HEAD {
            response = reply::headless(response);
        }
        record.status = response.status();
        let headers = response.headers_mut();
        headers.insert(&X_REQUEST_ID, record.id.header());
        // HTTP/2 resets the one stream and has no such header.
        if version < Version::HTTP_2 && !body_ended.get() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| body.recorded(record))
    }

    async fn registry<B>(
        &self,
        parts: &Parts,
        body: B,
        connection: &Connection,
        record: &mut Record,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::fmt::Display,
    {
        let uri = &parts.uri;
        let asked = match oci::Request::parse(&parts.method, uri.path(), uri.query()) {
            Ok(asked) => asked,
            Err(error) => return self.refuse(error.into(), parts, connection, None, record),
        };
        let namespace = asked.ns().and_then(|ns| HeaderValue::from_str(ns).ok());
        let operation = asked.into_operation();
        record.operation = operation.name();
        // The operation is needed again only to word a challenge and for the audit record.
        let is_recorded = audit::is_change(&operation)
            || (audit::is_pull(&operation) && record.recorder().takes_pulls());
        let is_needed = is_recorded || self.hall.registry.gate().challenges();
        let kept = is_needed.then(|| operation.clone());
        match self.ask(operation, parts, body, connection, record).await {
            Ok(mut response) => {
                if let Some(namespace) = namespace {
                    response.headers_mut().insert(&OCI_NAMESPACE, namespace);
                }
                if let Some(operation) = kept.filter(|_| is_recorded) {
                    self.asked(record, &parts.headers)
                        .answered(&operation, &response);
                }
                response
            }
            Err(problem) => {
                if let Some(operation) = &kept {
                    self.asked(record, &parts.headers)
                        .refused(operation, &problem);
                }
                self.refuse(problem, parts, connection, kept.as_ref(), record)
            }
        }
    }

    async fn ask<B>(
        &self,
        operation: Operation,
        parts: &Parts,
        body: B,
        connection: &Connection,
        record: &mut Record,
    ) -> reply::Reply
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::fmt::Display,
    {
        let hall = &self.hall;
        let gate = hall.registry.gate();
        let credential = credential(&parts.headers)?;
        // Clients learn here whether to authenticate at all, so the base always asks.
        if operation == Operation::Base && credential.is_none() && gate.challenges() {
            return Err(auth::Refusal::Anonymous.into());
        }
        let who = gate
            .identify(credential.as_ref(), Some(record.client), record.at)
            .await?;
        let cause = self
            .asked(record, &parts.headers)
            .cause(&operation, credential.as_ref(), &who);
        let who = record.user.insert(who);
        let ask = Ask {
            registry: &hall.registry,
            admission: &hall.admission,
            connection,
            headers: &parts.headers,
            who,
            cause,
        };
        let body = incoming::stream(body, hall.limits.body_stall);
        hall::answer(&ask, operation, body).await
    }

    async fn token<B>(&self, parts: &Parts, body: B, record: &mut Record) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::fmt::Display,
    {
        record.operation = "token";
        let body = incoming::stream(body, self.hall.limits.body_stall);
        let wanted = token::wanted(&self.hall, parts, body).await;
        let presented = match &wanted {
            Ok(wanted) => wanted.presented(),
            Err(_) => Presented::unreadable(),
        };
        let issued = match wanted {
            Ok(wanted) => token::issue(&self.hall, &wanted, record.client, record.at).await,
            Err(problem) => Err(problem),
        };
        let told = issued.as_ref();
        self.asked(record, &parts.headers)
            .logged_in(presented, told);
        match issued {
            Ok(issued) => {
                record.user = Some(issued.who);
                issued.response
            }
            Err(problem) => {
                record.error = Some((problem.code.as_str(), problem.cause.clone()));
                problem.into_oci(record.id)
            }
        }
    }

    /// Hands the request to another room, and makes the reply of what that says.
    async fn other<B>(
        &self,
        parts: Parts,
        body: B,
        connection: &Connection,
        record: &mut Record,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::fmt::Display,
    {
        // For the challenge, which names the address that the client came to, and for the audit record.
        let (headers, uri) = (parts.headers.clone(), parts.uri.clone());
        let (is_change, answered) = self.room(parts, body, record).await;
        let told = answered.as_ref().map(Response::status);
        self.asked(record, &headers)
            .administered(is_change, told)
            .await;
        let problem = match answered {
            Ok(response) => return response,
            Err(problem) => problem,
        };
        record.error = Some((problem.code.as_str(), problem.cause.clone()));
        let challenge = problem.challenge();
        let mut response = problem.into_details(record.id);
        if let Some(challenge) = challenge {
            self.challenge(&mut response, challenge, &headers, &uri, connection, None);
        }
        response
    }

    /// What the room says, and whether it was asked to change something.
    async fn room<B>(&self, mut parts: Parts, body: B, record: &mut Record) -> (bool, reply::Reply)
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::fmt::Display,
    {
        // What monitors ask must be answered in a flood, too.
        let _place = if MONITORED.contains(&parts.uri.path()) {
            None
        } else {
            match self.hall.admission.others.admit().await {
                Ok(place) => Some(place),
                Err(problem) => return (false, Err(problem)),
            }
        };
        parts.extensions.insert(Arrival {
            request: record.id,
            client: record.client,
            at: record.at,
        });
        let body = incoming::stream(body, self.hall.limits.body_stall);
        let request = Request::from_parts(parts, axum::body::Body::from_stream(body));
        let mut response = match self.rest.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let told = response.extensions_mut();
        let mut is_change = false;
        if let Some(account) = told.remove::<Account>() {
            record.operation = account.operation;
            record.user = account.user;
            is_change = account.is_change;
            record.reference = account.reference;
        }
        let answered = match told.remove::<Problem>() {
            Some(problem) => Err(problem),
            None => Ok(response.map(Body::other)),
        };
        (is_change, answered)
    }

    /// The request as the audit record has it.
    fn asked<'a>(&'a self, record: &'a Record, headers: &'a HeaderMap) -> Asked<'a> {
        Asked {
            record,
            headers,
            gate: self.hall.registry.gate(),
        }
    }

    /// The reply to what went wrong, written into the record too.
    fn refuse(
        &self,
        problem: Problem,
        parts: &Parts,
        connection: &Connection,
        operation: Option<&Operation>,
        record: &mut Record,
    ) -> Response<Body> {
        record.error = Some((problem.code.as_str(), problem.cause.clone()));
        let challenge = problem.challenge();
        let mut response = problem.into_oci(record.id);
        if let Some(challenge) = challenge {
            let (headers, uri) = (&parts.headers, &parts.uri);
            self.challenge(
                &mut response,
                challenge,
                headers,
                uri,
                connection,
                operation,
            );
        }
        response
    }

    fn challenge(
        &self,
        response: &mut Response<Body>,
        challenge: challenge::Challenge,
        headers: &HeaderMap,
        uri: &http::Uri,
        connection: &Connection,
        operation: Option<&Operation>,
    ) {
        let limits = &self.hall.limits;
        let secure = limits.trusted_proxies.is_secure(connection, headers);
        let scheme = if secure { "https" } else { "http" };
        let host = limits.hosts.of(headers, uri);
        let realm = format!("{scheme}://{host}/auth/token");
        let service = self.hall.registry.gate().service();
        let headers = response.headers_mut();
        challenge::add(headers, challenge, &realm, service, operation);
    }
}

fn is_registry(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}
