//! Hosts on one machine: network namespaces on a bridge, whose links can be cut and made to lose packets.
//!
//! A [`Network`] is a switch in a namespace of its own (so that nothing appears among the machine's own interfaces), and
//! each [`Host`] a namespace that hangs on it by one cable. Faults are nftables rules inside the host that receives, so
//! every direction of every pair can be cut alone. `tc netem` is not in every kernel: for delays there is
//! [`crate::forward`].
//!
//! All of it goes with the value, and what a killed run left is swept by the next one: the names hold the owner's pid.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cache::Cache;
use crate::cleanup::Cleanup;
use crate::error::{Error, Result};
use crate::process::run;
use crate::{run_dir, tools};

const PREFIX: &str = "muster-lab.";
/// The name of a host's one interface.
const CABLE: &str = "cable";

/// A switch with hosts on it.
#[derive(Debug)]
pub struct Network {
    shared: Arc<Shared>,
    hosts: Vec<Host>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    nft: PathBuf,
    _cleanup: Cleanup,
}

/// One host: a namespace with an address.
#[derive(Debug, Clone)]
pub struct Host {
    namespace: String,
    address: Ipv4Addr,
    network: Arc<Shared>,
    _cleanup: Arc<Cleanup>,
}

/// Which packets a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Between the two, both ways.
    Both,
    /// Only from the first to the second.
    Forth,
}

impl Network {
    /// Makes a switch with `count` hosts, 1 to 200. Blocks for some tens of milliseconds.
    pub fn new(count: u8) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            return Err(Error::Missing(
                "hosts as network namespaces need root; start again as root, or rely on the tests on loopback".into(),
            ));
        }
        if tools::on_path("ip").is_none() && run(Command::new("ip").arg("-V")).is_err() {
            return Err(Error::Missing(
                "hosts as network namespaces need `ip`; install the package iproute2".into(),
            ));
        }
        if !(1..=200).contains(&count) {
            return Err(Error::Missing(format!(
                "a network of {count} hosts is not possible; ask for 1 to 200"
            )));
        }
        sweep_once();
        let nft = tools::nft(&Cache::open()?)?;
        let name = format!(
            "{PREFIX}{}.{}",
            run_dir::owner(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let cleanup = namespace(&name)?;
        inside(&name, &["link", "add", "switch", "type", "bridge"])?;
        inside(&name, &["link", "set", "switch", "up"])?;
        let shared = Arc::new(Shared {
            name,
            nft,
            _cleanup: cleanup,
        });
        let mut network = Self {
            shared,
            hosts: Vec::new(),
        };
        for number in 1..=count {
            let host = network.plug_in(number)?;
            network.hosts.push(host);
        }
        Ok(network)
    }

    /// The hosts, in the order of their addresses 10.77.0.1, 10.77.0.2, …
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// One host.
    ///
    /// # Panics
    /// Where there is no such host.
    #[must_use]
    pub fn host(&self, index: usize) -> &Host {
        &self.hosts[index]
    }

    /// Adds one more host.
    pub fn add_host(&mut self) -> Result<Host> {
        let number = u8::try_from(self.hosts.len() + 1)
            .ok()
            .filter(|number| *number <= 200)
            .ok_or_else(|| Error::Missing("the network is full: it has 200 hosts".into()))?;
        let host = self.plug_in(number)?;
        self.hosts.push(host.clone());
        Ok(host)
    }

    fn plug_in(&self, number: u8) -> Result<Host> {
        let namespace_name = format!("{}.h{number}", self.shared.name);
        let address = Ipv4Addr::new(10, 77, 0, number);
        let cleanup = namespace(&namespace_name)?;
        let port = format!("port{number}");
        let switch = self.shared.name.as_str();
        inside(
            switch,
            &[
                "link",
                "add",
                &port,
                "type",
                "veth",
                "peer",
                "name",
                CABLE,
                "netns",
                &namespace_name,
            ],
        )?;
        inside(switch, &["link", "set", &port, "master", "switch", "up"])?;
        inside(&namespace_name, &["link", "set", "lo", "up"])?;
        inside(
            &namespace_name,
            &["addr", "add", &format!("{address}/24"), "dev", CABLE],
        )?;
        inside(&namespace_name, &["link", "set", CABLE, "up"])?;
        let host = Host {
            namespace: namespace_name,
            address,
            network: self.shared.clone(),
            _cleanup: Arc::new(cleanup),
        };
        host.nft("add table inet faults; add chain inet faults arriving { type filter hook input priority 0; }")?;
        Ok(host)
    }

    /// Cuts one host off from all others.
    pub fn isolate(&self, index: usize) -> Result<()> {
        self.cut_between(&[index], &self.others(&[index]), Direction::Both)
    }

    /// Cuts every link between two groups of hosts.
    pub fn partition(&self, one: &[usize], other: &[usize]) -> Result<()> {
        self.cut_between(one, other, Direction::Both)
    }

    /// Cuts what goes from one host to all others; what comes to it still arrives.
    pub fn mute(&self, index: usize) -> Result<()> {
        self.cut_between(&[index], &self.others(&[index]), Direction::Forth)
    }

    /// Cuts what comes to one host from all others; what it sends still arrives.
    pub fn deafen(&self, index: usize) -> Result<()> {
        self.cut_between(&self.others(&[index]), &[index], Direction::Forth)
    }

    /// Cuts one link.
    pub fn cut(&self, from: usize, to: usize, direction: Direction) -> Result<()> {
        self.cut_between(&[from], &[to], direction)
    }

    /// Makes every host lose this share of what arrives from other hosts.
    pub fn lose(&self, percent: u8) -> Result<()> {
        // The filter's own range ends below 100.
        let which = match percent {
            0..100 => format!("numgen random mod 100 < {percent}"),
            _ => String::new(),
        };
        for host in &self.hosts {
            host.nft(&format!(
                "add rule inet faults arriving iifname {CABLE} {which} drop"
            ))?;
        }
        Ok(())
    }

    /// Ends every fault.
    pub fn heal(&self) -> Result<()> {
        self.hosts
            .iter()
            .try_for_each(|host| host.nft("flush chain inet faults arriving"))
    }

    fn others(&self, these: &[usize]) -> Vec<usize> {
        (0..self.hosts.len())
            .filter(|index| !these.contains(index))
            .collect()
    }

    fn cut_between(&self, one: &[usize], other: &[usize], direction: Direction) -> Result<()> {
        for &from in one {
            for &to in other {
                self.host(to).refuse(self.host(from).address)?;
                if direction == Direction::Both {
                    self.host(from).refuse(self.host(to).address)?;
                }
            }
        }
        Ok(())
    }
}

impl Host {
    /// For `ServerOptions::namespace` and `AgentOptions::namespace`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its address, reachable from the other hosts of the network alone.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        IpAddr::V4(self.address)
    }

    /// Runs a program inside it, to its end, and gives what it wrote to stdout.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        run(Command::new("ip")
            .args(["netns", "exec", &self.namespace, program])
            .args(arguments))
    }

    /// Drops what arrives from `source` from now on.
    fn refuse(&self, source: Ipv4Addr) -> Result<()> {
        self.nft(&format!(
            "add rule inet faults arriving ip saddr {source} drop"
        ))
    }

    fn nft(&self, rules: &str) -> Result<()> {
        run(Command::new("ip")
            .args(["netns", "exec", &self.namespace])
            .arg(&self.network.nft)
            .arg(rules))
        .map(drop)
    }
}

/// Makes a namespace, and what removes it.
fn namespace(name: &str) -> Result<Cleanup> {
    run(Command::new("ip").args(["netns", "add", name])).map_err(|error| match error {
        Error::Command { output, .. } => Error::Missing(format!(
            "this machine does not let us make network namespaces ({output}); rely on the tests on loopback"
        )),
        other => other,
    })?;
    let gone = name.to_owned();
    Ok(Cleanup::new(move || {
        let _ = run(Command::new("ip").args(["netns", "del", &gone]));
    }))
}

/// `ip` inside a namespace.
fn inside(name: &str, arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(["-n", name]).args(arguments)).map(drop)
}

/// Removes, once per process, the namespaces of processes that no longer run.
fn sweep_once() {
    static SWEPT: std::sync::Once = std::sync::Once::new();
    SWEPT.call_once(|| {
        let Ok(entries) = std::fs::read_dir("/run/netns") else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let owner = name
                .strip_prefix(PREFIX)
                .and_then(|rest| rest.split('.').next());
            if owner.is_some_and(|owner| !run_dir::is_alive(owner)) {
                let _ = run(Command::new("ip").args(["netns", "del", name]));
            }
        }
    });
}
