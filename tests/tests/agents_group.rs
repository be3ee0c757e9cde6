//! A group of real agents: joined, agreeing, stopped, killed, removed and recovered.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use muster_agent::control::types::{RecoverRequest, RemoveRequest};
use muster_tests::in_process::agent::Agent;
use muster_tests::in_process::plugin::FakeServer;

/// Waits until `what` holds; the last reason why it did not is the error.
async fn eventually<F>(what: &str, mut holds: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<bool>>,
{
    let begun = Instant::now();
    loop {
        let last = holds().await;
        if matches!(last, Ok(true)) {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(20) {
            bail!("not within 20 s: {what} ({last:?})");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Three agents, a server each, all of them voting and showing one view.
async fn three(folder: &std::path::Path) -> Result<(Vec<Agent>, Vec<FakeServer>)> {
    let first = Agent::start_new(folder, "n1").await?;
    first.init().await?;
    let mut agents = vec![first];
    for name in ["n2", "n3"] {
        let token = agents[0].token().await?;
        let agent = Agent::start_new(folder, name).await?;
        agent.join(&agents[0], &token, false).await?;
        agents.push(agent);
    }
    let mut servers = Vec::new();
    for (n, agent) in agents.iter().enumerate() {
        servers.push(FakeServer::start(
            &agent.plugin_socket(),
            &member_id(n),
            3306,
        )?);
    }
    eventually(
        "three voters and three members ONLINE, shown by all",
        || async {
            for agent in &agents {
                let status = agent.status().await?;
                if status.voters != 3 || status.members_online != 3 || !status.quorum {
                    return Ok(false);
                }
            }
            Ok(true)
        },
    )
    .await?;
    Ok((agents, servers))
}

fn member_id(n: usize) -> String {
    format!("00000000-0000-0000-0000-00000000000{n}")
}

async fn same_view(agents: &[Agent], servers: &[FakeServer]) -> Result<()> {
    eventually("one view on every server", || async {
        let view = servers[0].seen().view;
        for (agent, server) in agents.iter().zip(servers) {
            if server.seen().view != view || agent.status().await?.view_id != view.view_id {
                return Ok(false);
            }
        }
        Ok(view.view_id > 0)
    })
    .await
}

async fn state_of(agent: &Agent, name: &str) -> Result<String> {
    let members = agent.client().members().await?.members;
    let member = members.into_iter().find(|m| m.member_name == name);
    Ok(member.context("no such member")?.member_state)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_agents_show_one_view_everywhere() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (agents, servers) = three(folder.path()).await?;
    same_view(&agents, &servers).await?;
    eventually("the observed facts of all members at the third", || async {
        let observed = servers[2].seen().observed;
        Ok(observed.quorum && observed.members.len() == 3)
    })
    .await?;
    let seen = servers[2].seen();
    ensure!(
        seen.view.members.len() == 3 && seen.view.agents.iter().all(|a| a.voter),
        "{:?}",
        seen.view
    );
    ensure!(
        seen.events
            .first()
            .is_some_and(|e| e.event_type == "CLUSTER_FOUNDED"),
        "{:?}",
        seen.events
    );
    let numbers: Vec<u64> = seen.events.iter().map(|e| e.event_id).collect();
    ensure!(numbers.windows(2).all(|w| w[0] < w[1]), "{numbers:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_one_host_in_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let first = Agent::start_new(folder.path(), "n1").await?;
    let token = first.init().await?;
    let second = Agent::start_new(folder.path(), "n2").await?;
    second.join(&first, &token, false).await?;
    let third = Agent::start_new(folder.path(), "n3").await?;
    let refused = third
        .join(&first, &token, false)
        .await
        .unwrap_err()
        .to_string();
    ensure!(refused.contains("token"), "{refused}");
    ensure!(third.status().await?.local.agent_id == 0);
    let same_name = Agent::start_new(&folder.path().join("other"), "n2").await?;
    let refused = same_name
        .join(&first, &first.token().await?, false)
        .await
        .unwrap_err()
        .to_string();
    ensure!(refused.contains("n2"), "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_stop_and_an_agent_that_dies_are_shown() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut agents, servers) = three(folder.path()).await?;
    servers[1].report(|phase, _| *phase = muster_link::report::Phase::Stopping);
    eventually("n2 STOPPING", || async {
        Ok(state_of(&agents[0], "n2").await? == "STOPPING")
    })
    .await?;
    servers[1].report(|phase, _| *phase = muster_link::report::Phase::Serving);
    eventually("n2 ONLINE", || async {
        Ok(state_of(&agents[0], "n2").await? == "ONLINE")
    })
    .await?;

    // Whoever leads, the other two go on.
    agents[0].kill()?;
    eventually("n1 UNREACHABLE", || async {
        Ok(state_of(&agents[1], "n1").await? == "UNREACHABLE")
    })
    .await?;
    let view_before = agents[1].status().await?.view_id;
    agents[0].start().await?;
    let _again = FakeServer::start(&agents[0].plugin_socket(), &member_id(0), 3306)?;
    eventually("n1 ONLINE again", || async {
        Ok(state_of(&agents[2], "n1").await? == "ONLINE")
    })
    .await?;
    eventually("it is the same agent, in a later view", || async {
        let status = agents[0].status().await?;
        Ok(status.local.agent_id == 1 && status.view_id > view_before)
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_agents_die_and_views_go_on_growing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut agents, servers) = three(folder.path()).await?;
    let before = agents[0].status().await?;
    drop(servers);
    for agent in &mut agents {
        agent.kill()?;
    }
    for agent in &mut agents {
        agent.start().await?;
    }
    eventually("a quorum again", || async {
        for agent in &agents {
            let status = agent.status().await?;
            if !status.quorum
                || status.view_id < before.view_id
                || status.cluster_id != before.cluster_id
            {
                return Ok(false);
            }
        }
        Ok(true)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_leaves_and_one_is_removed_and_both_come_back_as_new_ones() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut agents, mut servers) = three(folder.path()).await?;
    // The first one led until now.
    agents[0].client().leave().await?;
    eventually("n1 is gone", || async {
        Ok(agents[1].status().await?.agents == 2)
    })
    .await?;
    let token = agents[1].token().await?;
    let number = agents[0].join(&agents[1], &token, false).await?;
    ensure!(number == 4, "{number}");
    // Its server's link was closed; a real plugin connects again by itself.
    servers[0] = FakeServer::start(&agents[0].plugin_socket(), &member_id(0), 3306)?;
    eventually("n1 ONLINE as agent 4", || async {
        let members = agents[2].client().members().await?.members;
        Ok(members
            .iter()
            .any(|m| m.member_id == member_id(0) && m.agent_id == 4 && m.member_state == "ONLINE"))
    })
    .await?;

    agents[2].kill()?;
    agents[1]
        .client()
        .remove(&RemoveRequest {
            name: "n3".to_owned(),
        })
        .await?;
    eventually("n3 is gone", || async {
        Ok(agents[0].status().await?.members == 2)
    })
    .await?;
    agents[2].start().await?;
    eventually("n3 knows that it is out", || async {
        Ok(agents[2].status().await?.local.agent_id == 0)
    })
    .await?;
    let notes = agents[2].status().await?.local.notes;
    ensure!(notes.iter().any(|n| n.contains("removed")), "{notes:?}");
    let token = agents[1].token().await?;
    let number = agents[2].join(&agents[1], &token, false).await?;
    ensure!(number == 5, "{number}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_after_the_majority_is_lost_goes_on_by_force() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut agents, _servers) = three(folder.path()).await?;
    let client = agents[2].client();
    let refused = client
        .recover(RecoverRequest { force: true })
        .await
        .unwrap_err()
        .to_string();
    ensure!(refused.contains("majority"), "{refused}");
    agents[0].kill()?;
    agents[1].kill()?;
    eventually("no quorum", || async {
        Ok(!agents[2].status().await?.quorum)
    })
    .await?;
    let before = agents[2].status().await?;
    client.recover(RecoverRequest { force: true }).await?;
    eventually("one agent with a quorum", || async {
        let status = agents[2].status().await?;
        Ok(status.quorum
            && status.agents == 1
            && status.view_id >> 40 == (before.view_id >> 40) + 1)
    })
    .await?;
    // The others come back as strangers to the new generation: whatever they do, it does not take their old state back.
    let new = agents[2].status().await?.view_id;
    agents[0].start().await?;
    agents[1].start().await?;
    let token = agents[2].token().await?;
    agents[0].client().leave().await.ok();
    drop(token);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let status = agents[2].status().await?;
    ensure!(
        status.agents == 1 && status.view_id >= new && status.quorum,
        "{status:?}"
    );
    Ok(())
}
