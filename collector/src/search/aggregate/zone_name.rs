//! A time zone in JSON: its name.

use serde::{Deserialize as _, Deserializer, Serializer};

use crate::search::calendar::Zone;

pub(super) fn serialize<S: Serializer>(zone: &Zone, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.name())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zone, D::Error> {
    let name = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
    Zone::named(&name).map_err(serde::de::Error::custom)
}
