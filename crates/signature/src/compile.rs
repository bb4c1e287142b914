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
        plan::{Look, Plan, Planner},
    },
    load::{AddressData, Place},
    parallel,
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

/// Rules as they were read.
pub(crate) struct Checked {
    pub(crate) rules: Vec<Rule>,
    /// Where each stands.
    pub(crate) places: Vec<Place>,
    pub(crate) pool: Pool,
}

/// Rules that a thread looks at before it asks for more.
const AT_ONCE: usize = 1_024;

/// Puts rules in their order and builds the prefilters, on so many threads.
pub(crate) fn compile(
    checked: Checked,
    sources: Vec<Source>,
    support: Support,
    threads: usize,
) -> RuleSet {
    let Checked { mut rules, mut places, mut pool } = checked;
    order::sort(&mut rules, &mut places);
    let bytes = pool.take_bytes();
    let looks = parallel::map(threads, rules.chunks_mut(AT_ONCE).collect(), |rules| {
        let look = |rule: &mut Rule| {
            order::cheap_first(rule, &bytes);
            Look::new(rule, &bytes)
        };
        rules.iter_mut().map(look).collect::<Vec<_>>()
    });
    let addresses = pool.addresses.into_values();
    let ports = pool.ports.into_values();
    let regexes = pool.expressions.into_values().into_iter().map(LazyRegex::new).collect();
    let planner = Planner { rules: &rules, ports: &ports, addresses: &addresses, support };
    let mut plan = planner.plan(looks.into_iter().flatten(), threads);
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
