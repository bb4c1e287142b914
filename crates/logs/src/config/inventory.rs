//! What can be configured of the inventory of a host.

use schemars::JsonSchema;
use serde::Deserialize;

/// Processes, users, groups and listening sockets of this host, as events when they change.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InventoryConfig {
    /// Seconds between two looks. What lives shorter than that may never be seen.
    #[schemars(range(min = 5, max = 86_400))]
    pub every_seconds: u64,
    /// Hours after which everything that is there is told again.
    #[schemars(range(min = 1, max = 720))]
    pub snapshot_hours: u64,
    /// Processes.
    pub processes: bool,
    /// Users and groups of `/etc/passwd` and `/etc/group`.
    pub users: bool,
    /// Listening sockets.
    pub listeners: bool,
    /// Executables of all processes, and which process a socket belongs to. The kernel tells that of processes of others
    /// to none but who may trace them: the agent keeps CAP_SYS_PTRACE for it.
    pub owners: bool,
}

impl Default for InventoryConfig {
    fn default() -> Self {
        Self {
            every_seconds: 60,
            snapshot_hours: 24,
            processes: true,
            users: true,
            listeners: true,
            owners: false,
        }
    }
}
