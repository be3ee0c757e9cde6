//! A whole cluster: servers that replicate, each with the plugin and an agent, and arbitrators.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::agent::{Agent, AgentOptions};
use crate::artifacts;
use crate::error::{Error, Result};
use crate::install::Install;
use crate::netns::{Host, Network};
use crate::replication;
use crate::server::{Server, ServerOptions};

/// How long a whole cluster may take to show itself ONLINE.
const LIMIT_MS: u64 = 60_000;

/// The plugins in `muster.so`, in the order in which they are installed: tables first, the daemon last.
pub const PLUGINS: [&str; 5] = [
    "CLUSTER_MEMBERS",
    "CLUSTER_VIEW",
    "CLUSTER_AGENTS",
    "CLUSTER_EVENTS",
    "muster",
];

/// What a cluster is to be like.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    members: usize,
    arbitrators: usize,
    plugin: PathBuf,
    agent: PathBuf,
    detached: bool,
    server_options: Vec<String>,
}

impl ClusterOptions {
    /// `members` servers, each with an agent; plugin and agent as cargo built them.
    pub fn new(members: usize) -> Result<Self> {
        Ok(Self {
            members,
            arbitrators: 0,
            plugin: artifacts::plugin()?,
            agent: artifacts::agent()?,
            detached: false,
            server_options: Vec::new(),
        })
    }

    /// Adds agents without a server.
    #[must_use]
    pub fn arbitrators(mut self, arbitrators: usize) -> Self {
        self.arbitrators = arbitrators;
        self
    }

    /// Lets everything outlive us.
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// One more option for every server.
    #[must_use]
    pub fn server_option(mut self, option: &str) -> Self {
        self.server_options.push(option.to_owned());
        self
    }
}

/// One host's parts. An arbitrator has no server.
#[derive(Debug)]
pub struct Node {
    /// The agent.
    pub agent: Agent,
    /// The server beside it.
    pub server: Option<Server>,
}

impl Node {
    /// The server of a node that has one.
    pub fn server(&self) -> Result<&Server> {
        self.server.as_ref().ok_or_else(|| {
            Error::Missing(format!(
                "{} is an arbitrator and has no server",
                self.agent.name()
            ))
        })
    }

    /// The same, to start it again.
    pub fn server_mut(&mut self) -> Result<&mut Server> {
        let name = self.agent.name().to_owned();
        self.server
            .as_mut()
            .ok_or_else(|| Error::Missing(format!("{name} is an arbitrator and has no server")))
    }
}

/// A row of a table of ours, by column name.
pub type TableRow = BTreeMap<String, Option<String>>;

/// A running cluster. Node 0 is the first primary.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    options: ClusterOptions,
    install: Install,
}

impl Cluster {
    /// Starts servers named n1, n2, … with agents of the same names, on loopback; makes them replicate from n1; makes
    /// one cluster of them; and waits until every server shows every member ONLINE.
    pub async fn start(install: &Install, options: ClusterOptions) -> Result<Self> {
        let cluster = Self::start_servers(install, options, None).await?;
        cluster.assemble().await?;
        Ok(cluster)
    }

    /// The same, each node on a host of its own. The network must have a host for each.
    pub async fn start_on(
        install: &Install,
        options: ClusterOptions,
        network: &Network,
    ) -> Result<Self> {
        let cluster = Self::start_servers(install, options, Some(network)).await?;
        cluster.assemble().await?;
        Ok(cluster)
    }

    /// Starts everything, and makes no cluster yet: the servers replicate, and the agents belong to nothing.
    pub async fn start_servers(
        install: &Install,
        options: ClusterOptions,
        network: Option<&Network>,
    ) -> Result<Self> {
        let mut starting = tokio::task::JoinSet::new();
        let count = options.members + options.arbitrators;
        for index in 0..count {
            let host = network.map(|network| network.host(index).clone());
            let (install, options) = (install.clone(), options.clone());
            starting.spawn(async move {
                (
                    index,
                    start_node(&install, &options, index, host.as_ref()).await,
                )
            });
        }
        let mut nodes: Vec<Option<Node>> = (0..count).map(|_| None).collect();
        while let Some(started) = starting.join_next().await {
            let (index, node) = started
                .map_err(|error| Error::Missing(format!("starting was stopped: {error}")))?;
            nodes[index] = Some(node?);
        }
        let nodes: Vec<Node> = nodes.into_iter().flatten().collect();
        let servers: Vec<&Server> = nodes
            .iter()
            .filter_map(|node| node.server.as_ref())
            .collect();
        if let Some((primary, replicas)) = servers.split_first() {
            replication::set_read_only(primary, false).await?;
            for replica in replicas {
                replication::follow(replica, primary).await?;
            }
        }
        Ok(Self {
            nodes,
            options,
            install: install.clone(),
        })
    }

    /// `muster init` on n1, `muster join` on the others, and the wait for every row to be ONLINE.
    pub async fn assemble(&self) -> Result<()> {
        let Some((first, others)) = self.nodes.split_first() else {
            return Ok(());
        };
        first.agent.init("lab").await?;
        for node in others {
            let token = first.agent.create_token().await?;
            node.agent
                .join(&token, first.agent.address(), node.server.is_none())
                .await?;
        }
        self.wait_until_all_online().await
    }

    /// Waits until every running server shows every member ONLINE, in one and the same view.
    pub async fn wait_until_all_online(&self) -> Result<()> {
        let members = self.options.members;
        self.wait_everywhere("every member to be ONLINE in one view", LIMIT_MS, |rows| {
            rows.len() == members
                && rows
                    .values()
                    .all(|row| column(row, "MEMBER_STATE") == Some("ONLINE"))
        })
        .await
        .map(drop)
    }

    /// Waits until CLUSTER_MEMBERS satisfies `good` on every running server, with one VIEW_ID among them all; returns
    /// how long that took.
    pub async fn wait_everywhere(
        &self,
        what: &str,
        limit_ms: u64,
        good: impl Fn(&BTreeMap<String, TableRow>) -> bool,
    ) -> Result<Duration> {
        let running: Vec<usize> = (0..self.nodes.len())
            .filter(|index| {
                self.nodes[*index]
                    .server
                    .as_ref()
                    .is_some_and(Server::is_running)
            })
            .collect();
        self.wait_on(&running, what, limit_ms, good).await
    }

    /// The same, asked only of these nodes.
    pub async fn wait_on(
        &self,
        nodes: &[usize],
        what: &str,
        limit_ms: u64,
        good: impl Fn(&BTreeMap<String, TableRow>) -> bool,
    ) -> Result<Duration> {
        let started = Instant::now();
        loop {
            let mut views = Vec::new();
            let mut seen = String::new();
            let mut all_good = true;
            for &index in nodes {
                let rows = self.members(index).await?;
                all_good &= good(&rows);
                views.extend(
                    rows.values()
                        .next()
                        .and_then(|row| column(row, "VIEW_ID"))
                        .map(str::to_owned),
                );
                let _ = write!(
                    seen,
                    "{} shows {}; ",
                    self.nodes[index].agent.name(),
                    brief(&rows)
                );
            }
            views.dedup();
            if all_good && views.len() <= 1 {
                return Ok(started.elapsed());
            }
            if started.elapsed() >= Duration::from_millis(limit_ms) {
                return Err(Error::Timeout {
                    what: what.to_owned(),
                    seen,
                    waited_ms: limit_ms,
                });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// CLUSTER_MEMBERS as this node's server shows it, by member name.
    pub async fn members(&self, index: usize) -> Result<BTreeMap<String, TableRow>> {
        let rows = self.nodes[index]
            .server()?
            .named_rows("SELECT * FROM INFORMATION_SCHEMA.CLUSTER_MEMBERS")
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                (
                    column(&row, "MEMBER_NAME").unwrap_or_default().to_owned(),
                    row,
                )
            })
            .collect())
    }

    /// The one row of CLUSTER_VIEW as this node's server shows it.
    pub async fn view(&self, index: usize) -> Result<TableRow> {
        let rows = self.nodes[index]
            .server()?
            .named_rows("SELECT * FROM INFORMATION_SCHEMA.CLUSTER_VIEW")
            .await?;
        rows.into_iter().next().ok_or_else(|| Error::Server {
            server: self.nodes[index].agent.name().to_owned(),
            what: "CLUSTER_VIEW is empty".into(),
        })
    }

    /// The nodes: servers first, arbitrators last.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node.
    ///
    /// # Panics
    /// Where there is no such node.
    #[must_use]
    pub fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    /// One node, to start something of it again.
    ///
    /// # Panics
    /// Where there is no such node.
    #[must_use]
    pub fn node_mut(&mut self, index: usize) -> &mut Node {
        &mut self.nodes[index]
    }

    /// The installation of its servers.
    #[must_use]
    pub fn install(&self) -> &Install {
        &self.install
    }

    /// Starts one more server with its agent, makes it replicate from n1 and join; returns its index.
    pub async fn add_node(&mut self, host: Option<&Host>) -> Result<usize> {
        let index = self.nodes.len();
        // With arbitrators at the end the new node is still a server's.
        let mut options = self.options.clone();
        options.members = index + 1;
        let node = start_node(&self.install, &options, index, host).await?;
        replication::follow(node.server()?, self.nodes[0].server()?).await?;
        let token = self.nodes[0].agent.create_token().await?;
        node.agent
            .join(&token, self.nodes[0].agent.address(), false)
            .await?;
        self.nodes.push(node);
        self.options.members += 1;
        Ok(index)
    }

    /// Leaves everything running from now on.
    pub fn keep(&mut self) {
        for node in &mut self.nodes {
            node.agent.keep();
            if let Some(server) = &mut node.server {
                server.keep();
            }
        }
    }
}

async fn start_node(
    install: &Install,
    options: &ClusterOptions,
    index: usize,
    host: Option<&Host>,
) -> Result<Node> {
    let name = format!("n{}", index + 1);
    let address = host.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), Host::address);
    let mut for_agent = AgentOptions::new(&name, &options.agent).host(address);
    let mut for_server = ServerOptions::new(&name)
        .host(address)
        .plugin(&options.plugin)
        .load_at_boot();
    if let Some(host) = host {
        for_agent = for_agent.namespace(host.namespace());
        for_server = for_server.namespace(host.namespace());
    }
    if options.detached {
        for_agent = for_agent.detached();
        for_server = for_server.detached();
    }
    let mut agent = Agent::prepare(for_agent)?;
    agent.start_again().await?;
    if index >= options.members {
        return Ok(Node {
            agent,
            server: None,
        });
    }
    for_server = for_server.agent_socket(&agent.plugin_socket());
    for option in &options.server_options {
        for_server = for_server.option(option);
    }
    let server = Server::start(install, for_server).await?;
    Ok(Node {
        agent,
        server: Some(server),
    })
}

/// Installs the tables and the daemon on a running server, as an administrator would.
pub async fn install_plugins(server: &Server) -> Result<()> {
    for name in PLUGINS {
        server
            .execute(&format!("INSTALL PLUGIN {name} SONAME 'muster.so'"))
            .await?;
    }
    Ok(())
}

/// Removes them, in the opposite order.
pub async fn uninstall_plugins(server: &Server) -> Result<()> {
    for name in PLUGINS.iter().rev() {
        server.execute(&format!("UNINSTALL PLUGIN {name}")).await?;
    }
    Ok(())
}

/// One column of a row; `None` for NULL, and where there is no such column.
#[must_use]
pub fn column<'a>(row: &'a TableRow, name: &str) -> Option<&'a str> {
    row.get(name).and_then(Option::as_deref)
}

/// "n1 ONLINE PRIMARY, n2 OFFLINE REPLICA (view 12)".
#[must_use]
pub fn brief(rows: &BTreeMap<String, TableRow>) -> String {
    let get = |row, name| column(row, name).unwrap_or("?");
    let members: Vec<String> = rows
        .iter()
        .map(|(name, row)| {
            format!(
                "{name} {} {}",
                get(row, "MEMBER_STATE"),
                get(row, "MEMBER_ROLE")
            )
        })
        .collect();
    match rows.values().next() {
        Some(row) => format!("{} (view {})", members.join(", "), get(row, "VIEW_ID")),
        None => "no rows".to_owned(),
    }
}
