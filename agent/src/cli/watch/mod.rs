//! `muster watch`: the cluster, live, in the terminal.
//!
//! One task asks the agent, one thread reads keys, and the loop here draws whenever either has something new. Whatever
//! ends it (q, Ctrl-C, a signal, a panic, a terminal that is gone) the terminal is given back as it was.

mod columns;
mod draw;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::crossterm::event::{
    self, Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::control::types::{AgentsReply, EventsQuery, EventsReply, MembersReply, StatusReply};
use crate::control::{Client, ClientError};

use super::{CliError, Context};

/// How many of the newest events are asked for; a taller terminal shows no more.
const EVENTS_SHOWN_MAX: usize = 100;
/// How often the ages on the screen move on by themselves.
const REDRAW: Duration = Duration::from_millis(500);
/// How long the key thread sleeps at most before it looks whether it is still needed.
const KEYS: Duration = Duration::from_millis(100);

/// See [`super::Command::Watch`].
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// Milliseconds between two looks
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    interval_ms: u64,
}

/// What one look brought.
#[derive(Debug, Clone, Default)]
struct Seen {
    status: StatusReply,
    members: MembersReply,
    agents: AgentsReply,
    events: EventsReply,
}

/// What is on the screen: the last look that succeeded, and what went wrong since.
#[derive(Debug, Clone, Default)]
struct Model {
    seen: Option<(Seen, Instant)>,
    trouble: Option<String>,
}

impl Watch {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), CliError> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(CliError::Failed(
                "watch draws on a terminal, and there is none here: use `muster status`, or `muster events --follow` for \
                 a stream"
                    .into(),
            ));
        }
        // Where there is no agent, one sentence is better than an empty screen.
        let first = look(&context.client).await?;
        let (show, shown) = watch::channel(Model {
            seen: Some((first, Instant::now())),
            trouble: None,
        });
        let interval = Duration::from_millis(self.interval_ms);
        let looking = tokio::spawn(keep_looking(context.client.clone(), interval, show));
        let ended = screen(shown, context.style.colour).await;
        looking.abort();
        ended.map_err(|e| {
            CliError::Failed(format!(
                "the terminal cannot be used: {e}; use `muster status` instead"
            ))
        })
    }
}

async fn look(client: &Client) -> Result<Seen, ClientError> {
    let newest = EventsQuery {
        limit: EVENTS_SHOWN_MAX,
        ..EventsQuery::default()
    };
    Ok(Seen {
        status: client.status().await?,
        members: client.members().await?,
        agents: client.agents().await?,
        events: client.events(newest).await?,
    })
}

async fn keep_looking(client: Client, interval: Duration, show: watch::Sender<Model>) {
    loop {
        tokio::time::sleep(interval).await;
        let seen = look(&client).await;
        show.send_modify(|model| match seen {
            Ok(seen) => {
                model.seen = Some((seen, Instant::now()));
                model.trouble = None;
            }
            Err(e) => model.trouble = Some(e.to_string()),
        });
    }
}

/// Takes the terminal, draws until somebody has seen enough, and gives it back.
async fn screen(shown: watch::Receiver<Model>, colour: bool) -> io::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let ended = draw_until_quit(&mut terminal, shown, colour).await;
    let restored = ratatui::try_restore();
    ended.and(restored)
}

async fn draw_until_quit(
    terminal: &mut ratatui::DefaultTerminal,
    mut shown: watch::Receiver<Model>,
    colour: bool,
) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut redraw = tokio::time::interval(REDRAW);
    let mut keys = Keys::read()?;
    loop {
        let model = shown.borrow_and_update().clone();
        terminal.draw(|frame| draw::draw(frame, &model, Instant::now(), colour))?;
        tokio::select! {
            changed = shown.changed() => changed.map_err(|_| io::Error::other("the view of the agent has ended"))?,
            _ = redraw.tick() => if terminal_gone() {
                return Err(io::Error::other("the terminal is gone"));
            },
            input = keys.next() => if quits(&input?) {
                return Ok(());
            },
            _ = terminate.recv() => return Ok(()),
            _ = hang_up.recv() => return Ok(()),
        }
    }
}

/// Whether nobody is at the other end of the terminal any more. A program of its own session gets no SIGHUP then.
fn terminal_gone() -> bool {
    let stdin = io::stdin();
    let mut ends = [PollFd::new(&stdin, PollFlags::empty())];
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    poll(&mut ends, Some(&Timespec::default())).is_ok() && ends[0].revents().intersects(gone)
}

/// Whether this input ends the view. In raw mode Ctrl-C is a key like any other.
fn quits(input: &Input) -> bool {
    let Input::Key(KeyEvent {
        code,
        modifiers,
        kind: KeyEventKind::Press,
        ..
    }) = input
    else {
        return false;
    };
    match code {
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => true,
        KeyCode::Char('c' | 'd') => modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}

/// The thread that waits for keys and resizes: the terminal library's read blocks.
struct Keys {
    inputs: mpsc::Receiver<io::Result<Input>>,
    enough: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Keys {
    fn read() -> io::Result<Self> {
        let (send, inputs) = mpsc::channel(16);
        let enough = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&enough);
        let thread = std::thread::Builder::new()
            .name("muster-keys".into())
            .spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let input = match event::poll(KEYS) {
                        Ok(false) => continue,
                        Ok(true) => event::read(),
                        Err(e) => Err(e),
                    };
                    let failed = input.is_err();
                    if send.blocking_send(input).is_err() || failed {
                        return;
                    }
                }
            })?;
        Ok(Self {
            inputs,
            enough,
            thread: Some(thread),
        })
    }

    async fn next(&mut self) -> io::Result<Input> {
        let gone = || Err(io::Error::other("the keyboard is gone"));
        self.inputs.recv().await.unwrap_or_else(gone)
    }
}

impl Drop for Keys {
    /// The thread is gone before the terminal is given back, so it eats no key of the shell. From a terminal that is
    /// gone the library reads its end for ever; such a thread is left behind, and ends with the program.
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        self.inputs.close();
        let begun = Instant::now();
        while let Some(thread) = self.thread.take_if(|_| begun.elapsed() < 5 * KEYS) {
            if thread.is_finished() {
                thread.join().ok();
            } else {
                self.thread = Some(thread);
                std::thread::sleep(KEYS / 20);
            }
        }
    }
}
