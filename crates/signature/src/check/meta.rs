//! Keywords that describe: `msg`, `sid`, `rev`, `classtype`, `reference`, `metadata`, ...

use crate::{
    check::{
        builder::{Builder, text},
        classification,
        rule::Target,
    },
    error::RuleError,
};

impl Builder<'_, '_> {
    /// Handles the keywords of this module.
    pub(super) fn meta_option(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<bool, RuleError> {
        if let Some(single) =
            ["msg", "sid", "gid", "rev"].into_iter().find(|single| *single == name)
        {
            if self.once.contains(&single) {
                return Err(RuleError::misplaced(name, "given twice"));
            }
            self.once.push(single);
        }
        match name {
            "msg" => self.meta.msg = message(value.unwrap_or_default())?.into(),
            "sid" => self.meta.sid = number(name, value)?,
            "gid" => self.meta.gid = number(name, value)?,
            "rev" => self.meta.rev = number(name, value)?,
            "priority" => {
                let given = number(name, value)?;
                let priority = u8::try_from(given).ok().filter(|p| (1..=255).contains(p));
                self.meta.priority = priority.ok_or_else(|| {
                    RuleError::value(name, given.to_string().as_bytes(), "expected 1 to 255")
                })?;
                self.priority_given = true;
            }
            "classtype" => {
                let given = text(name, value)?;
                let class = classification::find(given)
                    .ok_or_else(|| RuleError::value(name, given.as_bytes(), "unknown class"))?;
                self.meta.classtype = Some(class);
                if let Some((_, _, priority)) = classification::TABLE.get(usize::from(class))
                    && !self.priority_given
                {
                    self.meta.priority = *priority;
                }
            }
            "reference" => {
                let given = String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
                let (system, id) = given.split_once(',').ok_or_else(|| {
                    RuleError::value(name, given.as_bytes(), "expected system,id")
                })?;
                self.meta.references.push((system.trim().into(), unescape(id.trim()).into()));
            }
            "metadata" => {
                let given = String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
                for pair in given.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
                    let (key, content) = pair.split_once([' ', '\t', ':']).unwrap_or((pair, ""));
                    self.meta.metadata.push((key.into(), content.trim().into()));
                }
            }
            "target" => {
                self.meta.target = Some(match text(name, value)? {
                    "src_ip" => Target::Src,
                    "dest_ip" => Target::Dst,
                    other => {
                        return Err(RuleError::value(
                            name,
                            other.as_bytes(),
                            "expected src_ip or dest_ip",
                        ));
                    }
                });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn number(name: &str, value: Option<&[u8]>) -> Result<u32, RuleError> {
    let given = text(name, value)?;
    Some(given.trim_matches('"'))
        .filter(|digits| !digits.starts_with('+'))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| RuleError::value(name, given.as_bytes(), "not a number"))
}

/// Text of a rule's message; any encoding, shown as UTF-8.
fn message(value: &[u8]) -> Result<String, RuleError> {
    let (negated, inner) =
        crate::parse::unquote(value).map_err(|why| RuleError::value("msg", value, why))?;
    if negated || !matches!(value, [b'"', ..]) {
        return Err(RuleError::value("msg", value, "needs quotes"));
    }
    Ok(unescape(&String::from_utf8_lossy(inner)))
}

/// Takes the backslash off escaped `;`, `:`, `"` and `\`.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(';' | ':' | '"' | '\\')) => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}
