//! What waits to be pushed to the plugin: always the newest, never a queue that could grow.
//!
//! Publishing never waits and never fails. A connection takes from here as fast as its plugin reads; one that reads
//! nothing finds, when it wakes up, the newest view instead of all that it missed. Memory is bounded by one view, one
//! set of observed facts and [`EVENTS_MAX`] events, however many connections there are.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use muster_link::limits::EVENTS_MAX;
use muster_link::message::ToPlugin;
use muster_link::view::{EventRow, Observed, View};
use tokio::sync::watch;

/// The events that the plugin should have, and how often they were replaced as a whole.
#[derive(Debug, Default)]
struct EventLog {
    newest: VecDeque<EventRow>,
    /// Raised when ids may have started anew, so that a connection forgets what it has.
    generation: u64,
}

/// The publishing side.
#[derive(Debug)]
pub(super) struct Outbox {
    view: watch::Sender<Option<Arc<View>>>,
    observed: watch::Sender<Option<Arc<Observed>>>,
    events: Arc<Mutex<EventLog>>,
    events_changed: watch::Sender<()>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            view: watch::Sender::new(None),
            observed: watch::Sender::new(None),
            events: Arc::default(),
            events_changed: watch::Sender::new(()),
        }
    }

    /// Pushes `view` if it differs from the last one.
    pub(super) fn publish_view(&self, view: Arc<View>) {
        self.view.send_if_modified(|last| {
            let differs = last.as_ref() != Some(&view);
            if differs {
                *last = Some(view);
            }
            differs
        });
    }

    /// Pushes `observed`, also when it is equal: its arrival is the sign of life.
    pub(super) fn publish_observed(&self, observed: Arc<Observed>) {
        self.observed.send_replace(Some(observed));
    }

    /// Appends the events that are newer than the newest known one; `reset` forgets all earlier ones first.
    pub(super) fn publish_events(&self, reset: bool, events: Vec<EventRow>) {
        let mut log = lock(&self.events);
        if reset {
            log.newest.clear();
            log.generation += 1;
        }
        let known = log.newest.back().map(|event| event.event_id);
        let new: Vec<_> = events
            .into_iter()
            .filter(|event| known.is_none_or(|known| event.event_id > known))
            .collect();
        if new.is_empty() && !reset {
            return;
        }
        log.newest.extend(new);
        let surplus = log.newest.len().saturating_sub(EVENTS_MAX);
        log.newest.drain(..surplus);
        drop(log);
        self.events_changed.send_replace(());
    }

    /// What one connection takes: everything first, then changes.
    pub(super) fn subscribe(&self) -> Feed {
        let mut feed = Feed {
            view: self.view.subscribe(),
            observed: self.observed.subscribe(),
            events: Arc::clone(&self.events),
            events_changed: self.events_changed.subscribe(),
            sent: None,
        };
        if feed.view.borrow().is_some() {
            feed.view.mark_changed();
        }
        if feed.observed.borrow().is_some() {
            feed.observed.mark_changed();
        }
        feed.events_changed.mark_changed();
        feed
    }
}

/// One connection's place in the outbox.
#[derive(Debug)]
pub(super) struct Feed {
    view: watch::Receiver<Option<Arc<View>>>,
    observed: watch::Receiver<Option<Arc<Observed>>>,
    events: Arc<Mutex<EventLog>>,
    events_changed: watch::Receiver<()>,
    /// Generation and id of the newest event that was sent.
    sent: Option<(u64, u64)>,
}

impl Feed {
    /// The next message to send; none when the agent closes. Cancel safe: a message not returned is not lost.
    pub(super) async fn next(&mut self) -> Option<ToPlugin> {
        loop {
            tokio::select! {
                biased;
                // Who sees a new view finds the event that made it.
                changed = self.events_changed.changed() => {
                    changed.ok()?;
                    if let Some(message) = self.new_events() {
                        return Some(message);
                    }
                }
                changed = self.view.changed() => {
                    changed.ok()?;
                    let view = self.view.borrow_and_update().clone();
                    if let Some(view) = view {
                        return Some(ToPlugin::View { view: View::clone(&view) });
                    }
                }
                changed = self.observed.changed() => {
                    changed.ok()?;
                    let observed = self.observed.borrow_and_update().clone();
                    if let Some(observed) = observed {
                        return Some(ToPlugin::Observed { observed: Observed::clone(&observed) });
                    }
                }
            }
        }
    }

    fn new_events(&mut self) -> Option<ToPlugin> {
        let log = lock(&self.events);
        let newest = log.newest.back().map_or(0, |event| event.event_id);
        let after = match self.sent {
            Some((generation, id)) if generation == log.generation => Some(id),
            _ => None,
        };
        let events: Vec<_> = log
            .newest
            .iter()
            .filter(|event| after.is_none_or(|after| event.event_id > after))
            .cloned()
            .collect();
        self.sent = Some((log.generation, newest.max(after.unwrap_or(0))));
        let reset = after.is_none();
        (reset || !events.is_empty()).then_some(ToPlugin::Events { reset, events })
    }
}

fn lock(events: &Mutex<EventLog>) -> MutexGuard<'_, EventLog> {
    // Nothing under this lock can leave the log half changed.
    events.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(event_id: u64) -> EventRow {
        EventRow {
            event_id,
            ..EventRow::default()
        }
    }

    fn view(view_id: u64) -> Arc<View> {
        Arc::new(View {
            view_id,
            ..View::default()
        })
    }

    fn ids(message: Option<ToPlugin>) -> (bool, Vec<u64>) {
        match message {
            Some(ToPlugin::Events { reset, events }) => {
                (reset, events.iter().map(|event| event.event_id).collect())
            }
            other => panic!("no events: {other:?}"),
        }
    }

    async fn nothing(feed: &mut Feed) {
        tokio::select! {
            biased;
            message = feed.next() => panic!("unexpected {message:?}"),
            () = std::future::ready(()) => {}
        }
    }

    #[tokio::test]
    async fn a_new_connection_gets_everything_then_only_changes() {
        let outbox = Outbox::new();
        outbox.publish_view(view(7));
        outbox.publish_events(false, vec![event(1), event(2)]);
        outbox.publish_observed(Arc::default());
        let mut feed = outbox.subscribe();
        assert_eq!(ids(feed.next().await), (true, vec![1, 2]));
        assert!(matches!(feed.next().await, Some(ToPlugin::View { view }) if view.view_id == 7));
        assert!(matches!(feed.next().await, Some(ToPlugin::Observed { .. })));
        nothing(&mut feed).await;

        outbox.publish_view(view(7));
        nothing(&mut feed).await;
        outbox.publish_view(view(8));
        outbox.publish_view(view(9));
        assert!(matches!(feed.next().await, Some(ToPlugin::View { view }) if view.view_id == 9));
        nothing(&mut feed).await;

        outbox.publish_events(false, vec![event(2), event(3)]);
        assert_eq!(ids(feed.next().await), (false, vec![3]));
        outbox.publish_events(false, vec![event(3)]);
        nothing(&mut feed).await;
        outbox.publish_observed(Arc::default());
        assert!(matches!(feed.next().await, Some(ToPlugin::Observed { .. })));
    }

    #[tokio::test]
    async fn before_anything_is_published_only_old_events_are_forgotten() {
        let outbox = Outbox::new();
        let mut feed = outbox.subscribe();
        assert_eq!(ids(feed.next().await), (true, vec![]));
        nothing(&mut feed).await;
    }

    #[tokio::test]
    async fn a_reset_reaches_the_plugin_even_when_ids_start_anew() {
        let outbox = Outbox::new();
        outbox.publish_events(false, vec![event(50)]);
        let mut feed = outbox.subscribe();
        assert_eq!(ids(feed.next().await), (true, vec![50]));
        outbox.publish_events(true, vec![event(3)]);
        assert_eq!(ids(feed.next().await), (true, vec![3]));
    }

    #[tokio::test]
    async fn a_reader_that_sleeps_costs_no_more_than_the_newest() {
        let outbox = Outbox::new();
        let mut feed = outbox.subscribe();
        for id in 1..=5_000 {
            outbox.publish_view(view(id));
            outbox.publish_events(false, vec![event(id)]);
            outbox.publish_observed(Arc::default());
        }
        let (reset, events) = ids(feed.next().await);
        assert!(reset);
        assert_eq!(events.len(), EVENTS_MAX);
        assert_eq!(events.last(), Some(&5_000));
        assert!(
            matches!(feed.next().await, Some(ToPlugin::View { view }) if view.view_id == 5_000)
        );
    }
}
