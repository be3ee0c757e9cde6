//! What the server does not feel when its agent is none, or hangs.

use muster_link::message::ToAgent;
use tokio::io::AsyncWriteExt;

use super::*;

/// The peer misbehaves; the plugin leaves it, says so once, and finds the real agent that comes after.
pub async fn any(install: &Install) {
    let world = World::new(install, "db1", &[]).await;
    let link = world.install().await;
    // The agent is killed: the socket closes.
    drop(link);
    let cases = [
        "garbage",
        "half a frame",
        "an enormous frame",
        "a wrong version",
        "nothing",
    ];
    let words = [
        "does not speak Muster's protocol",
        "in the middle of a frame",
        "a frame of 4294967295 bytes",
        "protocol version 999",
        "has not answered the greeting",
    ];
    for (name, words) in cases.into_iter().zip(words) {
        let mut peer = world.agent.accept().await;
        match name {
            "garbage" => drop(
                peer.stream
                    .write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
                    .await,
            ),
            "half a frame" => {
                peer.stream
                    .write_all(&[0, 0, 1, 0, b'{', b'"'])
                    .await
                    .unwrap();
                peer.stream.shutdown().await.unwrap();
            }
            "an enormous frame" => drop(peer.stream.write_all(&[0xff; 4]).await),
            "a wrong version" => drop(peer.say_welcome(999).await),
            _ => {}
        }
        world.answers().await;
        while peer.next().await.is_some() {}
        let (mut link, _) = world.agent.welcome().await;
        link.good_report().await;
        let log = world.server.log();
        assert_eq!(log.matches(words).count(), 1, "{name}: {log}");
        assert_eq!(world.status("Muster_agent_state").await, "CONNECTED");
    }
    // It was connected, and is frozen now: it neither reads nor closes.
    let (mut frozen, _) = world.agent.welcome().await;
    frozen.good_report().await;
    let deadline = Instant::now() + agent::LONG;
    while world.status("Muster_agent_state").await != "CONNECTING" {
        assert!(
            Instant::now() < deadline,
            "a frozen agent is still called connected"
        );
        world.answers().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (mut link, _) = world.agent.welcome().await;
    link.good_report().await;
    assert!(
        world
            .status("Muster_reconnects")
            .await
            .parse::<u64>()
            .unwrap()
            >= 6
    );
    // The plugin goes while the agent hangs, and comes back to it.
    world.uninstall().await;
    assert!(matches!(
        link.last_words().await,
        Some(ToAgent::Bye {
            server_stops: false,
            ..
        })
    ));
    let link = world.install().await;
    drop(frozen);
    drop(link);
    shut_down_in_time(world).await;
}

/// The peer's queue is full, or it has taken the connection and says nothing, at the moment of the SHUTDOWN.
pub async fn shutdown_while_connecting(install: &Install) {
    let world = World::new(install, "db1", &[]).await;
    world
        .server
        .execute("INSTALL PLUGIN muster SONAME 'muster.so'")
        .await
        .unwrap();
    let silent = world.agent.accept().await;
    shut_down_in_time(world).await;
    drop(silent);

    let world = World::new(install, "db2", &[]).await;
    let path = world.path();
    // Nobody accepts, and the queue is filled: connects are refused with "try again".
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(
        Duration::from_millis(200),
        tokio::net::UnixStream::connect(&path),
    )
    .await
    {
        queue.push(stream);
        assert!(queue.len() < 10_000);
    }
    world
        .server
        .execute("INSTALL PLUGIN muster SONAME 'muster.so'")
        .await
        .unwrap();
    let deadline = Instant::now() + agent::LONG;
    while !world.server.log().contains("accepts no connection") {
        assert!(Instant::now() < deadline, "{}", world.server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.answers().await;
    shut_down_in_time(world).await;
}
