//! One connection to the agent, from Hello to its end.
//!
//! At most one report waits to be written: while the kernel takes no more, newer facts replace nothing and pile up
//! nowhere, and when it takes bytes again the newest report is made at that moment. So a peer that reads nothing costs
//! one frame of memory and no time.

use std::os::fd::{AsFd, BorrowedFd};

use muster_link::frame::{Decoder, encode};
use muster_link::limits::{
    AGENT_SILENCE_MS_MAX, FRAME_BYTES_MAX, HELLO_BYTES_MAX, PROTOCOL_MAX, PROTOCOL_MIN,
};
use muster_link::message::{ToAgent, ToPlugin};
use muster_link::report::{Identity, Report};
use muster_link::text::clip_text;

use crate::daemon::socket::Socket;

/// Why a connection ended, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The agent went away in order: it was stopped or restarted.
    Closed(String),
    /// The peer did something that an agent does not do, or does nothing at all.
    Misbehaved(String),
    /// The agent does not want this server.
    Refused(String),
}

impl End {
    /// The sentence.
    pub fn sentence(&self) -> &str {
        match self {
            End::Closed(text) | End::Misbehaved(text) | End::Refused(text) => text,
        }
    }
}

/// What to write about this plugin in a Hello.
#[derive(Debug, Clone, Default)]
pub struct Introduction {
    /// Build id of the loaded file.
    pub build: String,
    /// Path of the loaded file.
    pub plugin_path: String,
}

/// See the module.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    decoder: Decoder<ToPlugin>,
    out: Vec<u8>,
    out_from: usize,
    welcomed: bool,
    /// When something last went well in each direction (CLOCK_BOOTTIME, ms).
    heard_ms: u64,
    write_progress_ms: u64,
    sequence: u64,
    told: Identity,
}

impl Connection {
    /// Takes a connected socket and says Hello.
    pub fn open(
        socket: Socket,
        now_ms: u64,
        introduction: &Introduction,
        identity: &Identity,
    ) -> Result<Self, End> {
        let mut connection = Self {
            socket,
            decoder: Decoder::new(FRAME_BYTES_MAX),
            out: Vec::new(),
            out_from: 0,
            welcomed: false,
            heard_ms: now_ms,
            write_progress_ms: now_ms,
            sequence: 0,
            told: identity.clone(),
        };
        let hello = ToAgent::Hello {
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            build: clip_text(&introduction.build),
            plugin_path: introduction.plugin_path.clone(),
            identity: identity.clone(),
        };
        connection.queue(&hello, HELLO_BYTES_MAX)?;
        connection.flush(now_ms)?;
        Ok(connection)
    }

    /// The agent has welcomed us.
    pub fn welcomed(&self) -> bool {
        self.welcomed
    }

    /// Something waits for the kernel to take bytes again.
    pub fn wants_to_write(&self) -> bool {
        self.out_from < self.out.len()
    }

    /// Sends a report, unless something older still waits to be written; true if the kernel has taken all of it or
    /// will without another call of this.
    pub fn report(
        &mut self,
        now_ms: u64,
        identity: &Identity,
        mut report: Report,
    ) -> Result<bool, End> {
        if !self.welcomed || self.wants_to_write() {
            return Ok(false);
        }
        if self.told != *identity {
            self.queue(
                &ToAgent::Identity {
                    identity: identity.clone(),
                },
                FRAME_BYTES_MAX,
            )?;
            self.told = identity.clone();
        }
        self.sequence += 1;
        report.sequence = self.sequence;
        self.queue(&ToAgent::Report { report }, FRAME_BYTES_MAX)?;
        self.flush(now_ms)?;
        Ok(true)
    }

    /// The last message. Best effort: the connection ends whether or not it was taken.
    pub fn bye(&mut self, now_ms: u64, reason: &str, server_stops: bool) -> Result<(), End> {
        let bye = ToAgent::Bye {
            reason: clip_text(reason),
            server_stops,
        };
        self.queue(&bye, FRAME_BYTES_MAX)?;
        self.flush(now_ms)
    }

    /// Writes what waits, as far as the kernel takes it.
    pub fn flush(&mut self, now_ms: u64) -> Result<(), End> {
        let written = self
            .socket
            .write(&self.out[self.out_from..])
            .map_err(|error| End::Closed(format!("the agent closed the connection ({error})")))?;
        if written > 0 || !self.wants_to_write() {
            self.write_progress_ms = now_ms;
        }
        self.out_from += written;
        if !self.wants_to_write() {
            self.out.clear();
            self.out_from = 0;
        }
        Ok(())
    }

    /// Reads what has come and gives each message of a welcomed connection to `take`.
    pub fn read(&mut self, now_ms: u64, mut take: impl FnMut(ToPlugin)) -> Result<(), End> {
        let decoder = &mut self.decoder;
        let closed = self
            .socket
            .read(|bytes| decoder.push(bytes))
            .map_err(|error| End::Closed(format!("the agent closed the connection ({error})")))?;
        while let Some(message) = self
            .decoder
            .next()
            .map_err(|error| End::Misbehaved(error.to_string()))?
        {
            self.heard_ms = now_ms;
            match (&message, self.welcomed) {
                (ToPlugin::Welcome { protocol, .. }, false) => {
                    if !(PROTOCOL_MIN..=PROTOCOL_MAX).contains(protocol) {
                        return Err(End::Misbehaved(format!(
                            "the agent wants to speak protocol version {protocol}, this plugin speaks {PROTOCOL_MIN} to {PROTOCOL_MAX}; upgrade the older of the two"
                        )));
                    }
                    self.welcomed = true;
                    take(message);
                }
                (ToPlugin::Refused { reason }, _) => {
                    return Err(End::Refused(format!(
                        "the agent refused this server: {}",
                        clip_text(reason)
                    )));
                }
                (_, true) => take(message),
                (_, false) => {
                    return Err(End::Misbehaved(
                        "the peer sent something before it welcomed this server; it does not speak Muster's protocol or is broken".to_owned(),
                    ));
                }
            }
        }
        if closed {
            return Err(match self.decoder.finish() {
                Err(error) => End::Misbehaved(error.to_string()),
                Ok(()) if self.welcomed => {
                    End::Closed("the agent closed the connection".to_owned())
                }
                Ok(()) => {
                    End::Misbehaved("the peer closed the connection without a word".to_owned())
                }
            });
        }
        Ok(())
    }

    /// An error once the peer has said or taken nothing for too long.
    pub fn check_silence(&self, now_ms: u64) -> Result<(), End> {
        if now_ms.saturating_sub(self.heard_ms) > AGENT_SILENCE_MS_MAX {
            let what = if self.welcomed {
                "has said nothing"
            } else {
                "has not answered the greeting"
            };
            return Err(End::Misbehaved(format!(
                "the agent {what} for {AGENT_SILENCE_MS_MAX} ms; it hangs, or it is another program"
            )));
        }
        if self.wants_to_write()
            && now_ms.saturating_sub(self.write_progress_ms) > AGENT_SILENCE_MS_MAX
        {
            return Err(End::Misbehaved(format!(
                "the agent has read nothing for {AGENT_SILENCE_MS_MAX} ms; it hangs"
            )));
        }
        Ok(())
    }

    fn queue(&mut self, message: &ToAgent, body_bytes_max: usize) -> Result<(), End> {
        encode(message, body_bytes_max, &mut self.out)
            .map_err(|error| End::Misbehaved(error.to_string()))
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
