//! When each text member was last heard, and which of them have been silent for too long.
//!
//! Only the agent that a server joined through counts its silence, on its own clock. The agent itself may have been
//! stopped meanwhile (SIGSTOP, a paused virtual machine) with heartbeats waiting at its door; so time in which it did
//! not look counts for nobody.

use std::collections::BTreeMap;

use muster_core::ids::MemberId;
use muster_core::limits::TEXT_TTL_MS;

/// How often silence is looked at, in milliseconds.
pub const LOOK_EVERY_MS: u64 = 500;

/// When a member was last heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// CLOCK_BOOTTIME in milliseconds.
    pub boot_ms: u64,
    /// Wall clock, microseconds since 1970 UTC; none when it was not heard since this agent started.
    pub wall_us: Option<i64>,
}

/// The members that joined through this agent.
#[derive(Debug, Default)]
pub(super) struct Presence {
    heard: BTreeMap<MemberId, Heard>,
    /// Time that counts against a member's silence, since it was last heard.
    silent_ms: BTreeMap<MemberId, u64>,
    looked_at_ms: Option<u64>,
}

impl Presence {
    /// `member_id` joined or sent a heartbeat.
    pub(super) fn hear(&mut self, member_id: &MemberId, boot_ms: u64, wall_us: i64) {
        self.silent_ms.insert(member_id.clone(), 0);
        let heard = Heard {
            boot_ms,
            wall_us: Some(wall_us),
        };
        self.heard.insert(member_id.clone(), heard);
    }

    pub(super) fn last(&self, member_id: &MemberId) -> Option<Heard> {
        self.heard.get(member_id).copied()
    }

    /// Counts the time since the last look and gives those of `ours` that have been silent for their ttl. A member
    /// that is seen for the first time (the agent has restarted) has its whole ttl before it.
    pub(super) fn look<'a>(
        &mut self,
        now_boot_ms: u64,
        ours: impl IntoIterator<Item = &'a MemberId>,
    ) -> Vec<MemberId> {
        let since_last = self
            .looked_at_ms
            .replace(now_boot_ms)
            .map_or(0, |before| now_boot_ms.saturating_sub(before));
        // A look that comes much later than it should has been asleep for the rest.
        let counted = since_last.min(2 * LOOK_EVERY_MS);
        let mut expired = Vec::new();
        for silent_ms in self.silent_ms.values_mut() {
            *silent_ms += counted;
        }
        for member_id in ours {
            let silent_ms = self.silent_ms.entry(member_id.clone()).or_default();
            if *silent_ms >= TEXT_TTL_MS {
                expired.push(member_id.clone());
            }
        }
        // One that is not among ours yet (it has just joined) or any more goes when its time is over.
        self.silent_ms
            .retain(|member_id, silent_ms| *silent_ms < TEXT_TTL_MS || expired.contains(member_id));
        self.heard
            .retain(|member_id, _| self.silent_ms.contains_key(member_id));
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> MemberId {
        MemberId(name.to_owned())
    }

    /// Looks every [`LOOK_EVERY_MS`] from `from` to `to` and gives who expired, with the time.
    fn look_on(
        presence: &mut Presence,
        from: u64,
        to: u64,
        ours: &[MemberId],
    ) -> Vec<(u64, String)> {
        let step = usize::try_from(LOOK_EVERY_MS).unwrap();
        (from..=to)
            .step_by(step)
            .flat_map(|now| {
                let gone = presence.look(now, ours);
                gone.into_iter()
                    .map(move |id| (now, id.0))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn silence_of_a_ttl_expires_and_a_heartbeat_starts_anew() {
        let mut presence = Presence::default();
        let ours = [id("a"), id("b")];
        presence.look(0, &ours);
        presence.hear(&ours[0], 0, 1);
        presence.hear(&ours[1], 0, 1);
        assert_eq!(look_on(&mut presence, 500, 20_000, &ours), []);
        presence.hear(&ours[1], 20_000, 2);
        let gone = look_on(&mut presence, 20_500, 31_000, &ours);
        assert_eq!(gone.first(), Some(&(30_000, "a".to_owned())));
        assert!(gone.iter().all(|(_, who)| who == "a"));
        assert_eq!(
            look_on(&mut presence, 31_500, 50_000, &ours[1..]),
            [(50_000, "b".to_owned())]
        );
    }

    #[test]
    fn an_agent_that_slept_does_not_hold_it_against_anybody() {
        let mut presence = Presence::default();
        let ours = [id("a")];
        presence.look(0, &ours);
        presence.hear(&ours[0], 0, 1);
        assert_eq!(look_on(&mut presence, 500, 5_000, &ours), []);
        let after = 3_600_000;
        assert_eq!(presence.look(after, &ours), []);
        assert_eq!(
            look_on(&mut presence, after + 500, after + 20_000, &ours),
            []
        );
    }

    #[test]
    fn after_a_restart_everybody_has_a_whole_ttl() {
        let mut presence = Presence::default();
        let ours = [id("a")];
        assert_eq!(presence.look(1_000_000, &ours), []);
        assert_eq!(presence.last(&ours[0]), None);
        let gone = look_on(&mut presence, 1_000_500, 1_030_000, &ours);
        assert_eq!(gone, [(1_030_000, "a".to_owned())]);
    }

    #[test]
    fn who_is_ours_no_more_is_forgotten_in_time_and_who_has_just_joined_is_not() {
        let mut presence = Presence::default();
        presence.look(0, &[]);
        presence.hear(&id("a"), 0, 1);
        assert_eq!(look_on(&mut presence, 500, 1_000, &[]), []);
        assert_eq!(presence.last(&id("a")).unwrap().wall_us, Some(1));
        assert_eq!(look_on(&mut presence, 1_500, 31_000, &[]), []);
        assert_eq!(presence.last(&id("a")), None);
        assert!(presence.silent_ms.is_empty());
    }
}
