//! The whole rule at once: what its parts say together.

use crate::{
    AppProto, Buffer, Direction, ProtoSet, Sides,
    check::{
        builder::Builder,
        rule::{Absent, Action, Encoding, Gate, Item, Rule, Scope, Test, Transport},
    },
    error::RuleError,
};

/// Most buffers of one rule: a half-matched rule keeps one bit for each.
const MAX_BLOCKS: usize = 64;

/// Checks the combination and gives the rule.
pub(super) fn finish(mut builder: Builder<'_, '_>) -> Result<Rule, RuleError> {
    if builder.meta.sid == 0 {
        return Err(RuleError::conflict("no sid"));
    }
    builder.blocks.retain(|block| {
        !block.items.is_empty() || block.absent != Absent::No || block.buffer != Buffer::Payload
    });
    if builder.action == Action::Config && !builder.once.contains(&"config") {
        return Err(RuleError::conflict("the action config needs the keyword config"));
    }
    blocks(&builder)?;
    bits(&builder)?;
    directions(&mut builder)?;
    protocols(&builder)?;
    scopes(&mut builder)?;
    dollars(&mut builder);
    let protocol_only = !builder.tests.is_empty()
        && builder.tests.iter().all(
            |test| matches!(test, Test::AppProto { proto, .. } if *proto != AppProto::Unknown),
        )
        && builder.protocol.app.is_none()
        && builder.blocks.is_empty()
        && builder.tx_tests.is_empty()
        && builder.files.is_empty()
        && builder.gates.is_empty();
    let [src, src_port, dst, dst_port] = builder.ends;
    Ok(Rule {
        meta: builder.meta,
        action: builder.action,
        protocol: builder.protocol,
        src,
        src_port,
        dst,
        dst_port,
        bidirectional: builder.direction == b'<',
        both_sides: builder.direction == b'=',
        flow: builder.flow,
        tests: builder.tests,
        tx_tests: builder.tx_tests,
        blocks: builder.blocks,
        gates: builder.gates,
        posts: builder.posts,
        threshold: builder.threshold,
        suppress: Vec::new(),
        rate: None,
        shows: builder.alert.unwrap_or(builder.action != Action::Pass),
        files: builder.files,
        file_store: builder.file_store,
        frame: builder.frame,
        protocol_only,
    })
}

/// Refuses a rule with more buffers than are inspected.
pub(super) fn few_blocks(builder: &Builder<'_, '_>) -> Result<(), RuleError> {
    if builder.blocks.len() > MAX_BLOCKS {
        return Err(RuleError::conflict(format!("more than {MAX_BLOCKS} buffers in one rule")));
    }
    Ok(())
}

fn blocks(builder: &Builder<'_, '_>) -> Result<(), RuleError> {
    for block in &builder.blocks {
        let name = block.buffer.name();
        let dcerpc = block.items.iter().any(|item| item.encoding() == Some(Encoding::Dcerpc));
        if dcerpc && block.buffer.protocols().is_empty() {
            return Err(RuleError::unsupported(
                "dce",
                "byte order of DCERPC outside of its buffers",
            ));
        }
        if block.items.is_empty() && block.absent == Absent::No {
            return Err(RuleError::misplaced(name, "a buffer without anything to look for"));
        }
        if block.absent == Absent::Only && !block.items.is_empty() {
            return Err(RuleError::misplaced(
                "absent",
                "cannot stand with contents; use absent:or_else",
            ));
        }
    }
    Ok(())
}

/// A bit that must be set and must not be set is never both.
fn bits(builder: &Builder<'_, '_>) -> Result<(), RuleError> {
    let wanted = |wanted: bool| {
        builder.gates.iter().filter_map(move |gate| match gate {
            Gate::FlowBits { bits, set } if *set == wanted && bits.len() == 1 => bits.first(),
            _ => None,
        })
    };
    match wanted(true).find(|bit| wanted(false).any(|other| other == *bit)) {
        Some(bit) => {
            let name = builder.checker.pool.flow_bits.get(*bit).map_or("", AsRef::as_ref);
            Err(RuleError::misplaced(
                "flowbits",
                format!(
                    "isset and isnotset of {}: cannot match",
                    crate::error::shown(name.as_bytes())
                ),
            ))
        }
        None => Ok(()),
    }
}

/// Buffers of requests and responses exclude each other, and `flow` must agree.
fn directions(builder: &mut Builder<'_, '_>) -> Result<(), RuleError> {
    let both = builder.direction == b'=';
    let sides = |side| {
        builder.blocks.iter().find(|block| block.buffer.sides() == side).map(|block| block.buffer)
    };
    match (sides(Sides::ToServer), sides(Sides::ToClient)) {
        (Some(request), Some(response)) if !both => Err(RuleError::conflict(format!(
            "{} is of requests and {} of responses: one rule cannot use both without =>",
            request.name(),
            response.name()
        ))),
        (Some(request), _) if builder.flow.to_client && !both => Err(RuleError::conflict(format!(
            "{} does not exist with flow to_client",
            request.name()
        ))),
        (_, Some(response)) if builder.flow.to_server && !both => Err(RuleError::conflict(
            format!("{} does not exist with flow to_server", response.name()),
        )),
        (Some(_), None) if !both => {
            builder.flow.to_server = true;
            Ok(())
        }
        (None, Some(_)) if !both => {
            builder.flow.to_client = true;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// All buffers must exist in one protocol, and the transport must be able to carry it.
fn protocols(builder: &Builder<'_, '_>) -> Result<(), RuleError> {
    let mut common: Option<ProtoSet> = builder.protocol.app.map(AppProto::covers);
    for block in builder.blocks.iter().filter(|block| !block.buffer.protocols().is_empty()) {
        let these = ProtoSet::of(block.buffer.protocols());
        let all = common.map_or(these, |set| set.common(these));
        if all.is_empty() {
            return Err(RuleError::conflict(format!(
                "{} belongs to another protocol than the rest of the rule",
                block.buffer.name()
            )));
        }
        common = Some(all);
    }
    if !builder.files.is_empty() {
        let these = ProtoSet::of(Buffer::FileData.protocols());
        let all = common.map_or(these, |set| set.common(these));
        if all.is_empty() {
            return Err(RuleError::conflict("the rule's protocol carries no files"));
        }
        common = Some(all);
    }
    let icmp = matches!(
        builder.protocol.transport,
        Transport::Icmp | Transport::Icmpv4Only | Transport::Icmpv6Only
    );
    if common.is_some() && icmp {
        return Err(RuleError::conflict("application buffers do not exist in icmp"));
    }
    let udp_http =
        builder.protocol.transport == Transport::Udp && common == Some(AppProto::Http.covers());
    if udp_http {
        return Err(RuleError::conflict("http buffers do not exist in udp"));
    }
    if builder.direction == b'=' && common.is_none() {
        return Err(RuleError::conflict("=> needs buffers of a transaction"));
    }
    Ok(())
}

/// Packet, stream or both.
fn scopes(builder: &mut Builder<'_, '_>) -> Result<(), RuleError> {
    let dsize = builder.tests.iter().any(|test| matches!(test, Test::Dsize(_)));
    let app = builder.blocks.iter().any(|block| !block.buffer.protocols().is_empty())
        || !builder.tx_tests.is_empty()
        || !builder.files.is_empty();
    if dsize && (builder.flow.only_stream || builder.protocol.scope == Scope::StreamOnly || app) {
        return Err(RuleError::misplaced(
            "dsize",
            "packet sizes have no meaning on streams and transactions",
        ));
    }
    if builder.flow.no_stream || dsize {
        builder.protocol.scope = Scope::PacketOnly;
    }
    if builder.flow.only_stream {
        if builder.protocol.scope == Scope::PacketOnly {
            return Err(RuleError::conflict("only_stream contradicts a packet rule"));
        }
        builder.protocol.scope = Scope::StreamOnly;
    }
    let packet_buffer = builder.blocks.iter().any(|block| {
        block.buffer.sides() == Sides::Packet
            && !matches!(block.buffer, Buffer::IpSrc | Buffer::IpDst)
    });
    if packet_buffer && app {
        return Err(RuleError::conflict(
            "packet header buffers and application buffers in one rule",
        ));
    }
    Ok(())
}

/// A `$` that may take a final newline with it would move the cursor of a following relative item.
fn dollars(builder: &mut Builder<'_, '_>) {
    let expressions = &mut builder.checker.pool.expressions;
    for block in &mut builder.blocks {
        for at in 0..block.items.len() {
            let follower = block.items.get(at + 1).is_some_and(Item::is_relative);
            if let Some(Item::Pcre { regex, .. }) = block.items.get_mut(at)
                && follower
            {
                *regex = expressions.exact(*regex);
            }
        }
    }
}

impl Rule {
    /// Protocols in whose transactions it is inspected; empty for packet and stream rules.
    pub(crate) fn tx_protocols(&self) -> ProtoSet {
        let mut common: Option<ProtoSet> = None;
        for block in self.blocks.iter().filter(|block| !block.buffer.protocols().is_empty()) {
            let these = ProtoSet::of(block.buffer.protocols());
            common = Some(common.map_or(these, |set| set.intersection(these)));
        }
        if !self.files.is_empty() {
            let these = ProtoSet::of(Buffer::FileData.protocols());
            common = Some(common.map_or(these, |set| set.intersection(these)));
        }
        let app = self.protocol.app.map(AppProto::covers);
        match (common, app) {
            (Some(common), Some(app)) => common.intersection(app),
            (Some(common), None) => common,
            (None, Some(app)) if !self.tx_tests.is_empty() => app,
            (None, _) => ProtoSet::default(),
        }
    }

    /// Whether it can match in that direction.
    pub(crate) fn wants(&self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => !self.flow.to_client,
            Direction::ToClient => !self.flow.to_server,
        }
    }
}
