//! What this agent does for the command line.

use std::sync::Arc;

use muster_core::command::{Command, Outcome};
use muster_core::settings::Settings;
use muster_link::view::EventRow;
use tokio::sync::watch;

use super::entry;
use super::member::Member;
use super::phase::Phase;
use super::run::Node;
use crate::clock;
use crate::consensus::ProposeError;
use crate::control::types::{
    ConfigReply, Done, InitReply, InitRequest, JoinReply, JoinRequest, Local, RecoverRequest,
    RemoveRequest, Setting, TokenReply,
};
use crate::control::{Answer, Handler, Picture, Refusal};
use crate::peer::identity::LiveIdentity;
use crate::peer::token::Token;

impl Handler for Node {
    fn picture(&self) -> Picture {
        Picture {
            view: self.means.shown.view(),
            observed: self.means.shown.observed(),
            now_boot_ms: clock::boot_ms(),
            local: self.local(),
        }
    }

    fn events_after(&self, after: u64) -> Vec<EventRow> {
        muster_core::show::events_after(&self.means.shown.state(), after)
    }

    fn newest_event(&self) -> watch::Receiver<u64> {
        self.means.shown.newest_event()
    }

    fn config_get(&self) -> Answer<'_, ConfigReply> {
        Box::pin(async move {
            let settings = &self.member()?.state().settings;
            let all = Settings::KEYS.iter().map(|key| {
                let value = settings
                    .get(key)
                    .map_err(|e| Refusal::failed(e.to_string()))?;
                Ok(Setting {
                    key: (*key).to_owned(),
                    value,
                })
            });
            Ok(ConfigReply {
                settings: all.collect::<Result<_, _>>()?,
            })
        })
    }

    fn config_set(&self, setting: Setting) -> Answer<'_, Done> {
        Box::pin(async move {
            let Setting { key, value } = setting;
            let said = format!("{key} is {value} from now on, on every agent");
            let why = format!(
                "'muster config set {key} {value}' on host '{}'",
                self.means.config.name
            );
            self.change(Command::Set { key, value }, why).await?;
            Ok(Done { message: said })
        })
    }

    fn init(&self, request: InitRequest) -> Answer<'_, InitReply> {
        Box::pin(async move {
            let _changing = self.changing.lock().await;
            self.outside()?;
            let (identity, reply) = entry::found(&self.means, &request.cluster_name).await?;
            let member = Member::start(self.means.clone(), LiveIdentity::new(identity))
                .await
                .map_err(|e| {
                    Refusal::failed(format!(
                        "the cluster was made, but its first agent did not start: {e}; restart it"
                    ))
                })?;
            self.enter(member.clone());
            entry::wait_for_leader(&member).await;
            Ok(reply)
        })
    }

    fn token_create(&self) -> Answer<'_, TokenReply> {
        Box::pin(async move {
            let member = self.member()?;
            let state = member.state();
            let token = Token::create(&state.cluster_id, &state.authority.certificate_pem)
                .map_err(|e| Refusal::failed(e.to_string()))?;
            let command = Command::CreateToken {
                token_hash: token.secret.hash(),
            };
            self.change(
                command,
                format!("'muster token create' on host '{}'", self.means.config.name),
            )
            .await?;
            Ok(TokenReply {
                token: token.to_string(),
                ttl_ms: state.settings.token_ttl_ms,
            })
        })
    }

    fn join(&self, request: JoinRequest) -> Answer<'_, JoinReply> {
        Box::pin(async move {
            let _changing = self.changing.lock().await;
            self.outside()?;
            let (member, reply) = entry::join(&self.means, &request).await?;
            self.enter(member);
            Ok(reply)
        })
    }

    fn leave(&self) -> Answer<'_, Done> {
        Box::pin(async move {
            let _changing = self.changing.lock().await;
            let member = self.member()?;
            entry::leave(&member).await?;
            let why = format!(
                "this agent was agent {} and left its cluster with 'muster leave'",
                member.me
            );
            self.leave_behind(&member, why)
                .await
                .map_err(Refusal::failed)?;
            Ok(Done {
                message: format!(
                    "this agent has left the cluster; it was agent {}",
                    member.me
                ),
            })
        })
    }

    fn remove(&self, request: RemoveRequest) -> Answer<'_, Done> {
        Box::pin(async move {
            let member = self.member()?;
            let state = member.state();
            let Some((agent_id, _)) = state.agent_named(&request.name) else {
                return Err(Refusal::refused(format!(
                    "there is no agent named '{}'; 'muster agents' lists them",
                    request.name
                )));
            };
            if agent_id == member.me {
                return Err(Refusal::refused(
                    "that is this agent itself: take it out with 'muster leave'",
                ));
            }
            let why = format!(
                "'muster remove {}' on host '{}'",
                request.name, self.means.config.name
            );
            self.change(Command::RemoveAgent { agent_id }, why).await?;
            Ok(Done {
                message: format!(
                    "agent {agent_id} ('{}') is removed and may not speak any more",
                    request.name
                ),
            })
        })
    }

    fn recover(&self, request: RecoverRequest) -> Answer<'_, Done> {
        Box::pin(async move {
            let _changing = self.changing.lock().await;
            let member = self.member()?;
            if !request.force {
                return Err(Refusal::refused(
                    "this gives up every other agent: say 'muster recover --force' if the majority is lost for good",
                ));
            }
            if member.consensus.standing().borrow().quorum {
                return Err(Refusal::refused(
                    "the group has a majority and needs no recovery; take single agents out with 'muster remove NAME'",
                ));
            }
            let member = self.recover_alone(&member).await?;
            Ok(Done {
                message: format!(
                    "this agent goes on alone, in view {}; every other agent is removed and has to join again",
                    member.state().view_id
                ),
            })
        })
    }
}

impl Node {
    /// The membership, or the sentence that there is none.
    fn member(&self) -> Result<Arc<Member>, Refusal> {
        let phase = self.phase.load();
        match phase.member() {
            Some(member) => Ok(member.clone()),
            None => Err(Refusal::refused(phase.sentence().unwrap_or_default())),
        }
    }

    /// Only an agent that belongs nowhere may enter.
    fn outside(&self) -> Result<(), Refusal> {
        match &**self.phase.load() {
            Phase::Waiting | Phase::Out(_) => Ok(()),
            Phase::Member(member) => Err(Refusal::refused(format!(
                "this agent belongs to cluster {} already, as agent {}: take it out with 'muster leave' first",
                member.cluster_id, member.me
            ))),
        }
    }

    /// Proposes a change that an operator asked for.
    async fn change(&self, command: Command, why: String) -> Result<(), Refusal> {
        match self.member()?.propose(command, why).await {
            Ok(done) => match done.outcome {
                Outcome::Refused { reason } => Err(Refusal::refused(reason)),
                _ => Ok(()),
            },
            Err(error @ ProposeError::Unknown { .. }) => Err(Refusal::failed(error.to_string())),
            Err(error) => Err(Refusal::refused(error.to_string())),
        }
    }

    fn local(&self) -> Local {
        let config = &self.means.config;
        let server = self.means.server.watch().borrow().clone();
        let phase = self.phase.load();
        let member = phase.member();
        let me = member.map(|m| m.me);
        let arbitrator =
            member.is_some_and(|m| m.state().agents.get(&m.me).is_some_and(|a| a.arbitrator));
        let mut notes: Vec<String> = server.note.iter().cloned().collect();
        notes.extend(phase.sentence().map(str::to_owned));
        if let Some(member) = member {
            let held = member
                .held
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            notes.extend(held.iter().map(|(what, why)| format!("{what}: {why}")));
            let now = time::OffsetDateTime::now_utc();
            notes.extend(member.live.current().trouble(now));
        }
        Local {
            agent_id: me.map_or(0, |id| id.0),
            agent_name: config.name.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            arbitrator,
            plugin_connected: server.linked,
            plugin_build: server.plugin_build,
            uptime_ms: clock::boot_ms().saturating_sub(self.started_ms),
            notes,
        }
    }
}
