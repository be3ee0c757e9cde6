//! `cargo xtask demo`: a cluster on this machine, what happens to it, and how long every server took to show it.

use std::time::{Duration, Instant};

use anyhow::Result;
use muster_lab::cluster::{Cluster, ClusterOptions};
use muster_lab::install::Which;
use muster_lab::kept::Kept;
use muster_lab::packages::Freshness;
use muster_lab::progress::say;
use muster_lab::{Cache, Install, Kind};

use crate::{cargo, table};

/// The columns that fit on a screen.
const COLUMNS: [&str; 9] = [
    "VIEW_ID",
    "MEMBER_NAME",
    "MEMBER_HOST",
    "MEMBER_PORT",
    "MEMBER_STATE",
    "MEMBER_ROLE",
    "WRITABLE",
    "REPLICATION_LAG_MS",
    "HEARTBEAT_AGE_MS",
];
/// No change may take longer than this to be shown; the demo then stops and says what it saw.
const LIMIT: Duration = Duration::from_secs(30);

/// What a person asked for.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Which server: mysql, mariadb, or the path of a mysqld or mariadbd on this machine
    #[arg(long, default_value = "mysql", value_parser = str::parse::<Which>)]
    server: Which,
    /// How many servers, each with an agent
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    members: u8,
    /// Leave it running, and say how to connect and how to stop it
    #[arg(long)]
    keep: bool,
    /// Stop what an earlier --keep left running
    #[arg(long, conflicts_with_all = ["keep", "members", "server"])]
    stop: bool,
}

/// Runs it.
pub async fn run(options: Options) -> Result<()> {
    if options.stop {
        let ended = Kept::stop_all(&Cache::open()?)?;
        say(&format!(
            "stopped {ended} processes, and removed their data"
        ));
        return Ok(());
    }
    say("1/4 the plugin and the agent");
    cargo::build_parts(false).await?;
    say("2/4 the servers");
    let install = Install::resolve(options.server.clone(), Freshness::Any).await?;
    say(&format!(
        "3/4 starting {} x {} and as many agents",
        options.members,
        install.describe()
    ));
    let mut wanted = ClusterOptions::new(usize::from(options.members))?;
    if options.keep {
        wanted = wanted.detached();
    }
    let started = Instant::now();
    let mut cluster = Cluster::start(&install, wanted).await?;
    say(&format!(
        "  one cluster after {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    say("4/4 what every server shows");
    show_everywhere(&cluster).await?;
    if options.members > 1 {
        server_killed_and_started(&mut cluster).await?;
        agent_stopped_and_started(&mut cluster).await?;
    } else {
        print(
            "One member alone: there is no other server to show what happens to it. Try --members 3.\n",
        );
    }
    if options.keep {
        print(&how_to_connect(&cluster));
        Kept::note(&Cache::open()?, cluster)?;
    } else {
        print("Stopping everything.\n");
    }
    Ok(())
}

async fn server_killed_and_started(cluster: &mut Cluster) -> Result<()> {
    let victim = cluster.nodes().len() - 1;
    let name = cluster.node(victim).agent.name().to_owned();
    print(&format!("\n==> kill -9 of {name}'s server\n"));
    let watch = Watch::begin(cluster, victim, &name, "OFFLINE").await?;
    let at = cluster.node(victim).server()?.running()?.kill();
    watch.report(at).await?;
    // Its end is shown before the kernel has freed its memory; only then may it be started again.
    cluster.node(victim).server()?.wait_for_end(LIMIT).await?;
    say_why(cluster).await?;
    show(cluster, 0).await?;

    print(&format!("\n==> starting {name}'s server again\n"));
    let watch = Watch::begin(cluster, victim, &name, "ONLINE").await?;
    let at = Instant::now();
    cluster.node_mut(victim).server_mut()?.start_again().await?;
    print(&format!(
        "    it serves after {} ms\n",
        at.elapsed().as_millis()
    ));
    watch.report(at).await?;
    show(cluster, 0).await
}

async fn agent_stopped_and_started(cluster: &mut Cluster) -> Result<()> {
    let victim = cluster.nodes().len() - 1;
    let name = cluster.node(victim).agent.name().to_owned();
    print(&format!(
        "\n==> stopping {name}'s agent (its server goes on)\n"
    ));
    let watch = Watch::begin(cluster, victim, &name, "UNREACHABLE").await?;
    let at = Instant::now();
    cluster.node(victim).agent.stop().await?;
    watch.report(at).await?;
    say_why(cluster).await?;
    show(cluster, 0).await?;
    let view = cluster.view(victim).await?;
    let column = |name: &str| {
        view.get(name)
            .cloned()
            .flatten()
            .unwrap_or_else(|| "-".to_owned())
    };
    print(&format!(
        "    {name} itself still answers: AGENT_STATE {}, VIEW_AGE_MS {}\n",
        column("AGENT_STATE"),
        column("VIEW_AGE_MS")
    ));

    print(&format!("\n==> starting {name}'s agent again\n"));
    let watch = Watch::begin(cluster, victim, &name, "ONLINE").await?;
    let at = Instant::now();
    cluster.node_mut(victim).agent.start_again().await?;
    watch.report(at).await?;
    cluster.wait_until_all_online().await?;
    show_everywhere(cluster).await
}

/// The reason of the newest event, in the cluster's own words.
async fn say_why(cluster: &Cluster) -> Result<()> {
    let query =
        "SELECT REASON FROM INFORMATION_SCHEMA.CLUSTER_EVENTS ORDER BY EVENT_ID DESC LIMIT 1";
    if let Some(reason) = cluster.node(0).server()?.value(query).await? {
        print(&format!("    reason: {reason}\n"));
    }
    Ok(())
}

/// A watch of the lab over every other server, with the words to report it in.
struct Watch {
    member: String,
    state: String,
    watch: muster_lab::watch::Watch,
}

impl Watch {
    async fn begin(cluster: &Cluster, victim: usize, member: &str, state: &str) -> Result<Self> {
        let others: Vec<usize> = (0..cluster.nodes().len())
            .filter(|index| *index != victim && cluster.node(*index).server.is_some())
            .collect();
        Ok(Self {
            member: member.to_owned(),
            state: state.to_owned(),
            watch: muster_lab::watch::Watch::state(cluster, &others, member, state, LIMIT).await?,
        })
    }

    /// Waits for all, and prints how long after `at` each server showed it.
    async fn report(self, at: Instant) -> Result<()> {
        for (name, after) in self.watch.times(at).await? {
            print(&format!(
                "    {name} shows {} {} after {} ms\n",
                self.member,
                self.state,
                after.as_millis()
            ));
        }
        Ok(())
    }
}

async fn show_everywhere(cluster: &Cluster) -> Result<()> {
    for index in 0..cluster.nodes().len() {
        show(cluster, index).await?;
    }
    Ok(())
}

/// The table as one server shows it.
async fn show(cluster: &Cluster, index: usize) -> Result<()> {
    let server = cluster.node(index).server()?;
    let query = format!(
        "SELECT {} FROM INFORMATION_SCHEMA.CLUSTER_MEMBERS ORDER BY MEMBER_NAME",
        COLUMNS.join(", ")
    );
    let rows = server.rows(&query).await?;
    print(&format!(
        "\n{}> SELECT ... FROM INFORMATION_SCHEMA.CLUSTER_MEMBERS;\n{}",
        server.name(),
        table::render(&COLUMNS, &rows)
    ));
    Ok(())
}

fn how_to_connect(cluster: &Cluster) -> String {
    let mut text = "\nIt is left running. To look at it:\n\n".to_owned();
    let client = match cluster.install().kind() {
        Kind::MySql => "mysql",
        Kind::MariaDb => "mariadb",
    };
    let own = cluster.install().base().join("bin").join(client);
    let client = if own.is_file() {
        own.display().to_string()
    } else {
        client.to_owned()
    };
    for node in cluster.nodes() {
        if let Some(server) = &node.server {
            text.push_str(&format!(
                "    {client} --no-defaults -u root -S {} -e 'SELECT * FROM INFORMATION_SCHEMA.CLUSTER_MEMBERS' -E\n",
                server.socket().display()
            ));
        }
    }
    if let (Some(node), Ok(program)) = (cluster.nodes().first(), muster_lab::artifacts::agent()) {
        text.push_str(&format!(
            "    {} status --control-socket {}\n",
            program.display(),
            node.agent.control_socket().display()
        ));
    }
    text.push_str("\nTo stop it and remove its data:\n\n    cargo xtask demo --stop\n");
    text
}

#[allow(clippy::print_stdout, reason = "the demo is what it prints")]
fn print(text: &str) {
    print!("{text}");
}
