//! Speaking to the server's error log without flooding it: a sentence is said once, not once per retry.

use crate::server::{Level, ServerApi};

/// The same sentence is said again after this long, if it is still true.
const REPEAT_MS: u64 = 10 * 60 * 1_000;
/// However sentences differ, a thread says at most [`BURST`] of them in this time, and as many notes.
const BURST_MS: u64 = 60 * 1_000;
/// See [`BURST_MS`].
const BURST: usize = 10;

/// One thread's voice.
pub struct Voice {
    server: &'static dyn ServerApi,
    last: Option<(String, u64)>,
    said_ms: [Vec<u64>; 2],
    swallowed: u64,
}

impl Voice {
    /// A voice that has said nothing.
    pub fn new(server: &'static dyn ServerApi) -> Self {
        Self {
            server,
            last: None,
            said_ms: [Vec::new(), Vec::new()],
            swallowed: 0,
        }
    }

    /// Says `text`, unless it is what was said last or too much was said lately.
    pub fn say(&mut self, now_ms: u64, level: Level, text: &str) {
        if let Some((last, said_ms)) = &self.last
            && last == text
            && now_ms.saturating_sub(*said_ms) < REPEAT_MS
        {
            return;
        }
        // Notes do not use up what warnings need.
        let said_ms = &mut self.said_ms[usize::from(level == Level::Note)];
        said_ms.retain(|said| now_ms.saturating_sub(*said) < BURST_MS);
        if said_ms.len() >= BURST {
            self.swallowed += 1;
            return;
        }
        said_ms.push(now_ms);
        self.last = Some((text.to_owned(), now_ms));
        match std::mem::take(&mut self.swallowed) {
            0 => self.server.log(level, text),
            more => self.server.log(
                level,
                &format!(
                    "{text} (and {more} other messages in the last minute that were not written)"
                ),
            ),
        }
    }

    /// What was said last is over: it will be said again when it comes back.
    pub fn over(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::fake::FakeServer;

    #[test]
    fn a_sentence_is_said_once_until_it_was_over_or_long_ago() {
        let server = FakeServer::serving();
        let mut voice = Voice::new(server);
        for now in 0..100 {
            voice.say(now, Level::Warning, "no agent");
        }
        assert_eq!(server.log_lines().len(), 1);
        voice.over();
        voice.say(200, Level::Warning, "no agent");
        assert_eq!(server.log_lines().len(), 2);
        voice.say(200 + REPEAT_MS, Level::Warning, "no agent");
        assert_eq!(server.log_lines().len(), 3);
    }

    #[test]
    fn many_different_sentences_do_not_flood_the_log() {
        let server = FakeServer::serving();
        let mut voice = Voice::new(server);
        for now in 0..1_000 {
            voice.say(now, Level::Warning, &format!("garbage {now}"));
        }
        assert_eq!(server.log_lines().len(), BURST);
        voice.say(1_000, Level::Note, "a note");
        assert_eq!(server.log_lines().len(), BURST + 1);
        voice.say(BURST_MS + 1_000, Level::Warning, "later");
        let lines = server.log_lines();
        assert!(
            lines[BURST + 1].starts_with("later"),
            "{}",
            lines[BURST + 1]
        );
    }
}
