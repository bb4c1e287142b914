//! `content`, its modifiers, `pcre`, `isdataat`, `bsize`, `urilen`, `absent`.

use crate::{
    Buffer,
    check::{
        builder::{Builder, none, text},
        number, pcre,
        rule::{Absent, Cmp, Content, Fast, Item, Num},
    },
    error::RuleError,
    parse,
};

impl Builder<'_, '_> {
    /// Handles the keywords of this module.
    pub(super) fn content_option(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<bool, RuleError> {
        match name {
            "content" | "uricontent" => self.content(name, value)?,
            "nocase" => {
                none(name, value)?;
                self.nocase()?;
            }
            "depth" | "offset" | "distance" | "within" => self.position(name, value)?,
            "startswith" => {
                none(name, value)?;
                let content = self.content_mut(name)?;
                if content.depth.is_some()
                    || content.offset.is_some()
                    || content.is_relative()
                    || content.starts
                {
                    return Err(RuleError::misplaced(
                        name,
                        "cannot be combined with depth, offset, distance or within",
                    ));
                }
                content.starts = true;
            }
            "endswith" => {
                none(name, value)?;
                let content = self.content_mut(name)?;
                if content.ends {
                    return Err(RuleError::misplaced(name, "given twice"));
                }
                content.ends = true;
            }
            "fast_pattern" => self.fast_pattern(value)?,
            // Payload is inspected as it came anyhow.
            "rawbytes" => {
                none(name, value)?;
                self.content_mut(name)?;
            }
            // How candidates are found is chosen here for every rule: a wish that changes no match.
            "prefilter" => {
                none(name, value)?;
                if self.tests.is_empty() && self.tx_tests.is_empty() && self.blocks.is_empty() {
                    return Err(RuleError::misplaced(name, "must follow a keyword"));
                }
            }
            "pcre" => self.pcre(value)?,
            "isdataat" => self.is_data_at(value)?,
            "bsize" => {
                let cmp = compare(name, value, u64::from(u32::MAX))?;
                if self.current.is_none() {
                    return Err(RuleError::misplaced(name, "needs a buffer"));
                }
                self.push(Item::Size(cmp));
            }
            "urilen" => self.urilen(value)?,
            "absent" => self.absent(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn content(&mut self, name: &str, value: Option<&[u8]>) -> Result<(), RuleError> {
        let value = value.unwrap_or_default();
        let bad = |why: &str| RuleError::value(name, value, why);
        let plain = value.strip_prefix(b"!").map_or(value, <[u8]>::trim_ascii_start);
        if !plain.starts_with(b"\"") {
            return Err(bad("needs quotes"));
        }
        let (negated, inner) = parse::unquote(value).map_err(bad)?;
        let bytes = parse::decode_content(inner).map_err(bad)?;
        let pattern = self.checker.pool.pattern(&bytes);
        let content = Content {
            pattern,
            nocase: false,
            negated,
            starts: false,
            ends: false,
            offset: None,
            depth: None,
            distance: None,
            within: None,
            fast: Fast::No,
            rare: crate::rarity::rarest_byte(&bytes),
        };
        if name == "uricontent" {
            self.usable(Buffer::HttpUri)?;
            let at = self.block_of(Buffer::HttpUri);
            self.push_into(at, Item::Content(content));
        } else {
            self.push(Item::Content(content));
        }
        Ok(())
    }

    fn nocase(&mut self) -> Result<(), RuleError> {
        let content = self.content_mut("nocase")?;
        if content.nocase {
            return Err(RuleError::misplaced("nocase", "given twice"));
        }
        content.nocase = true;
        let pattern = content.pattern;
        // Kept lowercase: the scan folds only the traffic.
        let lowered = self.checker.pool.bytes(pattern).to_ascii_lowercase();
        let pattern = self.checker.pool.pattern(&lowered);
        self.content_mut("nocase")?.pattern = pattern;
        Ok(())
    }

    fn position(&mut self, name: &str, value: Option<&[u8]>) -> Result<(), RuleError> {
        let given = text(name, value)?;
        let number = self.number_or_variable(name, given)?;
        let content = self.content_mut(name)?;
        let bad = |why: &str| RuleError::value(name, given.as_bytes(), why);
        if content.starts {
            return Err(RuleError::misplaced(name, "cannot be combined with startswith"));
        }
        let len = i32::try_from(content.pattern.len).unwrap_or(i32::MAX);
        let slot = match name {
            "depth" => {
                if matches!(number, Num::Const(depth) if depth < len) {
                    return Err(bad("smaller than the content"));
                }
                &mut content.depth
            }
            "within" => {
                if matches!(number, Num::Const(within) if within < len) {
                    return Err(bad("smaller than the content"));
                }
                &mut content.within
            }
            "offset" => {
                if matches!(number, Num::Const(offset) if !(0..=65_535).contains(&offset)) {
                    return Err(bad("out of range"));
                }
                &mut content.offset
            }
            _ => &mut content.distance,
        };
        if slot.replace(number).is_some() {
            return Err(RuleError::misplaced(name, "given twice for one content"));
        }
        Ok(())
    }

    /// A decimal, or the name of a value read before.
    pub(super) fn number_or_variable(&self, keyword: &str, given: &str) -> Result<Num, RuleError> {
        let given = given.trim();
        if let Some(number) = number::signed(given) {
            return i32::try_from(number)
                .ok()
                .filter(|number| (-65_535..=16_777_215).contains(number))
                .map(Num::Const)
                .ok_or_else(|| RuleError::value(keyword, given.as_bytes(), "out of range"));
        }
        self.variable(given).map(Num::Var).ok_or_else(|| {
            RuleError::value(keyword, given.as_bytes(), "neither a number nor a value read before")
        })
    }

    /// Number of a value that `byte_extract` or `byte_math` read before.
    pub(super) fn variable(&self, name: &str) -> Option<u8> {
        let at = self.variables.iter().position(|known| known == name)?;
        u8::try_from(at).ok()
    }

    fn fast_pattern(&mut self, value: Option<&[u8]>) -> Result<(), RuleError> {
        let fast = match value {
            None | Some([] | b"only") => Fast::Yes,
            Some(value) => {
                let bad =
                    || RuleError::value("fast_pattern", value, "expected only, or offset,length");
                let text = text("fast_pattern", Some(value))?;
                let (offset, len) = text.split_once(',').ok_or_else(bad)?;
                let offset: u16 = offset.trim().parse().map_err(|_| bad())?;
                let len: u16 = len.trim().parse().map_err(|_| bad())?;
                Fast::Chop { offset, len }
            }
        };
        let content = self.content_mut("fast_pattern")?;
        if content.fast != Fast::No {
            return Err(RuleError::misplaced("fast_pattern", "given twice"));
        }
        if let Fast::Chop { offset, len } = fast
            && (len == 0 || u32::from(offset) + u32::from(len) > content.pattern.len)
        {
            return Err(RuleError::misplaced("fast_pattern", "the part is not inside the content"));
        }
        content.fast = fast;
        let chosen = self
            .blocks
            .iter()
            .flat_map(|block| &block.items)
            .filter(|item| matches!(item, Item::Content(content) if content.fast != Fast::No))
            .count();
        if chosen > 1 {
            return Err(RuleError::misplaced("fast_pattern", "given for two contents"));
        }
        Ok(())
    }

    fn pcre(&mut self, value: Option<&[u8]>) -> Result<(), RuleError> {
        let parsed = pcre::read(value.unwrap_or_default())?;
        let regex = self.checker.pool.expressions.number(parsed.expression);
        let item = Item::Pcre { regex, relative: parsed.relative, negated: parsed.negated };
        match parsed.buffer {
            None => self.push(item),
            Some(buffer) => {
                self.usable(buffer)?;
                let sticky =
                    self.current.and_then(|at| self.blocks.get(at)).map(|block| block.buffer);
                // Response bodies are file data.
                let body = buffer == Buffer::FileData && sticky == Some(Buffer::HttpResponseBody);
                if body {
                    self.push(item);
                    return Ok(());
                }
                if sticky.is_some_and(|sticky| sticky != buffer) {
                    return Err(RuleError::misplaced(
                        "pcre",
                        "its buffer flag contradicts the buffer it stands in",
                    ));
                }
                let at = self.block_of(buffer);
                self.push_into(at, item);
            }
        }
        Ok(())
    }

    fn is_data_at(&mut self, value: Option<&[u8]>) -> Result<(), RuleError> {
        let given = text("isdataat", value)?;
        let (negated, rest) = match given.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, given),
        };
        let mut parts = rest.split(',').map(str::trim);
        let at = self.number_or_variable("isdataat", parts.next().unwrap_or_default())?;
        if matches!(at, Num::Const(at) if !(0..=65_535).contains(&at)) {
            return Err(RuleError::value("isdataat", given.as_bytes(), "out of range"));
        }
        let mut relative = false;
        for part in parts {
            match part {
                "relative" => relative = true,
                "rawbytes" => {}
                _ => {
                    return Err(RuleError::value("isdataat", given.as_bytes(), "unknown modifier"));
                }
            }
        }
        if relative
            && negated
            && at == Num::Const(1)
            && let Some(content) = self.newest_content()
        {
            content.ends = true;
            return Ok(());
        }
        self.push(Item::IsDataAt { at, relative, negated });
        Ok(())
    }

    /// The content that what is relative would follow, when nothing stands between: no byte after it is `endswith`,
    /// also for one that must not be there.
    fn newest_content(&mut self) -> Option<&mut Content> {
        let (at, _) = self.last_content.filter(|(at, _)| self.last_block == Some(*at))?;
        let here = self.current.is_none_or(|current| current == at) && self.in_base64.is_none();
        match self.blocks.get_mut(at).filter(|_| here)?.items.last_mut() {
            Some(Item::Content(content)) => Some(content),
            _ => None,
        }
    }

    fn urilen(&mut self, value: Option<&[u8]>) -> Result<(), RuleError> {
        let given = text("urilen", value)?;
        let (cmp, buffer) = match given.split_once(',') {
            None => (given, Buffer::HttpUriRaw),
            Some((cmp, kind)) => match kind.trim() {
                "norm" => (cmp, Buffer::HttpUri),
                "raw" => (cmp, Buffer::HttpUriRaw),
                _ => {
                    return Err(RuleError::value(
                        "urilen",
                        given.as_bytes(),
                        "expected norm or raw",
                    ));
                }
            },
        };
        let cmp = compare("urilen", Some(cmp.as_bytes()), 65_535)?;
        self.usable(buffer)?;
        let at = self.block_of(buffer);
        let Some(block) = self.blocks.get_mut(at) else { return Ok(()) };
        block.items.push(Item::Size(cmp));
        Ok(())
    }

    fn absent(&mut self, value: Option<&[u8]>) -> Result<(), RuleError> {
        let absent = match value {
            None | Some([]) => Absent::Only,
            Some(b"or_else") => Absent::OrElse,
            Some(other) => return Err(RuleError::value("absent", other, "expected or_else")),
        };
        let block = self
            .current
            .and_then(|at| self.blocks.get_mut(at))
            .ok_or_else(|| RuleError::misplaced("absent", "must follow a buffer"))?;
        block.absent = absent;
        Ok(())
    }
}

/// A comparison in an option's value.
pub(super) fn compare(name: &str, value: Option<&[u8]>, max: u64) -> Result<Cmp, RuleError> {
    let text = text(name, value)?;
    number::compare(text, max)
        .ok_or_else(|| RuleError::value(name, text.as_bytes(), "not a comparison or out of range"))
}
