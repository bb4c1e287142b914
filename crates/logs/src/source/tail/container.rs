//! What container runtimes write around a line: Docker's `json-file` driver and the CRI format of
//! containerd and CRI-O. Long lines come in pieces there, which are put together again; which container
//! it is, is told by the path and, for Docker, by the configuration beside the log.

use std::path::Path;

use event::{Object, Timestamp, set};
use serde::Deserialize;
use serde_json::Value;

/// Largest configuration of a container that is read, bytes.
const MAX_CONFIG: u64 = 1024 * 1024;

/// What stands around a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outer {
    /// When it was written.
    pub(super) time: Option<Timestamp>,
    /// Written to standard error.
    pub(super) error: bool,
}

/// One line of a runtime, without what stands around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inner {
    pub(super) outer: Outer,
    pub(super) text: Vec<u8>,
    /// The rest follows in a further one.
    pub(super) partial: bool,
}

#[derive(Deserialize)]
struct Docker {
    log: String,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    time: String,
}

/// Takes a line apart; `None` when it is in neither format.
pub(super) fn unwrap(line: &[u8]) -> Option<Inner> {
    if line.first() == Some(&b'{') {
        let Docker { mut log, stream, time } = serde_json::from_slice(line).ok()?;
        let partial = !log.ends_with('\n');
        log.truncate(log.trim_end_matches(['\n', '\r']).len());
        let outer = Outer { time: time.parse().ok(), error: stream == "stderr" };
        return Some(Inner { outer, text: log.into_bytes(), partial });
    }
    // TIME STREAM TAGS TEXT; the first of the tags is P or F.
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let error = match parts.next()? {
        b"stdout" => false,
        b"stderr" => true,
        _ => return None,
    };
    let partial = match parts.next()?.split(|byte| *byte == b':').next()? {
        b"P" => true,
        b"F" => false,
        _ => return None,
    };
    let text = parts.next().unwrap_or_default().to_vec();
    Some(Inner { outer: Outer { time: Some(time), error }, text, partial })
}

/// The fields that tell which container a log is of, by its path and what stands beside it.
pub(super) fn identity(path: &Path) -> Object {
    let mut fields = Object::new();
    let mut put = |name: &str, value: &str| {
        if !value.is_empty() {
            set(&mut fields, name, Value::String(value.to_owned()));
        }
    };
    let text = path.to_string_lossy();
    let parts: Vec<&str> = text.split('/').collect();
    let folder = parts.iter().rev().nth(1).copied().unwrap_or_default();
    let file = parts.last().copied().unwrap_or_default();
    if let Some(pod) = text.contains("/pods/").then(|| parts.iter().rev().nth(2)).flatten() {
        // /var/log/pods/NAMESPACE_POD_UID/CONTAINER/0.log
        let mut pod = pod.split('_');
        put("orchestrator.type", "kubernetes");
        put("orchestrator.namespace", pod.next().unwrap_or_default());
        put("orchestrator.resource.type", "pod");
        put("orchestrator.resource.name", pod.next().unwrap_or_default());
        put("orchestrator.resource.id", pod.next().unwrap_or_default());
        put("container.name", folder);
    } else if let Some((pod, rest)) = file.strip_suffix(".log").and_then(|f| f.split_once('_')) {
        // /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log
        let (namespace, container) = rest.split_once('_').unwrap_or((rest, ""));
        let (name, id) = container.rsplit_once('-').unwrap_or((container, ""));
        put("orchestrator.type", "kubernetes");
        put("orchestrator.namespace", namespace);
        put("orchestrator.resource.type", "pod");
        put("orchestrator.resource.name", pod);
        put("container.name", name);
        put("container.id", id);
    } else if file.ends_with("-json.log") {
        // /var/lib/docker/containers/ID/ID-json.log
        put("container.runtime", "docker");
        put("container.id", folder);
        if let Some((name, image)) = path.parent().and_then(docker) {
            put("container.name", &name);
            put("container.image.name", &image);
        }
    }
    fields
}

/// Name and image of a container, from Docker's `config.v2.json`.
fn docker(folder: &Path) -> Option<(String, String)> {
    let path = folder.join("config.v2.json");
    if std::fs::metadata(&path).ok()?.len() > MAX_CONFIG {
        return None;
    }
    let config: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(config.get("Name")?).trim_start_matches('/').to_owned();
    let image = config.pointer("/Config/Image").map(text).unwrap_or_default();
    Some((name, image))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    #[test]
    fn lines_of_both_formats() {
        let check = |line: &str, expected: &str| {
            let found = unwrap(line.as_bytes()).map_or_else(String::new, |inner| {
                let Inner { outer, text, partial } = inner;
                let time = outer.time.map(|time| time.micros()).unwrap_or_default();
                let text = String::from_utf8(text).unwrap();
                format!("{time} {} {partial} {text:?}", outer.error)
            });
            assert_eq!(found, expected, "{line}");
        };
        let time = "2026-11-22T15:04:05.123456789Z";
        let micros = 1_795_359_845_123_456_i64;
        check(
            &format!(r#"{{"log":"hello\n","stream":"stdout","time":"{time}"}}"#),
            &format!("{micros} false false \"hello\""),
        );
        check(r#"{"log":"half","stream":"stderr"}"#, "0 true true \"half\"");
        check(&format!("{time} stdout F a b  c"), &format!("{micros} false false \"a b  c\""));
        check(&format!("{time} stderr P:x a"), &format!("{micros} true true \"a\""));
        check(&format!("{time} stdout F"), &format!("{micros} false false \"\""));
        for odd in ["", "{", "{\"a\":1}", "now stdout F x", &format!("{time} stdin F x"), time] {
            check(odd, "");
        }
    }

    fn told(path: &str, expected: &Expect) {
        expected.assert_eq(&serde_json::to_string(&identity(Path::new(path))).unwrap());
    }

    #[test]
    fn which_container_it_is() {
        told(
            "/var/log/pods/shop_web-7d_5f0c/nginx/0.log",
            &expect![[
                r#"{"orchestrator":{"type":"kubernetes","namespace":"shop","resource":{"type":"pod","name":"web-7d","id":"5f0c"}},"container":{"name":"nginx"}}"#
            ]],
        );
        told(
            "/var/log/containers/web-7d_shop_nginx-0123abcd.log",
            &expect![[
                r#"{"orchestrator":{"type":"kubernetes","namespace":"shop","resource":{"type":"pod","name":"web-7d"}},"container":{"name":"nginx","id":"0123abcd"}}"#
            ]],
        );
        told("/var/log/other.log", &expect!["{}"]);
        told("", &expect!["{}"]);
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("abc");
        std::fs::create_dir(&own).unwrap();
        let config = r#"{"Name":"/shop","Config":{"Image":"nginx:1.27"}}"#;
        std::fs::write(own.join("config.v2.json"), config).unwrap();
        told(
            own.join("abc-json.log").to_str().unwrap(),
            &expect![[
                r#"{"container":{"runtime":"docker","id":"abc","name":"shop","image":{"name":"nginx:1.27"}}}"#
            ]],
        );
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), path in "[a-z_/.-]{0,40}") {
            if let Some(inner) = unwrap(&bytes) {
                prop_assert!(inner.text.len() <= bytes.len());
            }
            identity(Path::new(&path));
        }
    }
}
