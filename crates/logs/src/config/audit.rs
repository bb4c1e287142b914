//! What can be configured of the Linux audit system as a source.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Quiet;

/// Records of the Linux audit system, those of one event joined into one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// Files of auditd, such as `/var/log/audit/audit.log*`. Without any, the kernel's records are read from it (netlink
    /// group `AUDIT_NLGRP_READLOG`, needs CAP_AUDIT_READ), beside auditd or without one.
    pub paths: Vec<String>,
    /// Files not to follow, as for `files`.
    pub exclude: Vec<String>,
    /// Read files from their beginning when they are met for the first time; else from their end.
    pub from_start: bool,
    /// Files met for the first time that were last written to longer ago, in hours, are left alone.
    pub ignore_older_hours: Option<u64>,
    /// Milliseconds after which an event whose end is not told is complete.
    #[schemars(range(min = 100, max = 60_000))]
    pub timeout_milliseconds: u64,
    /// Silence after which an alarm is raised, such as `15m`, or `never`; learned when absent.
    pub quiet_after: Option<Quiet>,
    /// Of the kernel: receive buffer asked of it, mebibytes.
    #[schemars(range(min = 1, max = 1024))]
    pub receive_megabytes: usize,
    /// Of the kernel: count the records that it lost itself (`lost` of `auditctl -s`). Only who may change the rules of
    /// the audit system may ask: the agent keeps CAP_AUDIT_CONTROL for it.
    pub kernel_lost: bool,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            exclude: Vec::new(),
            from_start: true,
            ignore_older_hours: None,
            timeout_milliseconds: 2_000,
            quiet_after: None,
            receive_megabytes: 16,
            kernel_lost: true,
        }
    }
}

impl AuditConfig {
    /// Whether records come from the kernel.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.paths.is_empty()
    }

    /// What it is, in words.
    #[must_use]
    pub fn name(&self) -> String {
        if self.is_live() { "audit".to_owned() } else { format!("audit {}", self.paths.join(" ")) }
    }
}
