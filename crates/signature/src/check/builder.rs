//! The state while the options of one rule are read from left to right.

use crate::{
    Buffer, ProtoSet,
    check::{
        Checker, header, hint,
        rule::{
            Absent, Block, Content, FileTest, FlowTest, Gate, Item, Meta, Post, Protocol, Rule,
            Test, Threshold, TxTest,
        },
    },
    error::RuleError,
    parse::{RawHeader, RawOption},
};

/// A rule half read.
pub(super) struct Builder<'b, 'c> {
    pub(super) checker: &'b mut Checker<'c>,
    pub(super) action: super::rule::Action,
    pub(super) protocol: Protocol,
    pub(super) ends: [u32; 4],
    pub(super) direction: u8,
    pub(super) meta: Meta,
    pub(super) flow: FlowTest,
    pub(super) tests: Vec<Test>,
    pub(super) tx_tests: Vec<TxTest>,
    pub(super) blocks: Vec<Block>,
    pub(super) gates: Vec<Gate>,
    pub(super) posts: Vec<Post>,
    pub(super) threshold: Option<Threshold>,
    /// `noalert` is false here, `alert` true.
    pub(super) alert: Option<bool>,
    /// All of these must hold for one file.
    pub(super) files: Vec<FileTest>,
    pub(super) file_store: Option<super::rule::FileStore>,
    /// Kind of frame that the rule looks into.
    pub(super) frame: Option<Box<str>>,
    pub(super) priority_given: bool,
    /// Keywords seen that may stand once only.
    pub(super) once: Vec<&'static str>,
    /// Block that new items go to; `None` = payload.
    pub(super) current: Option<usize>,
    /// Where the last content is: (block, item).
    pub(super) last_content: Option<(usize, usize)>,
    /// Block of the last content, expression or byte keyword: what is relative belongs there.
    pub(super) last_block: Option<usize>,
    /// Names of values read from the traffic.
    pub(super) variables: Vec<String>,
    /// Items go into the decoded data of the last `base64_decode` of this block.
    pub(super) in_base64: Option<usize>,
}

impl<'b, 'c> Builder<'b, 'c> {
    pub(super) fn new(
        checker: &'b mut Checker<'c>,
        raw: &RawHeader<'_>,
    ) -> Result<Self, RuleError> {
        let action = header::action(raw.action)?;
        let protocol = header::protocol(raw.protocol, checker)?;
        let ends = [
            header::addresses(raw.src, checker)?,
            header::ports(raw.src_port, checker)?,
            header::addresses(raw.dst, checker)?,
            header::ports(raw.dst_port, checker)?,
        ];
        Ok(Self {
            checker,
            action,
            protocol,
            ends,
            direction: raw.direction.first().copied().unwrap_or_default(),
            meta: Meta { gid: 1, rev: 0, priority: 3, ..Meta::default() },
            flow: FlowTest::default(),
            tests: Vec::new(),
            tx_tests: Vec::new(),
            blocks: Vec::new(),
            gates: Vec::new(),
            posts: Vec::new(),
            threshold: None,
            alert: None,
            files: Vec::new(),
            file_store: None,
            frame: None,
            priority_given: false,
            once: Vec::new(),
            current: None,
            last_content: None,
            last_block: None,
            variables: Vec::new(),
            in_base64: None,
        })
    }

    /// Reads one option.
    pub(super) fn option(&mut self, option: &RawOption<'_>) -> Result<(), RuleError> {
        let lowered;
        let name = if option.name.bytes().any(|b| b.is_ascii_uppercase()) {
            lowered = option.name.to_ascii_lowercase();
            lowered.as_str()
        } else {
            option.name
        };
        let value = option.value;
        let known = self.file_option(name, value)?
            || self.app_option(name, value)?
            || self.dataset_option(name, value)?
            || self.address_option(name, value)?
            || self.dcerpc_option(name, value)?
            || self.snmp_option(name, value)?
            || self.krb5_option(name, value)?
            || self.content_option(name, value)?
            || self.buffer_option(name, value)?
            || self.meta_option(name, value)?
            || self.byte_option(name, value)?
            || self.packet_option(name, value)?
            || self.list_option(name, value)?
            || self.protocol_option(name, value)?
            || self.state_option(name, value)?;
        if known { Ok(()) } else { Err(hint::unknown(option.name)) }
    }

    /// Sticky buffers, legacy buffer modifiers and transforms.
    fn buffer_option(&mut self, name: &str, value: Option<&[u8]>) -> Result<bool, RuleError> {
        if matches!(name, "pkt_data") {
            none(name, value)?;
            self.current = None;
            self.in_base64 = None;
            return Ok(true);
        }
        if let Some(buffer) = Buffer::from_name(name) {
            none(name, value)?;
            self.usable(buffer)?;
            if is_modifier(name) {
                self.move_last_content(name, buffer)?;
            } else {
                self.in_base64 = None;
                self.current = Some(self.open(buffer));
            }
            return Ok(true);
        }
        self.transform_option(name, value)
    }

    /// Whether the sensor delivers this buffer.
    pub(super) fn usable(&self, buffer: Buffer) -> Result<(), RuleError> {
        let protocols = buffer.protocols();
        let usable = match self.protocol.app {
            Some(app) if !protocols.is_empty() => {
                if ProtoSet::of(protocols).common(app.covers()).is_empty() {
                    return Err(RuleError::misplaced(
                        buffer.name(),
                        format!("does not exist in {}", app.name()),
                    ));
                }
                self.checker.support.parsed.contains(app)
            }
            _ => {
                protocols.is_empty()
                    || protocols.iter().any(|app| self.checker.support.parsed.contains(*app))
            }
        };
        if usable {
            Ok(())
        } else {
            Err(RuleError::unsupported(buffer.name(), "the protocol is not parsed"))
        }
    }

    /// Block for a sticky buffer: continues the last one of a single buffer, begins a new one of a multi buffer,
    /// which another instance may then match.
    pub(super) fn open(&mut self, buffer: Buffer) -> usize {
        let reuse = self
            .blocks
            .iter()
            .rposition(|block| block.buffer == buffer && block.transforms.is_empty());
        match reuse {
            Some(at) if !buffer.is_multi() => at,
            _ => self.push_block(buffer),
        }
    }

    pub(super) fn push_block(&mut self, buffer: Buffer) -> usize {
        self.blocks.push(Block {
            buffer,
            transforms: Vec::new(),
            absent: Absent::No,
            items: Vec::new(),
        });
        self.blocks.len() - 1
    }

    /// Block for legacy modifiers and payload: always one per buffer.
    pub(super) fn block_of(&mut self, buffer: Buffer) -> usize {
        match self
            .blocks
            .iter()
            .position(|block| block.buffer == buffer && block.transforms.is_empty())
        {
            Some(at) => at,
            None => self.push_block(buffer),
        }
    }

    /// Block that items go to now.
    pub(super) fn target(&mut self) -> usize {
        match self.in_base64.or(self.current) {
            Some(at) => at,
            None => self.block_of(Buffer::Payload),
        }
    }

    /// Adds an item where items go now. Outside of sticky buffers, what is relative follows the item it hangs on,
    /// also into the buffer of a legacy modifier.
    pub(super) fn push(&mut self, item: Item) {
        let at = match (self.current, self.last_block) {
            (None, Some(at)) if item.is_relative() && !matches!(item, Item::Content(_)) => at,
            _ => self.target(),
        };
        self.push_into(at, item);
    }

    pub(super) fn push_into(&mut self, at: usize, item: Item) {
        let inside = self.in_base64 == Some(at);
        let is_content = matches!(item, Item::Content(_));
        let Some(block) = self.blocks.get_mut(at) else { return };
        self.last_block = Some(at);
        if inside && let Some(Item::Base64(base64)) = block.items.last_mut() {
            base64.items.push(item);
        } else {
            block.items.push(item);
        }
        if is_content {
            self.last_content = Some((at, block.items.len() - 1));
        }
    }

    /// The last content, for modifiers.
    pub(super) fn content_mut(&mut self, keyword: &str) -> Result<&mut Content, RuleError> {
        let missing = || RuleError::misplaced(keyword, "needs a preceding content");
        let (block, item) = self.last_content.ok_or_else(missing)?;
        let item = self
            .blocks
            .get_mut(block)
            .and_then(|block| block.items.get_mut(item))
            .ok_or_else(missing)?;
        match item {
            Item::Content(content) => Ok(content),
            Item::Base64(base64) => match base64.items.last_mut() {
                Some(Item::Content(content)) => Ok(content),
                _ => Err(missing()),
            },
            _ => Err(missing()),
        }
    }

    /// `content:"x"; http_uri;`: the content belongs to another buffer than it was written in.
    fn move_last_content(&mut self, keyword: &str, buffer: Buffer) -> Result<(), RuleError> {
        let missing = || RuleError::misplaced(keyword, "needs a preceding content");
        let (from, at) = self.last_content.ok_or_else(missing)?;
        let payload = self.blocks.get(from).is_some_and(|block| block.buffer == Buffer::Payload);
        if !payload || self.in_base64.is_some() {
            return Err(RuleError::misplaced(keyword, "the content is already in a buffer"));
        }
        let source = self.blocks.get_mut(from).ok_or_else(missing)?;
        if at + 1 != source.items.len() {
            return Err(RuleError::misplaced(keyword, "must directly follow its content"));
        }
        let item = source.items.pop().ok_or_else(missing)?;
        let to = self.block_of(buffer);
        self.push_into(to, item);
        Ok(())
    }

    /// The finished rule.
    pub(super) fn finish(self) -> Result<Rule, RuleError> {
        super::finish::finish(self)
    }
}

/// Modifiers of the old syntax; every other buffer keyword is sticky.
fn is_modifier(name: &str) -> bool {
    matches!(
        name,
        "http_uri"
            | "http_raw_uri"
            | "http_method"
            | "http_header"
            | "http_raw_header"
            | "http_client_body"
            | "http_cookie"
            | "http_user_agent"
            | "http_host"
            | "http_raw_host"
            | "http_stat_code"
            | "http_stat_msg"
            | "http_server_body"
    )
}

/// A keyword that takes no value.
pub(super) fn none(name: &str, value: Option<&[u8]>) -> Result<(), RuleError> {
    match value {
        None | Some([]) => Ok(()),
        Some(value) => Err(RuleError::value(name, value, "takes no value")),
    }
}

/// A keyword that needs a value, as text.
pub(super) fn text<'v>(name: &str, value: Option<&'v [u8]>) -> Result<&'v str, RuleError> {
    let value = value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| RuleError::value(name, b"", "needs a value"))?;
    str::from_utf8(value).map_err(|_| RuleError::value(name, value, "is not text"))
}
