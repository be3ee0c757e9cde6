//! Ports that stay ours.
//!
//! A port that the system chooses comes from the range that it also gives to outgoing connections; a server that is killed
//! and started again would sometimes find its port taken by one. So ports come from below that range, and each process
//! begins at another place.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, Result};

/// Above what services commonly use.
const FIRST: u32 = 12_000;
/// Below 32,768, where Linux begins to choose ports for outgoing connections.
const COUNT: u32 = 20_000;

/// A port of `host` that nobody listens on, and that this process was not given before.
pub fn free(host: IpAddr) -> Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        // 97 ports to each of the processes that were started one after another.
        let place = std::process::id()
            .wrapping_mul(97)
            .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let Ok(port) = u16::try_from(FIRST + place % COUNT) else {
            continue;
        };
        match TcpListener::bind(SocketAddr::new(host, port)) {
            Ok(_) => return Ok(port),
            // An address inside a namespace of ours: nobody else is there.
            Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => return Ok(port),
            Err(_) => {}
        }
    }
    Err(Error::Missing(format!(
        "every port of {host} from {FIRST} to {} is taken",
        FIRST + COUNT - 1
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_not_given_and_none_is_given_twice() {
        let host = IpAddr::from([127, 0, 0, 1]);
        let ports: std::collections::BTreeSet<u16> = (0..50).map(|_| free(host).unwrap()).collect();
        assert_eq!(ports.len(), 50);
        assert!(ports.iter().all(|port| (12_000..32_000).contains(port)));
    }
}
