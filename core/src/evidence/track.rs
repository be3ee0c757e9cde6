//! What one agent is known to have said, and when it was heard.

use std::collections::{BTreeMap, VecDeque};

use super::{Contact, Known};
use crate::ids::AgentId;

/// Replaced incarnations of an agent that are remembered, so that a replayed heartbeat of one is known as old.
const INCARNATIONS_MAX: usize = 16;

/// So many words in a row are no late ones of a process that has ended.
const TWIN_WORDS_MIN: u32 = 8;

/// What is known of one agent.
#[derive(Debug, Clone)]
pub(super) struct Track {
    pub(super) known_since_ms: u64,
    pub(super) incarnation: Option<u64>,
    pub(super) sequence: u64,
    pub(super) replaced: VecDeque<u64>,
    /// Words in a row of a process that was replaced, and when the last of them came: a host that was cloned with its
    /// agent speaks on for ever.
    pub(super) twin_words: u32,
    pub(super) twin_ms: u64,
    pub(super) heard_ms: Option<u64>,
    /// Highest report number that came directly, of this incarnation, and when that report was made.
    pub(super) report_number: Option<u64>,
    pub(super) report_ms: Option<u64>,
    pub(super) facts: Option<Facts>,
    pub(super) contacts: BTreeMap<AgentId, Contact>,
    pub(super) contacts_ms: u64,
    pub(super) view_id: u64,
    pub(super) sent_ms: Option<u64>,
    pub(super) connecting_since_ms: Option<u64>,
    pub(super) stopped_since_ms: Option<u64>,
}

#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) incarnation: u64,
    pub(super) sequence: u64,
    pub(super) known: Known,
}

impl Track {
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            known_since_ms: now_ms,
            incarnation: None,
            sequence: 0,
            replaced: VecDeque::new(),
            twin_words: 0,
            twin_ms: 0,
            heard_ms: None,
            report_number: None,
            report_ms: None,
            facts: None,
            contacts: BTreeMap::new(),
            contacts_ms: 0,
            view_id: 0,
            sent_ms: None,
            connecting_since_ms: None,
            stopped_since_ms: None,
        }
    }

    /// Whether this is a new word of the agent itself; remembers it if so. Of two incarnations the one that was heard
    /// later is the newer; should a late word have made that wrong, the other is believed again once this one has been
    /// silent for a ttl.
    pub(super) fn is_new(
        &mut self,
        incarnation: u64,
        sequence: u64,
        now_ms: u64,
        ttl_ms: u64,
    ) -> bool {
        if self.incarnation == Some(incarnation) {
            if sequence <= self.sequence {
                return false;
            }
        } else {
            let silent = self
                .heard_ms
                .is_some_and(|heard| now_ms.saturating_sub(heard) > ttl_ms);
            if self.replaced.contains(&incarnation) && !silent {
                let in_a_row = now_ms.saturating_sub(self.twin_ms) <= ttl_ms;
                self.twin_words = if in_a_row {
                    self.twin_words.saturating_add(1)
                } else {
                    1
                };
                self.twin_ms = now_ms;
                return false;
            }
            self.replaced.retain(|replaced| *replaced != incarnation);
            if let Some(before) = self.incarnation.replace(incarnation) {
                if self.replaced.len() >= INCARNATIONS_MAX {
                    self.replaced.pop_front();
                }
                self.replaced.push_back(before);
            }
            self.report_number = None;
        }
        self.sequence = sequence;
        true
    }

    /// Whether two processes speak as this agent.
    pub(super) fn has_twin(&self, now_ms: u64, ttl_ms: u64) -> bool {
        self.twin_words >= TWIN_WORDS_MIN && now_ms.saturating_sub(self.twin_ms) <= ttl_ms
    }
}
