use std::path::PathBuf;

use super::Server;
use crate::cli::Transport;

fn bases(text: &str, plain_http: bool, ca_file: Option<&str>) -> Vec<String> {
    let transport = Transport {
        plain_http,
        ca_file: ca_file.map(PathBuf::from),
    };
    let bases = Server::parse(text).unwrap().bases(&transport).unwrap();
    bases.iter().map(ToString::to_string).collect()
}

#[test]
fn a_registry_is_named_as_in_images_or_by_its_url() {
    for (text, name) in [
        ("registry.example.com", "registry.example.com"),
        ("registry.example.com:5000", "registry.example.com:5000"),
        ("https://registry.example.com", "registry.example.com"),
        ("http://registry.example.com:80/", "registry.example.com:80"),
        ("[::1]:5000", "[::1]:5000"),
        ("http://[::1]:5000", "[::1]:5000"),
    ] {
        assert_eq!(Server::parse(text).unwrap().name(), name, "{text}");
    }
    for text in [
        "",
        "https://",
        "ftp://x",
        "x/y",
        "http://x/y",
        "x/",
        "a@b",
        "https://a:b@c",
        "x?y",
        "x#y",
        "x:port",
        "x y",
        "http:///",
        "https://http://x",
    ] {
        let error = Server::parse(text).unwrap_err();
        assert!(error.to_string().contains("host:port"), "{text}: {error}");
    }
}

#[test]
fn plain_http_is_for_those_who_ask_and_after_tls_for_this_machine() {
    assert_eq!(bases("r.example", false, None), ["https://r.example/v2/"]);
    assert_eq!(bases("r.example", true, None), ["http://r.example/v2/"]);
    assert_eq!(
        bases("http://r.example", false, None),
        ["http://r.example/v2/"]
    );
    for host in ["127.0.0.1:5000", "[::1]:5000", "localhost:5000"] {
        let (tls, plain) = (format!("https://{host}/v2/"), format!("http://{host}/v2/"));
        let (tls, plain) = (tls.as_str(), plain.as_str());
        assert_eq!(bases(host, false, None), [tls, plain]);
        assert_eq!(bases(host, false, Some("ca.pem")), [tls]);
        assert_eq!(bases(host, true, None), [plain]);
        assert_eq!(bases(&format!("https://{host}"), false, None), [tls]);
        assert_eq!(bases(&format!("http://{host}"), false, None), [plain]);
    }
    let transport = Transport {
        plain_http: true,
        ca_file: None,
    };
    let server = Server::parse("https://r.example").unwrap();
    server.bases(&transport).unwrap_err();
}
