//! An agent that exists only in tests: it speaks the link's protocol, and keeps everything that the plugin says.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use muster_link::frame::{Decoder, encode};
use muster_link::limits::{FRAME_BYTES_MAX, PROTOCOL_MAX};
use muster_link::message::{ToAgent, ToPlugin};
use muster_link::report::{Facts, Identity, Phase, Report};
use muster_link::view::{MemberRow, Observed, View};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Nothing here takes longer, however slow the machine is.
pub const LONG: Duration = Duration::from_secs(30);

/// The listening socket.
pub struct FakeAgent {
    listener: UnixListener,
    path: PathBuf,
}

impl FakeAgent {
    pub fn listen(path: &Path) -> Self {
        let _ = std::fs::remove_file(path);
        Self {
            listener: UnixListener::bind(path).unwrap(),
            path: path.to_owned(),
        }
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next connection, before its Hello.
    pub async fn accept(&self) -> Link {
        let (stream, _) = tokio::time::timeout(LONG, self.listener.accept())
            .await
            .expect("a plugin connects")
            .unwrap();
        Link {
            stream,
            decoder: Decoder::new(FRAME_BYTES_MAX),
        }
    }

    /// The next connection that says Hello, welcomed. Connections that were given up before they were accepted are
    /// passed over.
    pub async fn welcome(&self) -> (Link, Hello) {
        loop {
            let mut link = self.accept().await;
            match link.next().await {
                Some(ToAgent::Hello {
                    build,
                    plugin_path,
                    identity,
                    ..
                }) => {
                    if link.say_welcome(PROTOCOL_MAX).await {
                        return (
                            link,
                            Hello {
                                build,
                                plugin_path,
                                identity,
                            },
                        );
                    }
                }
                None => {}
                other => panic!("not a Hello: {other:?}"),
            }
        }
    }
}

impl Drop for FakeAgent {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What a plugin introduced itself with.
pub struct Hello {
    pub build: String,
    pub plugin_path: String,
    pub identity: Identity,
}

/// One connection.
pub struct Link {
    pub stream: UnixStream,
    decoder: Decoder<ToAgent>,
}

impl Link {
    /// False: the plugin has gone.
    pub async fn say(&mut self, message: &ToPlugin) -> bool {
        let mut bytes = Vec::new();
        encode(message, FRAME_BYTES_MAX, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.is_ok()
    }

    pub async fn say_welcome(&mut self, protocol: u16) -> bool {
        self.say(&ToPlugin::Welcome {
            protocol,
            agent_version: "0.1".into(),
            agent_name: "fake".into(),
        })
        .await
    }

    pub async fn show_view(&mut self, view_id: u64) {
        let members = vec![MemberRow {
            member_id: "m".into(),
            name: "db1".into(),
            ..MemberRow::default()
        }];
        let view = View {
            view_id,
            cluster_id: "c".into(),
            cluster_name: "test".into(),
            members,
            ..View::default()
        };
        self.say(&ToPlugin::View { view }).await;
        self.say(&ToPlugin::Observed {
            observed: Observed::default(),
        })
        .await;
    }

    /// The next message; none at the end of the stream.
    pub async fn next(&mut self) -> Option<ToAgent> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            if let Some(message) = self.decoder.next().expect("the plugin speaks the protocol") {
                return Some(message);
            }
            let read = tokio::time::timeout(LONG, self.stream.read(&mut buffer))
                .await
                .expect("the plugin says something");
            match read {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.decoder.push(&buffer[..count]),
            }
        }
    }

    /// The next message but reports and identities.
    pub async fn last_words(&mut self) -> Option<ToAgent> {
        loop {
            match self.next().await {
                Some(ToAgent::Report { .. } | ToAgent::Identity { .. }) => {
                    self.say(&ToPlugin::Observed {
                        observed: Observed::default(),
                    })
                    .await;
                }
                other => return other,
            }
        }
    }

    /// The first report of which `holds` is true.
    pub async fn report_where(
        &mut self,
        what: &str,
        mut holds: impl FnMut(&Report) -> bool,
    ) -> Report {
        let deadline = Instant::now() + LONG;
        let mut last = None;
        loop {
            assert!(
                Instant::now() < deadline,
                "no report {what}; the last was {last:?}"
            );
            match self.next().await {
                Some(ToAgent::Report { report }) if holds(&report) => return report,
                Some(ToAgent::Bye { reason, .. }) => {
                    panic!("the plugin left ({reason}) before a report {what}")
                }
                None => panic!("the plugin left before a report {what}"),
                Some(other) => {
                    last = Some(other);
                    // An agent that stays silent is left.
                    self.say(&ToPlugin::Observed {
                        observed: Observed::default(),
                    })
                    .await;
                }
            }
        }
    }

    /// The facts of the first report in which they are as `holds` says.
    pub async fn facts_where(
        &mut self,
        what: &str,
        mut holds: impl FnMut(&Facts) -> bool,
    ) -> Facts {
        let report = self
            .report_where(what, |report| report.facts.as_ref().is_some_and(&mut holds))
            .await;
        report.facts.unwrap()
    }

    /// The first report of a serving server with facts and without trouble.
    pub async fn good_report(&mut self) -> Report {
        self.report_where("with facts and without trouble", |report| {
            report.phase == Phase::Serving && report.facts.is_some() && report.trouble.is_none()
        })
        .await
    }
}
