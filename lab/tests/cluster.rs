//! Whole clusters: servers with the plugin, agents, and every server showing the same rows.
#![allow(clippy::unwrap_used)]

use muster_lab::cluster::{Cluster, ClusterOptions, TableRow};
use muster_lab::netns::Network;
use muster_lab::{Install, Kind, or_not_run};

fn is(row: Option<&TableRow>, column: &str, value: &str) -> bool {
    row.and_then(|row| row.get(column))
        .and_then(Option::as_deref)
        == Some(value)
}

async fn a_killed_server_is_shown_and_comes_back(kind: Kind) {
    let test = format!("cluster on loopback: {kind}");
    let options = or_not_run!(&test, ClusterOptions::new(3));
    let install = or_not_run!(&test, Install::get(kind).await);
    let mut cluster = Cluster::start(&install, options).await.unwrap();
    cluster
        .wait_everywhere("n1 to be the one primary", 30_000, |rows| {
            is(rows.get("n1"), "MEMBER_ROLE", "PRIMARY")
                && is(rows.get("n1"), "WRITABLE", "YES")
                && ["n2", "n3"]
                    .iter()
                    .all(|name| is(rows.get(*name), "MEMBER_ROLE", "REPLICA"))
        })
        .await
        .unwrap();
    cluster.node(2).server().unwrap().kill().await.unwrap();
    cluster
        .wait_everywhere("n3 to be OFFLINE", 30_000, |rows| {
            is(rows.get("n3"), "MEMBER_STATE", "OFFLINE")
        })
        .await
        .unwrap();
    cluster
        .node_mut(2)
        .server_mut()
        .unwrap()
        .start_again()
        .await
        .unwrap();
    cluster.wait_until_all_online().await.unwrap();
    // A fourth server with its agent joins what is there.
    cluster.add_node(None).await.unwrap();
    cluster.wait_until_all_online().await.unwrap();
}

#[tokio::test]
async fn mysql_cluster_shows_a_killed_server_and_a_new_one() {
    a_killed_server_is_shown_and_comes_back(Kind::MySql).await;
}

#[tokio::test]
async fn mariadb_cluster_shows_a_killed_server_and_a_new_one() {
    a_killed_server_is_shown_and_comes_back(Kind::MariaDb).await;
}

#[tokio::test]
async fn a_host_that_is_cut_off_is_shown_and_knows_it() {
    let test = "cluster on hosts of their own";
    let options = or_not_run!(test, ClusterOptions::new(3));
    let install = or_not_run!(test, Install::get(Kind::MariaDb).await);
    let network = or_not_run!(test, Network::new(3));
    let cluster = Cluster::start_on(&install, options, &network)
        .await
        .unwrap();
    network.isolate(2).unwrap();
    cluster
        .wait_on(&[0, 1], "n3 to be UNREACHABLE", 30_000, |rows| {
            is(rows.get("n3"), "MEMBER_STATE", "UNREACHABLE")
        })
        .await
        .unwrap();
    muster_lab::sql::wait_for("QUORUM = NO on n3", 30_000, async || {
        let view = cluster.view(2).await?;
        Ok(if is(Some(&view), "QUORUM", "NO") {
            Ok(())
        } else {
            Err(format!("{view:?}"))
        })
    })
    .await
    .unwrap();
    assert_eq!(cluster.members(2).await.unwrap().len(), 3, "the rows stay");
    network.heal().unwrap();
    cluster.wait_until_all_online().await.unwrap();
}
