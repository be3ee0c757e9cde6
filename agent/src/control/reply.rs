//! From what the agent shows to the answers: pure, so that every sentence can be tested.

use std::collections::{BTreeMap, BTreeSet};

use muster_link::view::{Observed, View};

use super::handler::Picture;
use super::types::{Agent, AgentsReply, Member, MembersReply, StatusReply};

/// The whole status.
pub fn status(picture: Picture) -> StatusReply {
    let Picture {
        view,
        observed,
        local,
        ..
    } = picture;
    let agent_name = |id: u64| {
        let agent = view.agents.iter().find(|agent| agent.agent_id == id)?;
        Some(agent.name.clone())
    };
    let primary = view
        .primary_member_id
        .as_ref()
        .and_then(|id| view.members.iter().find(|m| &m.member_id == id));
    StatusReply {
        local,
        cluster_name: view.cluster_name.clone(),
        cluster_id: view.cluster_id.clone(),
        view_id: view.view_id,
        epoch: view.epoch,
        primary_member_id: view.primary_member_id.clone(),
        primary_member_name: primary.map(|m| m.name.clone()),
        local_member_id: observed.local_member_id.clone(),
        quorum: observed.quorum,
        agent_leader_id: observed.leader_agent_id,
        agent_leader: observed.leader_agent_id.and_then(agent_name),
        maintenance: view.maintenance,
        members: view.members.len(),
        members_online: view.members.iter().filter(|m| m.state == "ONLINE").count(),
        agents: view.agents.len(),
        voters: view.agents.iter().filter(|agent| agent.voter).count(),
        summary: observed.summary.clone(),
        unprotected: unprotected(&view, &observed),
    }
}

/// The rows of CLUSTER_MEMBERS.
pub fn members(picture: &Picture) -> MembersReply {
    let Picture { view, observed, .. } = picture;
    MembersReply {
        view_id: view.view_id,
        quorum: observed.quorum,
        members: view
            .members
            .iter()
            .map(|row| Member::at(view.view_id, row, observed, picture.now_boot_ms))
            .collect(),
    }
}

/// The rows of CLUSTER_AGENTS.
pub fn agents(picture: &Picture) -> AgentsReply {
    let Picture { view, observed, .. } = picture;
    AgentsReply {
        view_id: view.view_id,
        quorum: observed.quorum,
        agents: view
            .agents
            .iter()
            .map(|row| Agent::at(row, observed, picture.now_boot_ms))
            .collect(),
    }
}

/// What one more failure would break, a sentence each, the worst first. Empty before there is a cluster.
fn unprotected(view: &View, observed: &Observed) -> Vec<String> {
    let mut said = Vec::new();
    if view.cluster_id.is_empty() {
        return said;
    }
    let voters: Vec<_> = view.agents.iter().filter(|agent| agent.voter).collect();
    let majority = voters.len() / 2 + 1;
    if !observed.quorum {
        said.push(format!(
            "no majority: {majority} of the {} must answer each other before anything can change; start the others, or \
             see `muster recover` if they are lost for good",
            count(voters.len(), "voter", "voters")
        ));
    }
    match (view.agents.len(), voters.len()) {
        (0 | 1, _) => said.push(
            "one agent alone: when this host fails nobody is left to notice; bring in two more hosts with \
             `muster token create` and `muster join`"
                .to_owned(),
        ),
        (2, _) => said.push(
            "two agents without an arbitrator: when one host fails the other cannot tell that from a cut network and \
             will not act; run `muster join --arbitrator` on a third host"
                .to_owned(),
        ),
        (_, 1) => said.push(format!(
            "one voter alone: when the host of '{}' fails nothing can change; see `muster config get voters_max`",
            voters.first().map_or("", |voter| voter.name.as_str())
        )),
        _ => {}
    }
    let answering = voters.iter().filter(|voter| {
        voter.agent_id == observed.local_agent_id
            || observed
                .agents
                .iter()
                .any(|seen| seen.agent_id == voter.agent_id && seen.state == "ONLINE")
    });
    let answering = answering.count();
    if observed.quorum && view.agents.len() > 2 && voters.len() > 2 && answering <= majority {
        said.push(format!(
            "{answering} of the {} voters answer: one more loss and nothing can change; bring the others back, or \
             `muster remove` the dead ones",
            voters.len()
        ));
    }
    if let Some(site) = decisive_site(view) {
        said.push(format!(
            "site '{site}' holds a majority of the voters: when it is lost the other sites cannot act; put an arbitrator \
             into another site"
        ));
    }
    if view.members.len() == 1 && view.agents.len() > 1 {
        said.push(
            "one member alone: no other server of this cluster holds its data; add a replica"
                .to_owned(),
        );
    }
    said
}

/// The site with more than half of the voters, where agents stand in several sites.
fn decisive_site(view: &View) -> Option<&str> {
    let sites: BTreeSet<&str> = view.agents.iter().map(|a| a.site.as_str()).collect();
    if sites.len() < 2 {
        return None;
    }
    let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut all = 0;
    for voter in view.agents.iter().filter(|agent| agent.voter) {
        *votes.entry(&voter.site).or_default() += 1;
        all += 1;
    }
    // One voter is said to be alone already.
    votes
        .into_iter()
        .find(|(_, of_site)| all > 1 && *of_site > all / 2)
        .map(|(site, _)| site)
}

/// A number with its noun.
fn count(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use muster_link::view::{AgentObserved, AgentRow, MemberObserved, MemberRow};

    use super::*;

    /// Site, whether it votes, whether it is heard.
    type Stand = (&'static str, bool, bool);

    /// A cluster whose agents 1, 2, … stand in these sites, vote or not, and are heard or not; agent 1 answers.
    fn cluster(agents: &[Stand], members: usize) -> (View, Observed) {
        let rows = agents.iter().zip(1u64..);
        let view = View {
            cluster_id: "c".into(),
            agents: rows
                .clone()
                .map(|((site, voter, _), agent_id)| AgentRow {
                    agent_id,
                    name: format!("db{agent_id}"),
                    site: (*site).to_owned(),
                    voter: *voter,
                    ..AgentRow::default()
                })
                .collect(),
            members: (0..members)
                .map(|n| MemberRow {
                    member_id: format!("m{n}"),
                    ..MemberRow::default()
                })
                .collect(),
            ..View::default()
        };
        let voters = agents.iter().filter(|(_, voter, _)| *voter);
        let heard = voters.clone().filter(|(_, _, heard)| *heard).count();
        let observed = Observed {
            quorum: heard > voters.count() / 2,
            local_agent_id: 1,
            agents: rows
                .map(|((_, _, heard), agent_id)| AgentObserved {
                    agent_id,
                    state: if *heard { "ONLINE" } else { "UNREACHABLE" }.to_owned(),
                    last_contact_boot_ms: Some(0),
                })
                .collect(),
            ..Observed::default()
        };
        (view, observed)
    }

    #[test]
    fn what_is_not_protected_is_said() {
        let v = ("", true, true);
        let dead = ("", true, false);
        let learner = ("", false, true);
        let cases: &[(&[Stand], usize, &[&str])] = &[
            (&[v, v, v], 3, &[]),
            (&[v, v, v, learner], 4, &[]),
            (&[v], 1, &["one agent alone"]),
            (&[v, learner], 2, &["two agents without an arbitrator"]),
            (
                &[v, learner, learner],
                3,
                &["one voter alone: when the host of 'db1' fails"],
            ),
            (&[v, v, v], 1, &["one member alone"]),
            (
                &[v, v, dead],
                3,
                &["2 of the 3 voters answer: one more loss"],
            ),
            (&[v, v, v, v, dead], 3, &[]),
            (&[v, v, v, dead, dead], 3, &["3 of the 5 voters answer"]),
            (
                &[v, dead, dead],
                3,
                &["no majority: 2 of the 3 voters must answer"],
            ),
            (
                &[("a", true, true), ("a", true, true), ("b", true, true)],
                3,
                &["site 'a' holds a majority"],
            ),
            (
                &[("a", true, true), ("b", true, true), ("c", true, true)],
                3,
                &[],
            ),
            (
                &[("a", true, true), ("a", true, true), ("a", true, true)],
                3,
                &[],
            ),
        ];
        for (agents, members, expected) in cases {
            let (view, observed) = cluster(agents, *members);
            let said = unprotected(&view, &observed);
            assert_eq!(said.len(), expected.len(), "{agents:?}: {said:#?}");
            for (said, expected) in said.iter().zip(*expected) {
                assert!(said.starts_with(expected), "{said} is not {expected}");
            }
        }
    }

    #[test]
    fn before_there_is_a_cluster_nothing_is_claimed() {
        assert!(unprotected(&View::default(), &Observed::default()).is_empty());
    }

    #[test]
    fn ages_are_those_of_the_moment_of_asking() {
        let (mut view, mut observed) = cluster(&[("", true, true), ("", true, true)], 2);
        view.view_id = 9;
        view.members[1].reason = Some("ordered reason".into());
        observed.leader_agent_id = Some(2);
        observed.agents[1].last_contact_boot_ms = Some(900);
        observed.members.push(MemberObserved {
            member_id: "m0".into(),
            received_boot_ms: 750,
            heartbeat_ttl_ms: 2_000,
            wall_clock_us: Some(1_000_000),
            ..MemberObserved::default()
        });
        let picture = Picture {
            view: Arc::new(view),
            observed: Arc::new(observed),
            now_boot_ms: 1_000,
            ..Picture::default()
        };
        let rows = members(&picture).members;
        assert_eq!(rows[0].view_id, 9);
        assert_eq!(rows[0].heartbeat_age_ms, Some(250));
        assert_eq!(
            rows[0].last_heartbeat.as_deref(),
            Some("1970-01-01T00:00:01.000000Z")
        );
        assert_eq!(rows[1].heartbeat_age_ms, None, "never heard is not age 0");
        assert_eq!(rows[1].last_error.as_deref(), Some("ordered reason"));
        let rows = agents(&picture).agents;
        assert_eq!(
            (rows[0].agent_role.as_str(), rows[0].last_contact_ms),
            ("VOTER", Some(0))
        );
        assert_eq!(
            (rows[1].agent_role.as_str(), rows[1].last_contact_ms),
            ("LEADER", Some(100))
        );
        let status = status(picture);
        assert_eq!(status.agent_leader.as_deref(), Some("db2"));
        assert_eq!(status.voters, 2);
    }
}
