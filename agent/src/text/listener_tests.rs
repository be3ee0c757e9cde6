use super::*;
use crate::text::desk::tests::OneLog;
use std::time::Instant;

async fn start() -> TextServer {
    let any = "127.0.0.1:0".parse().unwrap();
    TextServer::start(any, Arc::new(OneLog::new()))
        .await
        .unwrap()
}

/// Sends `bytes` and reads until the other end closes.
async fn ask(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    answer(&mut stream).await
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn one_request_one_answer_and_the_connection_closes() {
    let server = start().await;
    let at = server.address();
    assert_eq!(ask(at, b"join 127.0.0.1 3305 on master\n").await, "0 OK\n");
    let rows = ask(at, b"serverlist\r\n").await;
    assert!(
        rows.starts_with("0 1 127.0.0.1 3305 on master 30 20") && rows.ends_with("Z\n"),
        "{rows}"
    );
    assert_eq!(
        ask(at, b"leave 127.0.0.1 3305\nleave 127.0.0.1 3305\n").await,
        "0 OK\n"
    );
    assert_eq!(ask(at, b"serverlist\n").await, "0 \n");
    assert_eq!(ask(at, b"quit\n").await, "1 Invalid command\n");
}

#[tokio::test]
async fn a_request_may_come_in_pieces_but_not_half() {
    let server = start().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in b"serverlist\r\n" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(answer(&mut stream).await, "0 \n");

    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"join 10.0.0.8 330").await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(answer(&mut stream).await.starts_with("5 "));
    assert_eq!(ask(server.address(), b"serverlist\n").await, "0 \n");
}

#[tokio::test]
async fn a_flood_gets_its_answer_and_not_a_reset() {
    let server = start().await;
    for bytes in [
        vec![b'x'; 20_000],
        vec![0xff; 513],
        [vec![b' '; 511], vec![b'\n'; 9_000]].concat(),
    ] {
        let text = ask(server.address(), &bytes).await;
        assert!(text.starts_with("5 ") || text.starts_with("1 "), "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}

#[tokio::test]
async fn silence_ends_after_its_time() {
    let server = start().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let since = Instant::now();
    assert_eq!(answer(&mut stream).await, "5 No request came within 5 s\n");
    let took = since.elapsed();
    assert!(
        took >= REQUEST_WITHIN && took < 2 * REQUEST_WITHIN,
        "{took:?}"
    );
}

#[tokio::test]
async fn a_crowd_is_turned_away_with_a_sentence_and_places_become_free_again() {
    let server = start().await;
    let at = server.address();
    let mut crowd = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        crowd.push(TcpStream::connect(at).await.unwrap());
    }
    // Connections are taken in order, so the crowd is inside.
    assert_eq!(
        ask(at, b"serverlist\n").await,
        "5 Too many connections, come back later\n"
    );
    drop(crowd);
    let until = Instant::now() + Duration::from_secs(10);
    while ask(at, b"serverlist\n").await != "0 \n" {
        assert!(Instant::now() < until, "never free again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_was_heard_is_told_to_others_and_a_taken_port_is_said() {
    let any = "127.0.0.1:0".parse().unwrap();
    let group = Arc::new(OneLog::new());
    let server = TextServer::start(any, Arc::clone(&group)).await.unwrap();
    ask(server.address(), b"join db1 3306 on slave\n").await;
    ask(server.address(), b"heartbeat db1 3306 on\n").await;
    ask(server.address(), b"heartbeat db2 3306 on\n").await;
    let id = text_member_id("0a0b0c0d-0000-4000-8000-000000000000", "db1", 3306);
    assert_eq!(group.heard_of(), [id.clone(), id]);
    let taken = TextServer::start(server.address(), Arc::new(OneLog::new())).await;
    assert!(taken.unwrap_err().to_string().contains("[text] listen"));
}
