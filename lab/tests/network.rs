//! What the lab promises of its hosts.
#![allow(clippy::unwrap_used)]

use muster_lab::netns::{Direction, Host, Network};
use muster_lab::or_not_run;

/// Whether a packet from one host reaches the other, and its answer comes back.
fn reaches(from: &Host, to: &Host) -> bool {
    // A connection to a port on which nobody listens is refused at once; one that is cut off gets no answer.
    let script = format!("exec 3<>/dev/tcp/{}/9", to.address());
    let error = from
        .run("timeout", &["0.3", "bash", "-c", &script])
        .unwrap_err();
    error.to_string().contains("refused")
}

#[test]
fn hosts_are_cut_and_healed_by_pair_and_direction() {
    let network = or_not_run!("lab hosts", Network::new(3));
    let [a, b, c] = network.hosts() else {
        unreachable!()
    };
    assert!(reaches(a, b) && reaches(b, c) && reaches(c, a));
    network.cut(0, 1, Direction::Both).unwrap();
    assert!(!reaches(a, b) && !reaches(b, a) && reaches(a, c) && reaches(b, c));
    network.heal().unwrap();
    assert!(reaches(a, b));
    network.isolate(2).unwrap();
    assert!(!reaches(a, c) && !reaches(c, b) && reaches(a, b));
    network.heal().unwrap();
    // A connection needs both directions, so one that is cut stops it either way …
    network.mute(0).unwrap();
    assert!(!reaches(a, b) && !reaches(b, a) && reaches(b, c));
    // … and the packet counter shows that only one of them is.
    let arrived = |at: &Host| {
        let text = at
            .run("cat", &["/sys/class/net/cable/statistics/rx_packets"])
            .unwrap();
        text.trim().parse::<u64>().unwrap()
    };
    let before = arrived(a);
    assert!(!reaches(b, a));
    assert!(arrived(a) > before, "nothing arrived at the muted host");
    network.heal().unwrap();
    network.lose(100).unwrap();
    assert!(!reaches(b, c));
    network.heal().unwrap();
    assert!(reaches(b, c));
    let name = a.namespace().to_owned();
    drop(network);
    assert!(!std::path::Path::new("/run/netns").join(name).exists());
}
