//! The agent as a service of systemd: ready, one line of status, the watchdog, stopping.
//!
//! The watchdog is fed by [`Service::progress`], which the run loop calls each time it has got round; nothing feeds it
//! by timer. A loop that hangs is therefore noticed and the agent restarted, although its other threads live on.
//!
//! Nothing here ever waits for systemd: the messages go through a thread of their own and are dropped while it is
//! stuck. Without `NOTIFY_SOCKET` (a terminal, a test) everything is silently left out.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Longest status line, in characters; `systemctl status` shows one line.
const STATUS_CHARS_MAX: usize = 200;
/// Messages that may wait for systemd.
const WAITING_MAX: usize = 16;

#[derive(Debug)]
enum Message {
    Ready(String),
    Status(String),
    Watchdog,
    Stopping(String),
}

/// The way to the service manager.
#[derive(Debug)]
pub struct Service {
    messages: Option<SyncSender<Message>>,
    said: Mutex<Said>,
    feed_every: Option<Duration>,
}

#[derive(Debug, Default)]
struct Said {
    status: String,
    fed: Option<Instant>,
}

impl Service {
    /// From the environment that systemd gives.
    pub fn from_environment() -> std::io::Result<Self> {
        let messages = match std::env::var_os("NOTIFY_SOCKET") {
            None => None,
            Some(_) => {
                let (messages, waiting) = sync_channel(WAITING_MAX);
                std::thread::Builder::new()
                    .name("muster-notify".to_owned())
                    .spawn(move || waiting.into_iter().for_each(|message| tell(&message)))?;
                Some(messages)
            }
        };
        Ok(Self {
            messages,
            said: Mutex::default(),
            // Systemd asks for half; a quarter leaves room for a slow pass.
            feed_every: sd_notify::watchdog_enabled().map(|within| within / 4),
        })
    }

    /// Everything is up: units that wait for this one may start.
    pub fn ready(&self, status: &str) {
        let status = one_line(status);
        self.lock().status.clone_from(&status);
        self.send(Message::Ready(status));
    }

    /// What `systemctl status` shows. Sent only when it changed.
    pub fn status(&self, status: &str) {
        let status = one_line(status);
        let mut said = self.lock();
        if said.status != status {
            said.status.clone_from(&status);
            drop(said);
            self.send(Message::Status(status));
        }
    }

    /// The run loop has got round. Cheap; feeds the watchdog when it is time.
    pub fn progress(&self) {
        let Some(every) = self.feed_every else {
            return;
        };
        let now = Instant::now();
        let mut said = self.lock();
        if said.fed.is_none_or(|fed| now.duration_since(fed) >= every) {
            said.fed = Some(now);
            drop(said);
            self.send(Message::Watchdog);
        }
    }

    /// The agent has begun to stop.
    pub fn stopping(&self, why: &str) {
        self.send(Message::Stopping(one_line(why)));
    }

    /// How often [`progress`](Self::progress) has to be called at least; none = nobody watches.
    #[must_use]
    pub fn watched_every(&self) -> Option<Duration> {
        self.feed_every
    }

    fn send(&self, message: Message) {
        if let Some(messages) = &self.messages
            && messages.try_send(message).is_err()
        {
            tracing::debug!("the service manager takes no messages");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(message: &Message) {
    let told = match message {
        Message::Ready(status) => {
            sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(status)])
        }
        Message::Status(status) => sd_notify::notify(&[NotifyState::Status(status)]),
        Message::Watchdog => sd_notify::notify(&[NotifyState::Watchdog]),
        Message::Stopping(why) => {
            sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status(why)])
        }
    };
    if let Err(error) = told {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

/// A line end would begin another assignment of the protocol.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(STATUS_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_of_bounded_length() {
        assert_eq!(one_line("a\nREADY=1\r\u{7}"), "a READY=1  ");
        assert_eq!(one_line(&"é".repeat(999)).chars().count(), STATUS_CHARS_MAX);
    }

    #[test]
    fn without_systemd_nothing_happens() {
        let service = Service {
            messages: None,
            said: Mutex::default(),
            feed_every: None,
        };
        service.ready("up");
        service.status("well");
        service.progress();
        service.stopping("SIGTERM");
        assert_eq!(service.watched_every(), None);
    }

    #[test]
    fn a_service_manager_that_is_stuck_holds_nobody_up() {
        let (messages, _waiting) = sync_channel(1);
        let service = Service {
            messages: Some(messages),
            said: Mutex::default(),
            feed_every: Some(Duration::ZERO),
        };
        let since = Instant::now();
        for n in 0..1_000 {
            service.status(&n.to_string());
            service.progress();
        }
        assert!(since.elapsed() < Duration::from_secs(5));
    }
}
