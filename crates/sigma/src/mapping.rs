//! Field names: what the fields of the Sigma taxonomy are called in our own events.
//!
//! Data: `mapping.yml`, and files of the same form from whoever runs the rules. A rule's field is looked up
//! under its own name first, then under the names of the first family that fits, then under the other
//! convention's name (EVE or ECS); the first that is present in the event counts.

use std::{collections::BTreeMap, sync::LazyLock};

use rsigma_parser::LogSource;
use serde::Deserialize;

use crate::RuleError;

/// Names for the fields of one family of log sources; absent parts fit any.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    logsource: Source,
    /// Sigma's name and ours, by preference.
    fields: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    product: Option<String>,
    category: Option<String>,
    service: Option<String>,
}

/// Names of fields beside those we ship.
#[derive(Clone, Debug, Default)]
pub struct Mappings {
    families: Vec<Family>,
}

/// What is shipped; a test reads it.
static SHIPPED: LazyLock<Mappings> = LazyLock::new(|| {
    let mut shipped = Mappings::default();
    // It is a part of the program: that it can be read is a test.
    drop(shipped.add(include_str!("mapping.yml")));
    shipped
});

impl Mappings {
    /// Adds the families of a file, behind those that are there.
    ///
    /// # Errors
    /// [`RuleError::Yaml`] when it has another form; then none of it is added.
    pub fn add(&mut self, text: &str) -> Result<(), RuleError> {
        let yaml = |reason: String| RuleError::Yaml { reason };
        if text.len() > crate::check::MAX_BYTES {
            return Err(yaml(format!("larger than {} bytes", crate::check::MAX_BYTES)));
        }
        let families: Vec<Family> =
            serde_yaml_ng::from_str(text).map_err(|error| yaml(error.to_string()))?;
        self.families.extend(families);
        Ok(())
    }

    /// How many families there are beside those we ship.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.families.len()
    }

    /// Whether there are none beside those we ship.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.families.is_empty()
    }

    fn of(&self, source: &LogSource, field: &str) -> &[String] {
        let found = self.families.iter().find(|family| family.logsource.fits(source));
        found.and_then(|family| family.fields.get(field)).map_or(&[][..], Vec::as_slice)
    }

    /// Names under which a rule's field is looked for, by preference.
    pub(crate) fn names(&self, source: &LogSource, field: &str) -> Vec<String> {
        let mut names = vec![field.to_owned()];
        let add = |name: &str, names: &mut Vec<String>| {
            if !name.is_empty() && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        };
        for name in self.of(source, field).iter().chain(SHIPPED.of(source, field)) {
            add(name, &mut names);
        }
        for at in 0..names.len() {
            if let Some(known) = names.get(at).and_then(|name| event::by_name(name)) {
                add(known.name, &mut names);
                add(known.alias, &mut names);
            }
        }
        names
    }
}

impl Source {
    fn fits(&self, rule: &LogSource) -> bool {
        let part = |wanted: &Option<String>, given: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| {
                given.as_ref().is_some_and(|given| given.eq_ignore_ascii_case(wanted))
            })
        };
        part(&self.product, &rule.product)
            && part(&self.category, &rule.category)
            && part(&self.service, &rule.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(product: &str, category: &str) -> LogSource {
        let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        LogSource { product: part(product), category: part(category), ..LogSource::default() }
    }

    #[test]
    fn the_shipped_names_are_read_and_the_first_family_counts() {
        assert!(SHIPPED.families.len() > 10);
        let names = |product, category, field| {
            Mappings::default().names(&source(product, category), field).join(" ")
        };
        for (product, category, field, expected) in [
            ("linux", "process_creation", "Image", "Image process.executable process.name"),
            ("Windows", "Process_Creation", "Image", "Image NewProcessName"),
            ("windows", "dns_query", "QueryName", "QueryName"),
            ("", "proxy", "c-ip", "c-ip src_ip source.ip"),
            ("zeek", "", "id.orig_h", "id.orig_h src_ip source.ip"),
            ("", "", "Image", "Image"),
            ("", "", "source.ip", "source.ip src_ip"),
        ] {
            assert_eq!(names(product, category, field), expected, "{product}/{category} {field}");
        }
    }

    #[test]
    fn names_of_ones_own_come_first_and_hide_nothing() {
        let mut own = Mappings::default();
        own.add("- logsource: {category: proxy}\n  fields: {c-ip: [client], x: [y]}\n").unwrap();
        let names = |field| own.names(&source("", "proxy"), field).join(" ");
        assert_eq!(names("c-ip"), "c-ip client src_ip source.ip");
        assert_eq!(
            (names("x"), names("cs-host")),
            ("x y".to_owned(), "cs-host http.hostname url.domain".to_owned())
        );
        assert_eq!(own.len(), 1);
        for wrong in ["- fields: {}", "- logsource: {vendor: x}\n  fields: {}", "a: 1", "- ["] {
            assert!(matches!(own.add(wrong), Err(RuleError::Yaml { .. })), "{wrong}");
        }
        assert_eq!(own.len(), 1);
    }
}
