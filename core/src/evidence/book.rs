//! The evidence that one agent keeps.
//!
//! All times given to it are of one clock: monotonic, of this host, counting suspended time too. It must be told the
//! time often (each call does): a gap longer than half a ttl means that this process itself stood still, and then the
//! silence of others says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::differs;
use super::observations::{ConsensusFacts, Observations, Seen, Statement, judged};
use super::text_beats::TextBeats;
use super::timing::Timing;
use super::track::{Facts, Track};
use super::{Contact, Heartbeat, OwnMember, Relayed, bounds};
use crate::decide::topology::{Topology, Trouble};
use crate::ids::{AgentId, MemberId, ViewId};
use crate::state::ClusterState;

/// Older facts are not passed on to voters, in milliseconds: what every voter misses they would tell each other for ever.
const RELAY_TO_VOTER_AGE_MS_MAX: u64 = 30_000;

/// What became of a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was new.
    Taken {
        /// It tells of a change that decides about state or role, so somebody should look at it at once.
        news: bool,
    },
    /// It was old, repeated, or of an incarnation that was replaced.
    Old,
    /// Its sender does not belong to the cluster, or is this agent.
    Stranger,
    /// Its lists are longer than an honest agent could send.
    TooLarge,
}

impl Verdict {
    /// It was new, and tells of a change.
    #[must_use]
    pub fn has_news(self) -> bool {
        matches!(self, Self::Taken { news: true })
    }
}

/// What is known of an agent's server, for showing.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// What it said; none for an agent without a server.
    pub own: Option<Arc<OwnMember>>,
    /// What it said of the members that joined through it by the text protocol.
    pub texts: Arc<TextBeats>,
    /// When it said that, on this agent's clock.
    pub said_ms: u64,
    /// When the report in it arrived at its own agent, on this agent's clock.
    pub report_ms: Option<u64>,
    /// It came by relay.
    pub relayed: bool,
}

/// The evidence that one agent keeps.
#[derive(Debug, Clone)]
pub struct Evidence {
    me: AgentId,
    incarnation: u64,
    sequence: u64,
    /// Since when this process has been listening without a pause.
    listening_since_ms: u64,
    /// Since when others send to it, because it votes.
    voter_since_ms: Option<u64>,
    last_ms: u64,
    noted: Option<(ViewId, BTreeSet<AgentId>)>,
    own: Option<Own>,
    texts: Arc<TextBeats>,
    tracks: BTreeMap<AgentId, Track>,
    tokens_since_ms: BTreeMap<String, u64>,
}

#[derive(Debug, Clone)]
struct Own {
    member: Arc<OwnMember>,
    report_ms: Option<u64>,
}

impl Evidence {
    /// Nothing heard yet. `incarnation` is drawn at random by the caller, once per process.
    #[must_use]
    pub fn new(me: AgentId, incarnation: u64, now_ms: u64) -> Self {
        Self {
            me,
            incarnation,
            sequence: 0,
            listening_since_ms: now_ms,
            voter_since_ms: None,
            last_ms: now_ms,
            noted: None,
            own: None,
            texts: Arc::default(),
            tracks: BTreeMap::new(),
            tokens_since_ms: BTreeMap::new(),
        }
    }

    /// This agent.
    #[must_use]
    pub fn me(&self) -> AgentId {
        self.me
    }

    /// Takes in what this agent knows of its own server; to be called with every change and every report. Returns
    /// whether the others should hear of it at once.
    pub fn set_own(&mut self, now_ms: u64, own: Option<OwnMember>) -> bool {
        let own = own.map(|own| {
            let member = bounds::bounded(own);
            // The same report is not younger for being told of again.
            let before = self
                .own
                .as_ref()
                .filter(|before| before.member.report_number == member.report_number)
                .and_then(|before| before.report_ms);
            let report_ms = member
                .report
                .is_some()
                .then(|| before.unwrap_or_else(|| now_ms.saturating_sub(member.report_age_ms)));
            Own {
                member: Arc::new(member),
                report_ms,
            }
        });
        let urgent = match (&self.own, &own) {
            (Some(before), Some(after)) => differs(&before.member, &after.member),
            (None, None) => false,
            _ => true,
        };
        self.own = own;
        if urgent {
            for track in self.tracks.values_mut() {
                track.sent_ms = None;
            }
        }
        urgent
    }

    /// A member that joined through this agent by the text protocol was heard.
    pub fn hear_text(&mut self, now_ms: u64, member_id: &MemberId, wall_clock_us: i64) {
        Arc::make_mut(&mut self.texts).hear(now_ms, member_id, wall_clock_us);
    }

    /// Takes in a heartbeat that came directly from the agent whose certificate named it.
    pub fn hear(&mut self, now_ms: u64, state: &ClusterState, heartbeat: Heartbeat) -> Verdict {
        self.note(now_ms, state);
        if !bounds::fits(&heartbeat) {
            return Verdict::TooLarge;
        }
        let sender = heartbeat.agent_id;
        let track = match self.tracks.get_mut(&sender) {
            Some(track) if sender != self.me => track,
            _ => return Verdict::Stranger,
        };
        let ttl_ms = Timing::of(state).ttl_ms;
        if !track.is_new(heartbeat.incarnation, heartbeat.sequence, now_ms, ttl_ms) {
            return Verdict::Old;
        }
        track.heard_ms = Some(now_ms);
        track.view_id = heartbeat.view_id;
        let own = heartbeat.own.map(|own| Arc::new(bounds::bounded(own)));
        let report_ms = own
            .as_ref()
            .filter(|own| own.report.is_some())
            .map(|own| now_ms.saturating_sub(own.report_age_ms));
        if let Some(own) = own.as_ref().filter(|own| own.report.is_some())
            && track.report_number.is_none_or(|n| own.report_number > n)
        {
            track.report_number = Some(own.report_number);
            track.report_ms = track.report_ms.max(report_ms);
        }
        let known = track.facts.as_ref().and_then(|f| f.known.own.as_deref());
        let news = match (known, own.as_deref()) {
            (Some(before), Some(after)) => differs(before, after),
            (None, None) => false,
            _ => true,
        };
        track.facts = Some(Facts {
            incarnation: heartbeat.incarnation,
            sequence: heartbeat.sequence,
            known: Known {
                own,
                texts: Arc::new(TextBeats::told(now_ms, heartbeat.texts)),
                said_ms: now_ms,
                report_ms,
                relayed: false,
            },
        });
        track.contacts = heartbeat
            .contacts
            .into_iter()
            .map(|c| (c.agent_id, c))
            .collect();
        track.contacts_ms = now_ms;
        for relayed in heartbeat.relayed {
            if relayed.agent_id != sender {
                self.take_relayed(now_ms, relayed);
            }
        }
        Verdict::Taken { news }
    }

    /// Hearsay: kept for showing and deciding where it is newer than what is known, never counted as a contact.
    fn take_relayed(&mut self, now_ms: u64, relayed: Relayed) {
        let Some(track) = self.tracks.get_mut(&relayed.agent_id) else {
            return;
        };
        if track.replaced.contains(&relayed.incarnation) {
            return;
        }
        let said_ms = now_ms.saturating_sub(relayed.age_ms);
        let newer = match &track.facts {
            None => true,
            Some(known) if known.incarnation == relayed.incarnation => {
                relayed.sequence > known.sequence
            }
            // Which of two incarnations came later is only known by age, and an age by relay can look too young: what
            // the agent itself said lately is never replaced by it.
            Some(known) => {
                let direct = track.incarnation == Some(known.incarnation);
                let lately = now_ms.saturating_sub(known.known.said_ms);
                said_ms > known.known.said_ms && !(direct && lately <= relayed.age_ms)
            }
        };
        if !newer {
            return;
        }
        let own = relayed.own.map(|own| Arc::new(bounds::bounded(own)));
        let report_ms = own
            .as_ref()
            .filter(|own| own.report.is_some())
            .map(|own| said_ms.saturating_sub(own.report_age_ms));
        track.facts = Some(Facts {
            incarnation: relayed.incarnation,
            sequence: relayed.sequence,
            known: Known {
                own,
                texts: Arc::new(TextBeats::told(said_ms, relayed.texts)),
                said_ms,
                report_ms,
                relayed: true,
            },
        });
    }

    /// Whom to send a heartbeat to now: a voter hears everybody at the interval, a learner is kept informed by one
    /// voter at the relay interval. Whoever is returned counts as sent to.
    pub fn due(&mut self, now_ms: u64, state: &ClusterState) -> Vec<AgentId> {
        self.note(now_ms, state);
        let timing = Timing::of(state);
        let mut due = Vec::new();
        for to in state.agents.keys().copied().filter(|id| *id != self.me) {
            let interval_ms = if state.voters.contains(&to) {
                timing.interval_ms
            } else if self.informs(now_ms, state, &timing, to) {
                timing.relay_interval_ms
            } else {
                continue;
            };
            if let Some(track) = self.tracks.get_mut(&to)
                && track
                    .sent_ms
                    .is_none_or(|sent| now_ms.saturating_sub(sent) >= interval_ms)
            {
                track.sent_ms = Some(now_ms);
                due.push(to);
            }
        }
        due
    }

    /// Whether this agent is the voter that keeps learner `to` informed: the first in the learner's own order of
    /// voters that this agent hears and that the learner does not miss.
    fn informs(&self, now_ms: u64, state: &ClusterState, timing: &Timing, to: AgentId) -> bool {
        if !state.voters.contains(&self.me) {
            return false;
        }
        let voters: Vec<AgentId> = state.voters.iter().copied().collect();
        let first = (to.0 as usize) % voters.len();
        let learner = self.tracks.get(&to);
        let mut in_order = voters.iter().cycle().skip(first).take(voters.len());
        let chosen = in_order.find(|voter| {
            let missed = learner
                .and_then(|l| l.contacts.get(voter))
                .is_some_and(|c| {
                    let patience_ms = timing.ttl_ms + timing.relay_interval_ms;
                    c.listening_ms > patience_ms && c.agent_age_ms.is_some_and(|a| a > patience_ms)
                });
            **voter == self.me || (!missed && self.hears(now_ms, timing, **voter))
        });
        chosen == Some(&self.me)
    }

    fn hears(&self, now_ms: u64, timing: &Timing, agent_id: AgentId) -> bool {
        self.tracks
            .get(&agent_id)
            .and_then(|t| t.heard_ms)
            .is_some_and(|heard| now_ms.saturating_sub(heard) <= timing.ttl_ms)
    }

    /// The heartbeat for `to`, to be sent at once.
    pub fn heartbeat(&mut self, now_ms: u64, state: &ClusterState, to: AgentId) -> Heartbeat {
        let mut heartbeat = self.word(now_ms, state, to);
        if state.voters.contains(&self.me) {
            let to_voter = state.voters.contains(&to);
            heartbeat.relayed = self.relayed_for(now_ms, &Timing::of(state), to, to_voter);
        }
        heartbeat
    }

    /// The answer to a heartbeat of `to`: this agent's own word, which a voter then need not be told again before the
    /// next interval, so that a pair of voters has one exchange in it and not two. A learner gets the facts of others
    /// only when it is due, however often it asks.
    pub fn answer(&mut self, now_ms: u64, state: &ClusterState, to: AgentId) -> Heartbeat {
        if state.voters.contains(&to) {
            let answer = self.heartbeat(now_ms, state, to);
            if let Some(track) = self.tracks.get_mut(&to) {
                track.sent_ms = Some(now_ms);
            }
            return answer;
        }
        self.word(now_ms, state, to)
    }

    /// What this agent says of itself and of its own contacts.
    fn word(&mut self, now_ms: u64, state: &ClusterState, to: AgentId) -> Heartbeat {
        self.note(now_ms, state);
        self.sequence += 1;
        let i_vote = state.voters.contains(&self.me);
        let contacts = if i_vote && state.voters.contains(&to) {
            state
                .agents
                .keys()
                .filter_map(|id| self.contact(now_ms, *id))
                .collect()
        } else if i_vote {
            Vec::new()
        } else {
            state
                .voters
                .iter()
                .filter_map(|id| self.contact(now_ms, *id))
                .collect()
        };
        Heartbeat {
            agent_id: self.me,
            incarnation: self.incarnation,
            sequence: self.sequence,
            own: self.own_now(now_ms),
            texts: self.texts.tell(now_ms),
            contacts,
            relayed: Vec::new(),
            view_id: state.view_id.0,
        }
    }

    /// Facts for one that does not hear everybody: a learner gets all, a voter those whom it says it misses.
    fn relayed_for(
        &self,
        now_ms: u64,
        timing: &Timing,
        to: AgentId,
        to_voter: bool,
    ) -> Vec<Relayed> {
        let recipient = self.tracks.get(&to);
        let misses = |about: AgentId| {
            recipient
                .and_then(|r| r.contacts.get(&about))
                .is_none_or(|c| c.agent_age_ms.is_none_or(|a| a > timing.ttl_ms / 2))
        };
        self.tracks
            .iter()
            .filter(|(about, _)| **about != to && **about != self.me)
            .filter(|(about, _)| !to_voter || misses(**about))
            .filter_map(|(about, track)| {
                let facts = track.facts.as_ref()?;
                let age_ms = now_ms.saturating_sub(facts.known.said_ms);
                if to_voter && age_ms > RELAY_TO_VOTER_AGE_MS_MAX {
                    return None;
                }
                Some(Relayed {
                    agent_id: *about,
                    incarnation: facts.incarnation,
                    sequence: facts.sequence,
                    age_ms,
                    own: facts.known.own.as_deref().cloned(),
                    texts: facts.known.texts.tell(facts.known.said_ms),
                })
            })
            .collect()
    }

    fn own_now(&self, now_ms: u64) -> Option<OwnMember> {
        self.own.as_ref().map(|own| OwnMember {
            report_age_ms: own.report_ms.map_or(0, |at| now_ms.saturating_sub(at)),
            ..(*own.member).clone()
        })
    }

    /// This agent's own word about another, or about itself.
    fn contact(&self, now_ms: u64, about: AgentId) -> Option<Contact> {
        let age = |at: Option<u64>| at.map(|at| now_ms.saturating_sub(at));
        if about == self.me {
            return Some(Contact {
                agent_id: about,
                agent_age_ms: Some(0),
                report_age_ms: age(self.own.as_ref().and_then(|own| own.report_ms)),
                listening_ms: now_ms.saturating_sub(self.listening_since_ms),
            });
        }
        let track = self.tracks.get(&about)?;
        let since_ms = self
            .listening_since_ms
            .max(track.known_since_ms)
            .max(self.voter_since_ms.unwrap_or(0));
        Some(Contact {
            agent_id: about,
            agent_age_ms: age(track.heard_ms),
            report_age_ms: age(track.report_ms),
            listening_ms: now_ms.saturating_sub(since_ms),
        })
    }

    /// What is known of an agent, and of its server; for this agent itself, its own knowledge.
    #[must_use]
    pub fn known(&self, now_ms: u64, agent_id: AgentId) -> Option<Known> {
        if agent_id == self.me {
            return Some(Known {
                own: self.own.as_ref().map(|own| own.member.clone()),
                texts: self.texts.clone(),
                said_ms: now_ms,
                report_ms: self.own.as_ref().and_then(|own| own.report_ms),
                relayed: false,
            });
        }
        self.tracks
            .get(&agent_id)
            .and_then(|t| t.facts.as_ref())
            .map(|f| f.known.clone())
    }

    /// The newest view that an agent said it has applied; 0 = it has not said.
    #[must_use]
    pub fn view_of(&self, agent_id: AgentId) -> u64 {
        self.tracks.get(&agent_id).map_or(0, |t| t.view_id)
    }

    /// Everything that `decide` looks at.
    pub fn observe(
        &mut self,
        now_ms: u64,
        state: &ClusterState,
        consensus: ConsensusFacts,
    ) -> Observations {
        self.note(now_ms, state);
        let ttl_ms = Timing::of(state).ttl_ms;
        let mut agents = self.agents(now_ms, state);
        let troubles: Vec<(AgentId, Trouble)> = {
            let topology = Topology::new(state, &agents);
            agents
                .iter()
                .map(|(id, seen)| {
                    let own = seen.own.as_deref();
                    (
                        *id,
                        own.map(|own| topology.trouble(own)).unwrap_or_default(),
                    )
                })
                .collect()
        };
        for (id, trouble) in troubles {
            let track = self.tracks.entry(id).or_insert_with(|| Track::new(now_ms));
            let connecting = lasting(&mut track.connecting_since_ms, trouble.connecting, now_ms);
            let stopped = lasting(&mut track.stopped_since_ms, trouble.stopped, now_ms);
            if let Some(seen) = agents.get_mut(&id) {
                seen.connecting_ms = connecting;
                seen.stopped_ms = stopped;
            }
        }
        Observations {
            me: self.me,
            ttl_ms,
            agents,
            tokens_age_ms: self
                .tokens_since_ms
                .iter()
                .map(|(hash, since)| (hash.clone(), now_ms.saturating_sub(*since)))
                .collect(),
            consensus,
        }
    }

    /// What is known of each agent now, for showing.
    #[must_use]
    pub fn agents(&self, now_ms: u64, state: &ClusterState) -> BTreeMap<AgentId, Seen> {
        let ttl_ms = Timing::of(state).ttl_ms;
        state
            .agents
            .keys()
            .map(|id| (*id, self.seen(now_ms, state, ttl_ms, *id)))
            .collect()
    }

    fn seen(&self, now_ms: u64, state: &ClusterState, ttl_ms: u64, about: AgentId) -> Seen {
        let known = self.known(now_ms, about);
        let age = |at: u64| now_ms.saturating_sub(at);
        let mut seen = Seen {
            said_age_ms: known.as_ref().map(|k| age(k.said_ms)),
            report_age_ms: known.as_ref().and_then(|k| k.report_ms).map(age),
            own: known.and_then(|k| k.own),
            ..Seen::default()
        };
        seen.twin = self
            .tracks
            .get(&about)
            .is_some_and(|track| track.has_twin(now_ms, ttl_ms));
        seen.deaf = self.is_deaf(now_ms, state, ttl_ms, about);
        for voter in &state.voters {
            if let Some(statement) = self.statement(now_ms, ttl_ms, *voter, about, &seen) {
                seen.statements.insert(*voter, statement);
            }
        }
        seen
    }

    /// The voter's own word about `about`, as far as it can be counted now.
    fn statement(
        &self,
        now_ms: u64,
        ttl_ms: u64,
        voter: AgentId,
        about: AgentId,
        seen: &Seen,
    ) -> Option<Statement> {
        if voter == self.me {
            let contact = self.contact(now_ms, about)?;
            return Some(judged(&contact, 0, ttl_ms));
        }
        let track = self.tracks.get(&voter)?;
        let fresh = track
            .heard_ms
            .is_some_and(|heard| now_ms.saturating_sub(heard) <= ttl_ms);
        if fresh && let Some(contact) = track.contacts.get(&about) {
            let word_age_ms = now_ms.saturating_sub(track.contacts_ms);
            return Some(judged(contact, word_age_ms, ttl_ms));
        }
        // A voter's word about its own server may come by relay: it is still its own, and counts once.
        if voter == about && seen.said_age_ms.is_some_and(|age| age <= ttl_ms) {
            let contact = Contact {
                agent_id: about,
                agent_age_ms: seen.said_age_ms,
                report_age_ms: seen.report_age_ms,
                listening_ms: 0,
            };
            return Some(judged(&contact, 0, ttl_ms));
        }
        None
    }

    /// Whether an agent that was heard lately says itself that it does not hear a majority of the voters.
    fn is_deaf(&self, now_ms: u64, state: &ClusterState, ttl_ms: u64, about: AgentId) -> bool {
        let heard = |track: &&Track| {
            track
                .heard_ms
                .is_some_and(|at| now_ms.saturating_sub(at) <= ttl_ms)
        };
        let Some(track) = self.tracks.get(&about).filter(heard) else {
            return false;
        };
        let hears = |voter: &&AgentId| {
            **voter == about
                || track
                    .contacts
                    .get(*voter)
                    .and_then(|c| c.agent_age_ms)
                    .is_some_and(|age| age <= ttl_ms)
        };
        state.voters.iter().filter(hears).count() < state.majority()
    }

    /// Follows the ordered state: who belongs, whether this agent votes, which tokens there are; and notices when this
    /// process itself stood still.
    fn note(&mut self, now_ms: u64, state: &ClusterState) {
        if now_ms.saturating_sub(self.last_ms) > Timing::of(state).ttl_ms / 2 {
            self.listening_since_ms = now_ms;
        }
        self.last_ms = self.last_ms.max(now_ms);
        let unchanged = self
            .noted
            .as_ref()
            .is_some_and(|(view, voters)| *view == state.view_id && *voters == state.voters);
        if unchanged {
            return;
        }
        self.noted = Some((state.view_id, state.voters.clone()));
        self.tracks.retain(|id, _| state.agents.contains_key(id));
        Arc::make_mut(&mut self.texts).follow(state, self.me);
        for id in state.agents.keys().filter(|id| **id != self.me) {
            self.tracks.entry(*id).or_insert_with(|| Track::new(now_ms));
        }
        self.voter_since_ms = state
            .voters
            .contains(&self.me)
            .then(|| self.voter_since_ms.unwrap_or(now_ms));
        self.tokens_since_ms
            .retain(|hash, _| state.tokens.contains_key(hash));
        for hash in state.tokens.keys() {
            self.tokens_since_ms.entry(hash.clone()).or_insert(now_ms);
        }
    }
}

/// How long something has lasted by now; starts and stops the count.
fn lasting(since_ms: &mut Option<u64>, lasts: bool, now_ms: u64) -> Option<u64> {
    if lasts {
        Some(now_ms.saturating_sub(*since_ms.get_or_insert(now_ms)))
    } else {
        *since_ms = None;
        None
    }
}
