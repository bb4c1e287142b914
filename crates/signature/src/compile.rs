//! Checked rules to an immutable [`RuleSet`]: order, fast patterns, prefilters.
//!
//! Runs once per load; the result is only read.

mod end;
mod fast;
mod fixed;
mod gram;
pub(crate) mod group;
pub(crate) mod matcher;
pub(crate) mod need;
mod order;
pub(crate) mod plan;
mod short;
mod simd;

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    Source, Support,
    check::{
        AddressSet, Rule,
        dataset::Dataset,
        pool::{Names, Pool},
        ranges::Ranges,
    },
    compile::{
        need::Needs,
        plan::{Plan, Planner},
    },
    load::{AddressData, Place},
    scan::LazyRegex,
};

/// Compiled rules: immutable, shared between workers.
#[derive(Debug)]
pub struct RuleSet {
    /// Tells states made under another set.
    pub(crate) generation: u64,
    pub(crate) rules: Vec<Rule>,
    pub(crate) places: Vec<Place>,
    pub(crate) sources: Vec<Source>,
    pub(crate) pool: Vec<u8>,
    pub(crate) addresses: Vec<AddressSet>,
    pub(crate) ports: Vec<Ranges<u16>>,
    pub(crate) regexes: Vec<LazyRegex>,
    pub(crate) plan: Plan,
    pub(crate) needs: Needs,
    pub(crate) names: Names,
    pub(crate) datasets: Vec<Dataset>,
    /// Reputations and countries.
    pub(crate) addresses_known: AddressData,
}

static GENERATION: AtomicU64 = AtomicU64::new(1);

/// Puts rules in their order and builds the prefilters.
pub(crate) fn compile(
    mut rules: Vec<(Rule, Place)>,
    sources: Vec<Source>,
    mut pool: Pool,
    support: Support,
) -> RuleSet {
    rules.sort_by_cached_key(|(rule, _)| order::key(rule));
    let (mut rules, places): (Vec<Rule>, Vec<Place>) = rules.into_iter().unzip();
    let bytes = pool.take_bytes();
    rules.iter_mut().for_each(|rule| order::cheap_first(rule, &bytes));
    let addresses = pool.addresses.into_values();
    let ports = pool.ports.into_values();
    let regexes = pool.expressions.into_values().into_iter().map(LazyRegex::new).collect();
    let mut plan =
        Planner { rules: &rules, pool: &bytes, ports: &ports, addresses: &addresses, support }
            .plan();
    let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
    let names = Names {
        lineage: if pool.lineage == 0 { generation } else { pool.lineage },
        flow_bits: pool.flow_bits.into_values(),
        host_bits: pool.host_bits.into_values(),
        flow_ints: pool.flow_ints.into_values(),
    };
    let needs = Needs::new(&rules, &addresses, &ports);
    for groups in plan.packet.iter_mut().flatten().chain(&mut plan.stream) {
        groups.note_needs(&needs);
    }
    RuleSet {
        generation,
        rules,
        places,
        sources,
        pool: bytes,
        addresses,
        ports,
        regexes,
        plan,
        needs,
        names,
        datasets: pool.datasets,
        addresses_known: AddressData::default(),
    }
}

#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod tests;
