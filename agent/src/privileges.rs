//! Gives up what a sensor no longer needs once its sockets are open.
//!
//! Capabilities belong to threads, so this runs on the first thread before any other is started.
//! Kept are CAP_NET_RAW (an interface may come back), CAP_DAC_READ_SEARCH (log files), what an input that is
//! configured needs beyond (`run::wanted`) and nothing else; the bounding set shrinks with them, so no child gets more.

use caps::{CapSet, Capability, CapsHashSet};
use nix::unistd::{Uid, User, setgid, setgroups, setuid};

/// Why privileges could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// `user` is not known on this machine.
    #[error("no such user: {name}")]
    User {
        /// As configured.
        name: String,
    },
    /// The system refuses.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: nix::Error,
    },
    /// Capabilities could not be set.
    #[error("cannot set capabilities: {reason}")]
    Capabilities {
        /// Why.
        reason: String,
    },
}

/// What every agent keeps.
const KEPT: [Capability; 2] = [Capability::CAP_NET_RAW, Capability::CAP_DAC_READ_SEARCH];

fn system(action: &'static str) -> impl FnOnce(nix::Error) -> PrivilegeError {
    move |source| PrivilegeError::System { action, source }
}

fn refused(error: impl std::fmt::Display) -> PrivilegeError {
    PrivilegeError::Capabilities { reason: error.to_string() }
}

/// Becomes `user` when started as root and one is configured, and drops every capability but the
/// kept ones and `further` ones. Started without any, this does nothing.
///
/// # Errors
/// [`PrivilegeError`]; then the agent must not go on.
pub fn drop(user: Option<&str>, further: &[Capability]) -> Result<(), PrivilegeError> {
    let permitted = caps::read(None, CapSet::Permitted).map_err(refused)?;
    let kept = |one: &Capability| KEPT.contains(one) || further.contains(one);
    let keep: CapsHashSet = permitted.iter().copied().filter(kept).collect();
    if permitted.contains(&Capability::CAP_SETPCAP) {
        let mut all: Vec<Capability> = caps::all().into_iter().collect();
        all.sort_by_key(Capability::index);
        for one in all {
            if !kept(&one) && caps::has_cap(None, CapSet::Bounding, one).unwrap_or(false) {
                caps::drop(None, CapSet::Bounding, one).map_err(refused)?;
            }
        }
    }
    if let Some(name) = user
        && Uid::effective().is_root()
    {
        change_user(name)?;
    }
    if !permitted.is_empty() {
        caps::set(None, CapSet::Effective, &keep).map_err(refused)?;
        caps::set(None, CapSet::Permitted, &keep).map_err(refused)?;
    }
    Ok(())
}

fn change_user(name: &str) -> Result<(), PrivilegeError> {
    let user = User::from_name(name).map_err(system("look up the user"))?;
    let user = user.ok_or_else(|| PrivilegeError::User { name: name.to_owned() })?;
    nix::sys::prctl::set_keepcaps(true).map_err(system("keep capabilities"))?;
    // Its own group is the first one; none beside that is left for commands of other users.
    setgroups(&[]).map_err(system("set groups"))?;
    setgid(user.gid).map_err(system("set the group"))?;
    setuid(user.uid).map_err(system("set the user"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kept_capabilities_remain() {
        // Capabilities are per thread: this one ends with the test.
        let had = caps::read(None, CapSet::Permitted).unwrap();
        let further = [Capability::CAP_AUDIT_CONTROL];
        drop(None, &further).unwrap();
        let now = caps::read(None, CapSet::Permitted).unwrap();
        assert!(now.iter().all(|one| KEPT.contains(one) || further.contains(one)));
        assert!(now.is_subset(&had));
        assert_eq!(now, caps::read(None, CapSet::Effective).unwrap());
    }

    #[test]
    fn an_unknown_user_is_named() {
        let error = change_user("no-such-user-here").unwrap_err();
        assert_eq!(error.to_string(), "no such user: no-such-user-here");
    }
}
