//! The plugin that cargo built, put into real servers by the lab.
#![allow(clippy::unwrap_used)]

use muster_lab::{Install, Kind, Server, ServerOptions, artifacts, cluster, or_not_run};

async fn loads(kind: Kind) {
    let test = format!("lab plugin: {kind}");
    let plugin = or_not_run!(&test, artifacts::plugin());
    let install = or_not_run!(&test, Install::get(kind).await);
    let socket = std::path::Path::new("/tmp/muster-lab-no-agent.sock");
    let question = "SELECT @@global.muster_agent_socket";

    // Over SQL, on a running server: the socket given on its command line holds.
    let options = ServerOptions::new("live")
        .plugin(&plugin)
        .agent_socket(socket);
    let server = Server::start(&install, options).await.unwrap();
    cluster::install_plugins(&server).await.unwrap();
    assert_eq!(
        server.value(question).await.unwrap().unwrap(),
        socket.to_str().unwrap()
    );
    server
        .rows("SELECT * FROM INFORMATION_SCHEMA.CLUSTER_MEMBERS")
        .await
        .unwrap();
    cluster::uninstall_plugins(&server).await.unwrap();
    assert!(
        server
            .rows("SELECT * FROM INFORMATION_SCHEMA.CLUSTER_MEMBERS")
            .await
            .is_err()
    );
    server.shutdown().await.unwrap();

    // At boot.
    let options = ServerOptions::new("boot")
        .plugin(&plugin)
        .agent_socket(socket)
        .load_at_boot();
    let server = Server::start(&install, options).await.unwrap();
    assert_eq!(
        server.value(question).await.unwrap().unwrap(),
        socket.to_str().unwrap()
    );
    server
        .rows("SELECT * FROM INFORMATION_SCHEMA.CLUSTER_VIEW")
        .await
        .unwrap();
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn mysql_loads_the_plugin_live_and_at_boot() {
    loads(Kind::MySql).await;
}

#[tokio::test]
async fn mariadb_loads_the_plugin_live_and_at_boot() {
    loads(Kind::MariaDb).await;
}
