//! What a rule says of itself, for alerts and listings.

use crate::{
    Action, FileStore, Names, Note, RuleId, RuleSet, Tag, Target,
    check::{classification, rule::Post},
};

/// Descriptive parts of one rule; borrows from the set.
#[derive(Debug, Clone, Copy)]
pub struct RuleInfo<'a> {
    /// Signature id.
    pub sid: u32,
    /// Generator id, 1 for ordinary rules.
    pub gid: u32,
    /// Revision.
    pub rev: u32,
    /// Message.
    pub msg: &'a str,
    /// `classtype`, empty without one.
    pub classtype: &'static str,
    /// Category of the classtype as people read it, empty without one.
    pub category: &'static str,
    /// 1 (worst) to 255; also the `severity` of alerts.
    pub priority: u8,
    /// What the rule does.
    pub action: Action,
    /// (system, id) pairs: `("url", "example.org/x")`.
    pub references: &'a [(Box<str>, Box<str>)],
    /// (key, value) pairs.
    pub metadata: &'a [(Box<str>, Box<str>)],
    /// Which end is attacked.
    pub target: Option<Target>,
    /// Traffic to be recorded after a match.
    pub tag: Option<Tag>,
    /// File content to be kept after a match.
    pub file_store: Option<FileStore>,
    /// Name of the file it came from.
    pub file: &'a str,
    /// Line in that file, from 1.
    pub line: u32,
    /// The rule as written.
    pub text: &'a [u8],
}

impl RuleInfo<'_> {
    /// ATT&CK tactic and technique ids named in the metadata (`mitre_tactic_id TA0011`, `mitre_technique_id T1071`).
    pub fn attack_ids(&self) -> impl Iterator<Item = &str> {
        self.metadata
            .iter()
            .filter(|(key, _)| matches!(key.as_ref(), "mitre_tactic_id" | "mitre_technique_id"))
            .map(|(_, value)| value.as_ref())
    }
}

impl RuleSet {
    /// The names that states keep by number, for the set that will replace this one.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// How many rules it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// True when a rule looks at that buffer.
    #[must_use]
    pub fn uses(&self, buffer: crate::Buffer) -> bool {
        self.rules.iter().any(|rule| rule.blocks.iter().any(|block| block.buffer == buffer))
    }

    /// Which digests of files rules compare: MD5, SHA-1, SHA-256.
    #[must_use]
    pub fn digests(&self) -> [bool; 3] {
        use crate::check::rule::{Digest, FileTest};
        [Digest::Md5, Digest::Sha1, Digest::Sha256].map(|wanted| {
            self.rules
                .iter()
                .flat_map(|rule| &rule.files)
                .any(|test| matches!(test, FileTest::Listed { digest, .. } if *digest == wanted))
        })
    }

    /// True without rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What a rule says of itself; `None` for a number of another set.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<RuleInfo<'_>> {
        let rule = self.rules.get(id.0 as usize)?;
        let place = self.places.get(id.0 as usize)?;
        let source = self.sources.get(place.source as usize)?;
        let class =
            rule.meta.classtype.and_then(|class| classification::TABLE.get(usize::from(class)));
        let start = place.start as usize;
        Some(RuleInfo {
            sid: rule.meta.sid,
            gid: rule.meta.gid,
            rev: rule.meta.rev,
            msg: &rule.meta.msg,
            classtype: class.map_or("", |(name, ..)| name),
            category: class.map_or("", |(_, category, _)| category),
            priority: rule.meta.priority,
            action: rule.action,
            references: &rule.meta.references,
            metadata: &rule.meta.metadata,
            target: rule.meta.target,
            tag: rule.posts.iter().find_map(|post| match post {
                Post::Tag(tag) => Some(*tag),
                _ => None,
            }),
            file_store: rule.file_store,
            file: &source.name,
            line: place.line,
            text: source.text.get(start..start + place.len as usize).unwrap_or_default(),
        })
    }

    /// All rules in the order in which they run.
    pub fn ids(&self) -> impl Iterator<Item = RuleId> {
        (0..u32::try_from(self.rules.len()).unwrap_or(u32::MAX)).map(RuleId)
    }

    /// Name of a flowbit by its number.
    #[must_use]
    pub fn flow_bit_name(&self, bit: u32) -> Option<&str> {
        self.names.flow_bits.get(bit as usize).map(AsRef::as_ref)
    }

    /// What a note adds to an alert: name and JSON text.
    #[must_use]
    pub fn context(&self, note: Note) -> Option<(&str, &str)> {
        let Note::Context { set, context } = note else { return None };
        let set = self.datasets.get(set as usize)?;
        Some((&set.context_key, set.contexts.get(context as usize)?))
    }

    /// Data sets that rules want kept (`save`, `state`): name of the file as the rule has it, and its content now.
    pub fn datasets_to_save<'a>(
        &'a self,
        tables: &'a crate::Tables,
    ) -> impl Iterator<Item = (&'a str, Vec<u8>)> {
        self.datasets.iter().filter_map(|set| {
            let file = set.save.as_deref()?;
            Some((file, set.to_file(&tables.changed_values(&set.name))))
        })
    }
}
