//! Who may act: root, the agent's own user, and members of the operator group. Others may look.
//!
//! The kernel names the user at the other end of the socket; the groups come from the host's account database by that
//! user, not from `/proc/PID`: a process may be gone, or be another program by the time one looks.

use std::ffi::CString;
use std::sync::Arc;
use std::time::Duration;

/// User and group of the process that connected, as the kernel knew them at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
}

/// The host's account database. May block: accounts can live on another machine.
pub trait Accounts: Send + Sync + 'static {
    /// Number of the group with this name, or the number that the name is.
    fn group_id(&self, name: &str) -> Option<u32>;
    /// All groups that this user is a member of.
    fn groups_of(&self, uid: u32) -> Vec<u32>;
}

/// The account database that the C library reads (files, LDAP, sssd).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemAccounts;

impl Accounts for SystemAccounts {
    fn group_id(&self, name: &str) -> Option<u32> {
        match nix::unistd::Group::from_name(name) {
            Ok(Some(group)) => Some(group.gid.as_raw()),
            // A group without a name, as containers have them.
            Ok(None) => name.parse().ok(),
            Err(_) => None,
        }
    }

    fn groups_of(&self, uid: u32) -> Vec<u32> {
        let Ok(Some(user)) = nix::unistd::User::from_uid(uid.into()) else {
            return Vec::new();
        };
        let Ok(name) = CString::new(user.name) else {
            return Vec::new();
        };
        nix::unistd::getgrouplist(&name, user.gid)
            .map(|groups| groups.into_iter().map(|group| group.as_raw()).collect())
            .unwrap_or_default()
    }
}

/// Longest time that the account database may take.
const LOOKUP: Duration = Duration::from_secs(3);

/// The rule.
#[derive(Clone)]
pub struct Operators {
    own_uid: u32,
    group: Arc<str>,
    accounts: Arc<dyn Accounts>,
    lookup: Duration,
}

impl Operators {
    /// With the agent's own user, the name of the operator group, and where accounts are looked up.
    pub fn new(own_uid: u32, group: &str, accounts: impl Accounts) -> Self {
        Self {
            own_uid,
            group: group.into(),
            accounts: Arc::new(accounts),
            lookup: LOOKUP,
        }
    }

    /// For this process and this host's accounts.
    pub fn of_this_host(group: &str) -> Self {
        Self::new(rustix::process::geteuid().as_raw(), group, SystemAccounts)
    }

    /// Root and the agent's own user: known without asking anybody.
    pub fn is_own(&self, peer: Peer) -> bool {
        peer.uid == 0 || peer.uid == self.own_uid
    }

    /// Whether `peer` may act; if not, the sentence that says who may.
    pub async fn may_act(&self, peer: Peer) -> Result<(), String> {
        if self.is_own(peer) {
            return Ok(());
        }
        let (group, accounts) = (self.group.clone(), self.accounts.clone());
        let lookup = tokio::task::spawn_blocking(move || {
            let id = accounts.group_id(&group)?;
            Some(peer.gid == id || accounts.groups_of(peer.uid).contains(&id))
        });
        let group = &self.group;
        match tokio::time::timeout(self.lookup, lookup).await {
            Ok(Ok(Some(true))) => Ok(()),
            Ok(Ok(Some(false))) => Err(format!(
                "user {} may look and not act: become root, or have an administrator add you to the group '{group}'",
                peer.uid
            )),
            Ok(Ok(None)) => Err(format!(
                "user {} may look and not act: become root; the operator group '{group}' does not exist on this host",
                peer.uid
            )),
            Ok(Err(_)) | Err(_) => Err(format!(
                "user {} may not act as long as the host's account database does not say whether it is in the group \
                 '{group}': become root, or try again",
                peer.uid
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake;

    impl Accounts for Fake {
        fn group_id(&self, name: &str) -> Option<u32> {
            (name == "muster").then_some(70)
        }

        fn groups_of(&self, uid: u32) -> Vec<u32> {
            match uid {
                1001 => vec![1001, 70],
                _ => vec![10_000 + uid],
            }
        }
    }

    fn peer(uid: u32, gid: u32) -> Peer {
        Peer { uid, gid }
    }

    #[tokio::test]
    async fn root_the_own_user_and_the_group_may_act_and_others_may_not() {
        let operators = Operators::new(500, "muster", Fake);
        let cases = [
            (peer(0, 0), true, "root"),
            (peer(0, 9), true, "root in any group"),
            (peer(500, 500), true, "the agent's own user"),
            (peer(1001, 1001), true, "a member of the group"),
            (peer(1002, 70), true, "a process that runs as the group"),
            (peer(1002, 1002), false, "anybody else"),
            (peer(1002, 0), false, "root's group is not root"),
            (peer(70, 1002), false, "a user whose number is the group's"),
            (peer(u32::MAX, u32::MAX), false, "nobody at all"),
        ];
        for (peer, may, who) in cases {
            assert_eq!(operators.may_act(peer).await.is_ok(), may, "{who}");
        }
    }

    #[tokio::test]
    async fn a_refusal_says_who_may() {
        let said = |group| async move {
            let operators = Operators::new(500, group, Fake);
            operators.may_act(peer(1002, 1002)).await.unwrap_err()
        };
        assert_eq!(
            said("muster").await,
            "user 1002 may look and not act: become root, or have an administrator add you to the group 'muster'"
        );
        assert_eq!(
            said("gone").await,
            "user 1002 may look and not act: become root; the operator group 'gone' does not exist on this host"
        );
    }

    #[tokio::test]
    async fn a_group_that_does_not_exist_lets_nobody_in() {
        let operators = Operators::new(500, "gone", Fake);
        assert!(operators.may_act(peer(1001, 70)).await.is_err());
        assert!(operators.may_act(peer(0, 0)).await.is_ok());
    }

    #[tokio::test]
    async fn a_silent_account_database_is_a_no() {
        struct Silent(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);
        impl Accounts for Silent {
            fn group_id(&self, _: &str) -> Option<u32> {
                self.0.lock().unwrap().recv().ok();
                Some(70)
            }
            fn groups_of(&self, _: u32) -> Vec<u32> {
                vec![70]
            }
        }
        let (release, silent) = std::sync::mpsc::channel();
        let mut operators = Operators::new(500, "muster", Silent(std::sync::Mutex::new(silent)));
        operators.lookup = Duration::from_millis(50);
        let said = operators.may_act(peer(1002, 70)).await.unwrap_err();
        assert!(said.contains("account database"), "{said}");
        drop(release);
    }

    #[test]
    fn this_host_knows_root() {
        assert_eq!(SystemAccounts.group_id("root"), Some(0));
        assert!(SystemAccounts.groups_of(0).contains(&0));
        assert_eq!(SystemAccounts.group_id("no such group"), None);
        assert_eq!(SystemAccounts.group_id("4000000001"), Some(4_000_000_001));
        assert!(SystemAccounts.groups_of(4_000_000_000).is_empty());
    }
}
