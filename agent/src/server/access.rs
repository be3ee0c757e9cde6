//! Which users' servers may speak with this agent.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use nix::unistd::{Group, User};

/// The configured users, resolved to uids.
///
/// root and the agent's own user are always among them: both can do to the agent what they like anyway. A name that is
/// unknown is looked up again when a stranger knocks, so an agent may be started before its server's package is there.
#[derive(Debug)]
pub(super) struct Access {
    /// As configured: names or uids.
    users: Vec<String>,
    uids: Mutex<BTreeSet<u32>>,
}

impl Access {
    pub(super) fn new(users: &[String]) -> Self {
        let access = Self {
            users: users.to_vec(),
            uids: Mutex::default(),
        };
        access.resolve();
        access
    }

    /// Whether a process of `uid` may speak for a server. Looks names up where it does not know the uid: may block.
    pub(super) fn allows(&self, uid: u32) -> bool {
        self.knows(uid) || {
            self.resolve();
            self.knows(uid)
        }
    }

    /// As [`allows`](Self::allows) without looking names up.
    pub(super) fn knows(&self, uid: u32) -> bool {
        self.uids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&uid)
    }

    /// The users as a person wrote them, for messages.
    pub(super) fn describe(&self) -> String {
        self.users.join(", ")
    }

    fn resolve(&self) {
        let mut uids = BTreeSet::from([0, rustix::process::geteuid().as_raw()]);
        for user in &self.users {
            uids.extend(uid_of(user));
        }
        *self.uids.lock().unwrap_or_else(PoisonError::into_inner) = uids;
    }
}

/// Group id of `group`: a number, or a name that the system knows.
pub(super) fn gid_of(group: &str) -> Option<u32> {
    match group.parse() {
        Ok(gid) => Some(gid),
        Err(_) => Some(Group::from_name(group).ok()??.gid.as_raw()),
    }
}

/// Primary group of the first of `users` that the system knows and that is neither root nor the agent's own user: the
/// group that lets that user's server reach the socket.
pub(super) fn group_of_first(users: &[String]) -> Option<u32> {
    let own = rustix::process::geteuid().as_raw();
    users.iter().find_map(|user| {
        let uid = uid_of(user).filter(|uid| *uid != 0 && *uid != own)?;
        let entry = User::from_uid(uid.into()).ok()??;
        Some(entry.gid.as_raw())
    })
}

fn uid_of(user: &str) -> Option<u32> {
    match user.parse() {
        Ok(uid) => Some(uid),
        Err(_) => Some(User::from_name(user).ok()??.uid.as_raw()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_user_and_root_are_always_allowed_and_others_only_by_configuration() {
        let own = rustix::process::geteuid().as_raw();
        let access = Access::new(&[]);
        assert!(access.allows(0) && access.allows(own));
        assert!(!access.allows(54_321));
        let access = Access::new(&["54321".into(), "no-such-user-here".into()]);
        assert!(access.allows(54_321) && !access.allows(54_322));
    }

    #[test]
    fn names_are_looked_up() {
        assert!(Access::new(&["daemon".into()]).allows(uid_of("daemon").unwrap()));
        assert_eq!(uid_of("root"), Some(0));
        assert_eq!(gid_of("root"), Some(0));
        assert_eq!(gid_of("no-such-group-here"), None);
        assert_eq!(
            group_of_first(&["no-such-user-here".into(), "root".into()]),
            None
        );
        assert!(group_of_first(&["root".into(), "daemon".into()]).is_some());
    }
}
