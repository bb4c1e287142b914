//! Nobody gets anything without credentials: every path of the API as an outsider with curl sees it.

use std::io::{Read, Write};
use std::process::Command;

use serde_json::Value;

use crate::system::{Options, System, output};

/// What must answer strangers, and with what.
const PUBLIC: [(&str, &str, &str); 6] = [
    ("POST", "/api/v1/login", "400"),
    ("GET", "/healthz", "200"),
    ("GET", "/services/collector/health", "200"),
    ("GET", "/services/collector/health/1.0", "200"),
    ("GET", "/readyz", "200"),
    ("GET", "/ack/x", "404"),
];

fn status(system: &System, method: &str, path: &str) -> String {
    let url = format!("https://127.0.0.1:{}{path}", system.ports.0);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--cacert"]);
    output(curl.arg(system.at("authority.pem")).args(["--request", method, &url]))
}

#[test]
fn every_path_of_the_api_refuses_strangers() {
    let Some(system) = System::start(Options::default()) else { return };
    let document: Value = system.client.get("/api/v1/openapi.json").unwrap();
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let (method, path) = (method.to_uppercase(), path.replace(['{', '}'], ""));
            let public = PUBLIC.iter().any(|(m, p, _)| *m == method && *p == path);
            // Links in pages carry their own proof; without a good one they give nothing either.
            if !public && !path.starts_with("/ack/") {
                assert_eq!(status(&system, &method, &path), "401", "{method} {path}");
                asked += 1;
            }
        }
    }
    assert!(asked > 25, "only {asked} routes in the document");
    for (method, path, expected) in PUBLIC {
        assert_eq!(status(&system, method, path), expected, "{method} {path}");
    }
    // What is not there is not told apart from what is.
    assert_eq!(status(&system, "GET", "/api/v1/nothing"), "404");
    // The console's page is for everybody; what it shows is not.
    assert_eq!(status(&system, "GET", "/"), "200");
}

#[test]
fn plain_http_is_not_spoken() {
    let Some(system) = System::start(Options::default()) else { return };
    for port in [system.ports.0, system.ports.1] {
        let mut plain = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let _closed = plain.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn old_tls_is_refused() {
    let Some(system) = System::start(Options::default()) else { return };
    for port in [system.ports.0, system.ports.1] {
        let url = format!("https://127.0.0.1:{port}/healthz");
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--insecure", "--tlsv1.0", "--tls-max", "1.1", &url]);
        // curl's own refusal to speak it would also do; either way nothing is answered.
        let answer = curl.output().unwrap();
        assert!(!answer.status.success() && answer.stdout.is_empty());
    }
}
