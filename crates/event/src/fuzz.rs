//! Entry point for fuzzing: events as a hostile agent may write them.

use crate::{AgentId, Detection, Event, Origin, get};

/// Reads `data` as an event; what is taken must be written and read again, and become a document whose
/// envelope is the collector's.
pub fn fuzz_event(data: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Event>(data) else { return };
    if let Ok(text) = serde_json::to_vec(&event) {
        let again = serde_json::from_slice::<Event>(&text).ok();
        assert_eq!(again.as_ref(), Some(&event), "written and read again");
    }
    let _detection = Detection::from_document(&event.fields);
    let Ok(agent) = AgentId::new("fuzz") else { return };
    let (host, version) = ("h".to_owned(), String::new());
    let origin = Origin { agent, host, version, zone: String::new(), region: String::new() };
    let id = event.id(&origin.agent, 1).to_string();
    let document = event.into_document(&origin, 1);
    let found = get(&document, "event.id").and_then(serde_json::Value::as_str);
    assert_eq!(found, Some(id.as_str()), "the identity is the collector's");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEED: &str = r#"{"seq":7,"time":"2026-01-01T00:00:00Z","seen":"2026-01-01T00:00:01Z","type":"alert","fields":{"event":"x","event.id":"forged","host":[1],"agent":{"id":"y"},"detection":{"engine":"sigma"},"a":{"b":[1,{"c":null}]}}}"#;

    #[test]
    fn the_seed_is_an_event() {
        assert!(serde_json::from_str::<Event>(SEED).is_ok());
        fuzz_event(SEED.as_bytes());
        for text in ["", "{}", "null", "[]", "{\"seq\":-1}", &"[".repeat(10_000)] {
            fuzz_event(text.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn damaged_events_end(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
            let mut data = SEED.as_bytes().to_vec();
            let at = at.index(data.len());
            if cut { data.truncate(at) } else { data[at] = byte }
            fuzz_event(&data);
        }

        #[test]
        fn any_names_and_texts(names in prop::collection::vec("[a-z.@]{0,8}", 0..6), text in "\\PC{0,20}", micros in any::<i64>()) {
            let mut event: Event = serde_json::from_str(SEED).unwrap();
            event.time = crate::Timestamp::from_micros(micros).to_string().parse().unwrap();
            event.kind = crate::Kind::from_name(&text);
            for name in names {
                event.fields.insert(name, text.clone().into());
            }
            fuzz_event(&serde_json::to_vec(&event).unwrap());
        }
    }
}
