//! The load generator: closed loops over raw HTTP/1.1 connections, light enough to share a machine with the server.

mod body;
mod connection;
mod get;
mod image;
mod put;
mod reply;
mod run;
mod session;
mod tally;
mod tls;
mod upload;

pub(crate) use body::Payload;
pub(crate) use connection::{Connection, Target};
pub(crate) use get::Get;
pub(crate) use image::PushImages;
pub(crate) use put::PutManifests;
pub(crate) use reply::Reply;
pub(crate) use run::{Extent, Load, Work, run};
pub(crate) use session::Session;
pub(crate) use tally::{Done, Outcome, Tally, Window};
pub(crate) use tls::trust;
pub(crate) use upload::{Form, PushBlobs, push_blob};
