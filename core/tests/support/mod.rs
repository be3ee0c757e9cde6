//! A cluster to test with, in few words.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod net;

use std::collections::BTreeSet;

use muster_core::apply::apply;
use muster_core::command::{
    AgentDeclaration, Command, Entry, MemberChange, MemberDeclaration, Outcome,
};
use muster_core::evidence::{OwnMember, ProcessState};
use muster_core::ids::{AgentId, MemberId};
use muster_core::state::{Authority, ClusterState, MemberRecord, MemberRole, MemberState};
use muster_link::report::{Channel, Facts, Flavor, Identity, Phase, Report};

/// An ordered state that grows by commands alone.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub state: ClusterState,
    pub index: u64,
}

pub fn hash(n: u64) -> String {
    format!("{n:064x}")
}

pub fn member(n: u64) -> MemberId {
    MemberId(uuid(n))
}

pub fn uuid(n: u64) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

pub fn agent(n: u64) -> AgentDeclaration {
    AgentDeclaration {
        name: format!("n{n}"),
        address: format!("10.0.0.{n}:7400"),
        site: "a".to_owned(),
        priority: 100,
        arbitrator: false,
        version: "0.1.0".to_owned(),
    }
}

impl Cluster {
    /// A cluster with agents 1 to `agents`, of which `voters` vote, and no member yet.
    pub fn of(agents: u64, voters: &[u64]) -> Self {
        let mut cluster = Self::default();
        cluster.ok(Command::Found {
            cluster_id: "c0ffee".to_owned(),
            cluster_name: "test".to_owned(),
            authority: Authority::default(),
            agent: agent(1),
            key_fingerprint: hash(1),
        });
        for n in 2..=agents {
            cluster.join(n, agent(n));
        }
        cluster.voters(voters);
        cluster
    }

    /// Likewise, each agent with its member, all ONLINE; member 1 is the writable primary.
    pub fn running(agents: u64, voters: &[u64]) -> Self {
        let mut cluster = Self::of(agents, voters);
        for n in 1..=agents {
            cluster.declare(n, n);
        }
        for n in 1..=agents {
            let role = if n == 1 {
                MemberRole::Primary
            } else {
                MemberRole::Replica
            };
            cluster.set(n, MemberState::Online, role, n == 1);
        }
        cluster
    }

    pub fn run(&mut self, command: Command) -> Outcome {
        self.index += 1;
        apply(
            &mut self.state,
            self.index,
            &Entry {
                time_us: self.index as i64,
                reason: "test".to_owned(),
                command,
            },
        )
    }

    pub fn ok(&mut self, command: Command) {
        let outcome = self.run(command.clone());
        assert!(
            matches!(outcome, Outcome::Changed { .. } | Outcome::Joined { .. }),
            "{command:?}: {outcome:?}"
        );
    }

    /// The sentence with which the command is refused.
    pub fn refused(&mut self, command: Command) -> String {
        let before = self.state.clone();
        match self.run(command.clone()) {
            Outcome::Refused { reason } => {
                assert_eq!(self.state, before, "a refused command changes nothing");
                reason
            }
            other => panic!("{command:?} should be refused: {other:?}"),
        }
    }

    pub fn join(&mut self, key: u64, agent: AgentDeclaration) -> AgentId {
        let token_hash = hash(1_000_000 + self.index);
        self.ok(Command::CreateToken {
            token_hash: token_hash.clone(),
        });
        let joined = self.run(Command::Join {
            token_hash: token_hash.clone(),
            key_fingerprint: hash(key),
            agent,
        });
        self.ok(Command::ExpireToken { token_hash });
        match joined {
            Outcome::Joined { agent_id, .. } => agent_id,
            other => panic!("not joined: {other:?}"),
        }
    }

    pub fn voters(&mut self, voters: &[u64]) {
        let voters: BTreeSet<AgentId> = voters.iter().copied().map(AgentId).collect();
        self.run(Command::VotersAre { voters });
    }

    pub fn declare(&mut self, agent: u64, server: u64) {
        self.ok(declare(agent, server));
    }

    pub fn set(&mut self, server: u64, state: MemberState, role: MemberRole, writable: bool) {
        let change = self.change(server, state, role, writable);
        self.run(Command::SetMembers {
            changes: vec![change],
        });
    }

    pub fn change(
        &self,
        server: u64,
        state: MemberState,
        role: MemberRole,
        writable: bool,
    ) -> MemberChange {
        MemberChange {
            member_id: member(server),
            based_on: self.state.members[&member(server)].changed_in,
            state,
            role,
            writable,
            reason: "test".to_owned(),
        }
    }

    pub fn record(&self, server: u64) -> &MemberRecord {
        &self.state.members[&member(server)]
    }
}

pub fn declare(agent: u64, server: u64) -> Command {
    Command::DeclareMember {
        agent_id: AgentId(agent),
        member: MemberDeclaration {
            member_id: member(server),
            host: format!("10.0.0.{agent}"),
            port: 3306,
            server_version: "9.7.0".to_owned(),
        },
    }
}

pub fn identity(agent: u64, server: u64) -> Identity {
    Identity {
        member_id: uuid(server),
        flavor: Flavor::Mysql,
        server_version: "9.7.0".to_owned(),
        pid: 1_000 + server as u32,
        host: format!("10.0.0.{agent}"),
        port: 3306,
        datadir: "/var/lib/mysql".to_owned(),
        socket: "/run/mysqld/mysqld.sock".to_owned(),
    }
}

/// A running server: writable and followed by nobody it knows of where `source` is none.
pub fn server(n: u64, source: Option<u64>) -> OwnMember {
    OwnMember {
        identity: identity(n, n),
        process: ProcessState::Running {
            pid: 1_000 + n as u32,
        },
        linked: true,
        report_number: 1,
        report: Some(Report {
            sequence: 1,
            phase: Phase::Serving,
            facts: Some(Facts {
                read_only: source.is_some(),
                super_read_only: source.is_some(),
                channels: source.map(|s| vec![channel(s)]).unwrap_or_default(),
                server_id: n as u32,
                ..Facts::default()
            }),
            stalled_ms: 0,
            trouble: None,
            wall_clock_us: 0,
        }),
        report_age_ms: 0,
        note: None,
    }
}

/// A channel that runs, from a member of MySQL.
pub fn channel(source: u64) -> Channel {
    Channel {
        source_host: format!("10.0.0.{source}"),
        source_port: 3306,
        source_uuid: Some(uuid(source)),
        receiver_running: true,
        applier_running: true,
        ..Channel::default()
    }
}

pub fn facts(own: &mut OwnMember) -> &mut Facts {
    own.report
        .as_mut()
        .and_then(|r| r.facts.as_mut())
        .expect("a test server has facts")
}
