//! An issuer on loopback that signs whatever it is told to, and answers as badly as it is told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA384, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) enum SigningKey {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl SigningKey {
    pub(super) fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(super) fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(super) fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    /// What it signs with by default.
    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    pub(super) fn public(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => AsDer::as_der(key.public_key()).unwrap().as_ref().to_vec(),
            Self::Ec(key) => key.public_key().as_ref().to_vec(),
            Self::Ed(key) => key.public_key().as_ref().to_vec(),
        }
    }

    pub(super) fn jwk(&self, id: &str) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(key) => {
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({"kty": "RSA", "use": "sig", "kid": id, "n": encode(&parts.n), "e": encode(&parts.e)})
            }
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": id, "x": encode(&point[1..33]), "y": encode(&point[33..])})
            }
            Self::Ed(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": id, "x": encode(key.public_key().as_ref())})
            }
        }
    }

    /// A token with a genuine signature over whatever is said.
    pub(super) fn sign(&self, header: &str, claims: &str) -> String {
        let text = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding =
                    if header.contains("PS384") {
                        &RSA_PSS_SHA384
                    } else {
                        &RSA_PKCS1_SHA256
                    };
                key.sign(padding, &random, text.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
            Self::Ec(key) => key
                .sign(&random, text.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            Self::Ed(key) => key.sign(text.as_bytes()).as_ref().to_vec(),
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// How it answers.
#[derive(Clone, Debug)]
pub(super) enum Weather {
    Fair,
    Down,
    Slow(Duration),
    /// After a while it closes the connection.
    SlowlyDown(Duration),
    Status(u16),
    Redirect,
    Garbage,
    Endless,
    /// With this instead of its configuration.
    Configuration(Value),
}

#[derive(Clone)]
pub(super) struct Provider {
    pub(super) issuer: String,
    state: Arc<Mutex<State>>,
}

struct State {
    weather: Weather,
    keys: Value,
    asked: Vec<String>,
}

impl Provider {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            weather: Weather::Fair,
            keys: json!({"keys": []}),
            asked: Vec::new(),
        };
        let provider = Self {
            issuer,
            state: Arc::new(Mutex::new(state)),
        };
        let serving = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let provider = serving.clone();
                tokio::spawn(async move { provider.serve(stream).await });
            }
        });
        provider
    }

    pub(super) fn set(&self, weather: Weather) {
        self.state.lock().unwrap().weather = weather;
    }

    pub(super) fn publish(&self, keys: &[Value]) {
        self.state.lock().unwrap().keys = json!({ "keys": keys });
    }

    /// Requests for keys since the start.
    pub(super) fn asked(&self) -> usize {
        let state = self.state.lock().unwrap();
        state.asked.iter().filter(|path| *path == "/keys").count()
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).ok()?;
        let path = head.split(' ').nth(1)?.to_owned();
        let (weather, keys) = {
            let mut state = self.state.lock().unwrap();
            state.asked.push(path.clone());
            (state.weather.clone(), state.keys.clone())
        };
        let mut configuration =
            json!({"issuer": self.issuer, "jwks_uri": format!("{}/keys", self.issuer)});
        let mut status = 200;
        match weather {
            Weather::Fair => {}
            Weather::Down => return None,
            Weather::Slow(wait) => tokio::time::sleep(wait).await,
            Weather::SlowlyDown(wait) => {
                tokio::time::sleep(wait).await;
                return None;
            }
            Weather::Status(other) => status = other,
            Weather::Redirect => {
                let to = format!(
                    "HTTP/1.1 302 Found\r\nLocation: {}/elsewhere\r\nContent-Length: 0\r\n\r\n",
                    self.issuer
                );
                return stream.write_all(to.as_bytes()).await.ok();
            }
            Weather::Garbage => configuration = json!("what?"),
            Weather::Configuration(other) => configuration = other,
            Weather::Endless => {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"x\":\"")
                    .await
                    .ok()?;
                loop {
                    stream.write_all(&[b'x'; 8 << 10]).await.ok()?;
                }
            }
        }
        let body = match path.as_str() {
            "/keys" => keys,
            _ => configuration,
        };
        let body = body.to_string();
        let reply = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(reply.as_bytes()).await.ok()
    }
}
