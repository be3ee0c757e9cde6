//! What every server must show, on real servers: each event once. `cargo xtask bench times` has the figures.
#![allow(clippy::unwrap_used)]

use std::future::Future;

use anyhow::Result;
use muster_lab::cluster::{Cluster, ClusterOptions};
use muster_lab::netns::Network;
use muster_lab::{Install, Kind, or_not_run};
use muster_tests::shown::{Shown, agents, hosts, servers};

/// Says on stderr what was measured, so that a failure is read in its company.
async fn step(name: &str, event: impl Future<Output = Result<Vec<Shown>>>) {
    match event.await {
        Ok(all) => {
            for one in all {
                eprintln!("{name}: {} after {} ms", one.what, one.took.as_millis());
            }
        }
        Err(error) => panic!("{name}: {error:#}"),
    }
}

async fn three_hosts(kind: Kind) {
    let test = format!("three hosts, {kind}");
    let options = or_not_run!(&test, ClusterOptions::new(3));
    let install = or_not_run!(&test, Install::get(kind).await);
    let mut network = or_not_run!(&test, Network::new(3));
    let mut cluster = Cluster::start_on(&install, options, &network)
        .await
        .unwrap();
    step("server killed", servers::killed(&mut cluster, 2)).await;
    step("primary killed", servers::killed(&mut cluster, 0)).await;
    step("server stopped", servers::stopped(&mut cluster, 1)).await;
    step("server frozen", servers::frozen(&mut cluster, 2)).await;
    step("agent killed", agents::killed(&mut cluster, 1)).await;
    step("first agent killed", agents::killed(&mut cluster, 0)).await;
    step("host cut off", hosts::cut_off(&cluster, &network, 2)).await;
    step(
        "host cannot send",
        hosts::cut_one_way(&cluster, &network, 2, true),
    )
    .await;
    step(
        "host cannot receive",
        hosts::cut_one_way(&cluster, &network, 1, false),
    )
    .await;
    step(
        "one link cut",
        hosts::one_link_cut(&cluster, &network, 1, 2),
    )
    .await;
    step("an ordered change", agents::ordered_change(&cluster)).await;
    step(
        "majority of agents killed",
        agents::many_killed(&mut cluster, &[0, 2]),
    )
    .await;
    step(
        "all agents killed",
        agents::many_killed(&mut cluster, &[0, 1, 2]),
    )
    .await;
    step(
        "hosts come and go",
        hosts::come_and_go(&mut cluster, Some(&mut network)),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hosts_mysql() {
    three_hosts(Kind::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hosts_mariadb() {
    three_hosts(Kind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hosts() {
    let test = "five hosts";
    let options = or_not_run!(test, ClusterOptions::new(5));
    let install = or_not_run!(test, Install::get(Kind::MariaDb).await);
    let network = or_not_run!(test, Network::new(5));
    let mut cluster = Cluster::start_on(&install, options, &network)
        .await
        .unwrap();
    step("server killed", servers::killed(&mut cluster, 4)).await;
    step("host cut off", hosts::cut_off(&cluster, &network, 3)).await;
    step(
        "majority of agents killed",
        agents::many_killed(&mut cluster, &[0, 1, 2]),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_and_an_arbitrator() {
    let test = "two hosts and an arbitrator";
    let options = or_not_run!(test, ClusterOptions::new(2)).arbitrators(1);
    let install = or_not_run!(test, Install::get(Kind::MariaDb).await);
    let network = or_not_run!(test, Network::new(3));
    let mut cluster = Cluster::start_on(&install, options, &network)
        .await
        .unwrap();
    step("server killed", servers::killed(&mut cluster, 0)).await;
    step("host cut off", hosts::cut_off(&cluster, &network, 1)).await;
    step("agent killed", agents::killed(&mut cluster, 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_host_alone() {
    let test = "one host alone";
    let options = or_not_run!(test, ClusterOptions::new(1));
    let install = or_not_run!(test, Install::get(Kind::MySql).await);
    let mut cluster = Cluster::start(&install, options).await.unwrap();
    step("its agent killed", agents::many_killed(&mut cluster, &[0])).await;
    cluster.node(0).server().unwrap().kill().await.unwrap();
    cluster
        .node_mut(0)
        .server_mut()
        .unwrap()
        .start_again()
        .await
        .unwrap();
    cluster.wait_until_all_online().await.unwrap();
}
