//! A small client of the distribution API, for what the real clients do not show: exact bytes,
//! statuses, acknowledgements.

use std::fmt::Write as _;
use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Certificate, Method, StatusCode, Url, redirect};
use sha2::{Digest as _, Sha256};

use crate::{Endpoint, OrFail};

/// Media type of an OCI image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A reply read to its end.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A header's value, empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as text, for messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Fails the test unless the status is this one.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "often the check is all that is wanted"
    )]
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(
            self.status == status,
            "expected {status}, got {}: {}",
            self.status,
            self.text()
        );
        self
    }
}

/// One caller of one registry, with a pool of connections.
#[derive(Clone, Debug)]
pub struct Api {
    endpoint: Endpoint,
    client: Client,
}

impl Api {
    /// A client with the endpoint's authority and login.
    pub fn new(endpoint: &Endpoint) -> Self {
        let mut builder = Client::builder()
            .timeout(Duration::from_secs(120))
            .redirect(redirect::Policy::none())
            .no_proxy();
        if let Some(ca) = &endpoint.ca {
            let pem = std::fs::read(ca).or_fail("read the authority");
            builder = builder
                .tls_certs_only([Certificate::from_pem(&pem).or_fail("parse the authority")]);
        }
        Self {
            endpoint: endpoint.clone(),
            client: builder.build().or_fail("make an HTTP client"),
        }
    }

    /// A request to a path (or absolute URL), to be completed by the caller.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with('/') {
            self.endpoint.url(path)
        } else {
            path.to_owned()
        };
        let request = self.client.request(method, url);
        match &self.endpoint.login {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        }
    }

    /// Sends a request and reads the reply.
    pub fn send(&self, request: RequestBuilder) -> reqwest::Result<Reply> {
        let reply = request.send()?;
        Ok(Reply {
            status: reply.status(),
            headers: reply.headers().clone(),
            body: reply.bytes()?.to_vec(),
        })
    }

    /// GET.
    pub fn get(&self, path: &str) -> reqwest::Result<Reply> {
        self.send(self.request(Method::GET, path))
    }

    /// HEAD.
    pub fn head(&self, path: &str) -> reqwest::Result<Reply> {
        self.send(self.request(Method::HEAD, path))
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> reqwest::Result<Reply> {
        self.send(self.request(Method::DELETE, path))
    }

    /// Opens an upload; the reply's `Location` made absolute, or the reply that refused.
    pub fn open_upload(&self, repository: &str) -> reqwest::Result<Result<Url, Reply>> {
        let reply =
            self.send(self.request(Method::POST, &format!("/v2/{repository}/blobs/uploads/")))?;
        if reply.status != StatusCode::ACCEPTED {
            return Ok(Err(reply));
        }
        let base: Url = self.endpoint.url("/").parse().or_fail("the registry's URL");
        Ok(Ok(base
            .join(reply.header(LOCATION.as_str()))
            .or_fail("an upload's Location")))
    }

    /// POST, then PUT of the whole blob. The last reply.
    pub fn push_blob(&self, repository: &str, bytes: &[u8]) -> reqwest::Result<Reply> {
        let mut location = match self.open_upload(repository)? {
            Ok(location) => location,
            Err(refusal) => return Ok(refusal),
        };
        location
            .query_pairs_mut()
            .append_pair("digest", &digest_of(bytes));
        let put = self
            .request(Method::PUT, location.as_str())
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(bytes.to_vec());
        self.send(put)
    }

    /// PUT of an image manifest under a tag or digest.
    pub fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        manifest: &[u8],
    ) -> reqwest::Result<Reply> {
        let put = self
            .request(
                Method::PUT,
                &format!("/v2/{repository}/manifests/{reference}"),
            )
            .header(CONTENT_TYPE, MANIFEST)
            .body(manifest.to_vec());
        self.send(put)
    }

    /// GET of a manifest, any media type accepted.
    pub fn manifest(&self, repository: &str, reference: &str) -> reqwest::Result<Reply> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let get = self.request(Method::GET, &path).header(
            "accept",
            format!("{MANIFEST}, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json"),
        );
        self.send(get)
    }

    /// Pushes config, layers and manifest; everything must be taken. Gives the manifest.
    #[track_caller]
    pub fn push_image(&self, repository: &str, tag: &str, layers: &[Vec<u8>]) -> Vec<u8> {
        let config = format!(
            "{{\"architecture\":\"amd64\",\"os\":\"linux\",\"author\":\"{repository}:{tag}\"}}"
        );
        for blob in layers.iter().map(Vec::as_slice).chain([config.as_bytes()]) {
            self.push_blob(repository, blob)
                .or_fail("push a blob")
                .expect(201);
        }
        let manifest = image_manifest(config.as_bytes(), layers);
        self.push_manifest(repository, tag, &manifest)
            .or_fail("push a manifest")
            .expect(201);
        manifest
    }
}

/// An OCI image manifest over these blobs.
pub fn image_manifest(config: &[u8], layers: &[Vec<u8>]) -> Vec<u8> {
    let describe = |media_type: &str, bytes: &[u8]| serde_json::json!({"mediaType": media_type, "digest": digest_of(bytes), "size": bytes.len()});
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| describe("application/vnd.oci.image.layer.v1.tar", layer))
        .collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": describe("application/vnd.oci.image.config.v1+json", config),
        "layers": layers,
    });
    manifest.to_string().into_bytes()
}

/// `sha256:…` of these bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
