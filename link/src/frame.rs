//! Frames: how one message follows another in the byte stream of the socket.
//!
//! A frame is a length (four bytes, big-endian) and that many bytes of JSON. Nothing here reads or writes by itself:
//! the plugin feeds a [`Decoder`] from a `poll` loop on a plain thread, the agent from tokio, and both find the same
//! messages however the bytes were cut on their way.
//!
//! The other end may be anything: another program that took the socket's path, a build from next year, a process that
//! was stopped in the middle of a write. So the decoder believes no length before the bytes have come, takes nothing
//! longer than its limit, and stays broken once the stream has lost its frame: such a connection can only be closed.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::message::{ToAgent, ToPlugin};

/// Bytes of a frame before its body.
pub const HEADER_BYTES: usize = 4;

/// A buffer that once held a long frame is given back down to this many bytes.
const KEEP_BYTES: usize = 256 * 1024;

/// Why a stream of frames cannot go on. Each is a sentence; after any of them the connection must be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The announced body is longer than the limit. Random bytes end here most often: four of them are a huge length.
    #[error(
        "the peer announced a frame of {announced} bytes where at most {limit} are allowed; it does not speak Muster's protocol or is broken"
    )]
    TooLong {
        /// Bytes announced.
        announced: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A frame without a body means nothing.
    #[error("the peer sent an empty frame; it does not speak Muster's protocol or is broken")]
    Empty,
    /// The body is not a message.
    #[error("the peer sent a frame of {bytes} bytes that is no message: {reason}")]
    Garbage {
        /// Length of the body.
        bytes: usize,
        /// What the JSON reader said; never the bytes themselves.
        reason: String,
    },
    /// The stream ended inside a frame.
    #[error(
        "the peer closed the connection in the middle of a frame, after {have} of {need} bytes"
    )]
    Truncated {
        /// Bytes that came, the header included.
        have: usize,
        /// Bytes of the whole frame as far as known, the header included.
        need: usize,
    },
    /// Our own message does not fit, or cannot be written as JSON.
    #[error("a message could not be sent: {reason}")]
    Unsendable {
        /// Why.
        reason: String,
    },
}

/// A message that frames carry.
pub trait Message: Serialize + DeserializeOwned {
    /// It is of a kind that this build does not know.
    fn is_unknown(&self) -> bool;
}

impl Message for ToAgent {
    fn is_unknown(&self) -> bool {
        matches!(self, ToAgent::Unknown)
    }
}

impl Message for ToPlugin {
    fn is_unknown(&self) -> bool {
        matches!(self, ToPlugin::Unknown)
    }
}

/// Appends `message` to `out` as one frame whose body has at most `body_bytes_max` bytes. On an error `out` is as it
/// was before.
pub fn encode<M: Message>(
    message: &M,
    body_bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    let written = serde_json::to_writer(&mut *out, message);
    let body_bytes = out.len() - start - HEADER_BYTES;
    let refused = match (written, u32::try_from(body_bytes)) {
        (Err(error), _) => Some(error.to_string()),
        (Ok(()), Ok(length)) if body_bytes <= body_bytes_max => {
            out[start..start + HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
            None
        }
        (Ok(()), _) => Some(format!(
            "it has {body_bytes} bytes where at most {body_bytes_max} are allowed"
        )),
    };
    match refused {
        None => Ok(()),
        Some(reason) => {
            out.truncate(start);
            Err(FrameError::Unsendable { reason })
        }
    }
}

/// Finds messages in bytes that come in pieces of any size.
///
/// [`push`](Self::push) what was read, then call [`next`](Self::next) until it gives none. Memory is bounded by what
/// was pushed and not yet taken: at most one frame and one piece when used that way.
#[derive(Debug)]
pub struct Decoder<M> {
    buffer: Vec<u8>,
    /// Bytes at the start of `buffer` that belong to messages already given.
    taken: usize,
    body_bytes_max: usize,
    broken: Option<FrameError>,
    message: PhantomData<fn() -> M>,
}

impl<M: Message> Decoder<M> {
    /// A decoder at the start of a stream, for bodies of at most `body_bytes_max` bytes.
    pub fn new(body_bytes_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            taken: 0,
            body_bytes_max,
            broken: None,
            message: PhantomData,
        }
    }

    /// Changes the limit for all frames not yet taken: an agent allows little before the plugin's Hello, much after it.
    pub fn set_body_bytes_max(&mut self, body_bytes_max: usize) {
        self.body_bytes_max = body_bytes_max;
    }

    /// Adds bytes as they came. Ignored once the stream is broken.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_some() {
            return;
        }
        if self.taken > 0 && self.taken >= self.buffer.len() / 2 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, none when more bytes are needed. Messages of an unknown kind are skipped. An error is
    /// for good: every later call gives it again.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<M>, FrameError> {
        loop {
            if let Some(error) = &self.broken {
                return Err(error.clone());
            }
            match self.take() {
                Ok(Some(message)) if message.is_unknown() => continue,
                Ok(found) => return Ok(found),
                Err(error) => {
                    self.buffer = Vec::new();
                    self.taken = 0;
                    self.broken = Some(error);
                }
            }
        }
    }

    /// Call at the end of the stream: an error if it ended inside a frame or was broken before.
    pub fn finish(&self) -> Result<(), FrameError> {
        match (&self.broken, self.rest().len()) {
            (Some(error), _) => Err(error.clone()),
            (None, 0) => Ok(()),
            (None, have) => {
                let need = HEADER_BYTES + self.announced().unwrap_or(0);
                Err(FrameError::Truncated { have, need })
            }
        }
    }

    /// Bytes held that belong to no message given so far.
    pub fn pending_bytes(&self) -> usize {
        self.rest().len()
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    fn announced(&self) -> Option<usize> {
        let header: [u8; HEADER_BYTES] = self.rest().get(..HEADER_BYTES)?.try_into().ok()?;
        usize::try_from(u32::from_be_bytes(header)).ok()
    }

    fn take(&mut self) -> Result<Option<M>, FrameError> {
        let Some(announced) = self.announced() else {
            return Ok(None);
        };
        if announced == 0 {
            return Err(FrameError::Empty);
        }
        if announced > self.body_bytes_max {
            return Err(FrameError::TooLong {
                announced,
                limit: self.body_bytes_max,
            });
        }
        let Some(body) = self.rest().get(HEADER_BYTES..HEADER_BYTES + announced) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(body).map_err(|error| FrameError::Garbage {
            bytes: announced,
            reason: error.to_string(),
        })?;
        self.taken += HEADER_BYTES + announced;
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.buffer.shrink_to(KEEP_BYTES);
            self.taken = 0;
        }
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{FRAME_BYTES_MAX, HELLO_BYTES_MAX};
    use crate::view::{MemberRow, View};
    use proptest::prelude::*;

    fn view(view_id: u64, summary: &str) -> ToPlugin {
        let member = MemberRow {
            member_id: summary.to_owned(),
            ..MemberRow::default()
        };
        ToPlugin::View {
            view: View {
                view_id,
                members: vec![member],
                ..View::default()
            },
        }
    }

    fn frames(messages: &[ToPlugin]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for message in messages {
            encode(message, FRAME_BYTES_MAX, &mut bytes).unwrap();
        }
        bytes
    }

    fn raw(body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    proptest! {
        /// However the bytes are cut, the same messages come out, and none is left over.
        #[test]
        fn any_cut_gives_the_same_messages(
            texts in prop::collection::vec("\\PC{0,40}", 1..8),
            cuts in prop::collection::vec(1usize..200, 1..50),
        ) {
            let sent: Vec<_> = texts.iter().enumerate().map(|(i, text)| view(i as u64, text)).collect();
            let bytes = frames(&sent);
            let mut decoder = Decoder::<ToPlugin>::new(FRAME_BYTES_MAX);
            let mut got = Vec::new();
            let mut rest = &bytes[..];
            for size in cuts.iter().cycle() {
                let (piece, later) = rest.split_at((*size).min(rest.len()));
                decoder.push(piece);
                while let Some(message) = decoder.next().unwrap() {
                    got.push(message);
                }
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(got, sent);
            prop_assert_eq!(decoder.finish(), Ok(()));
            prop_assert_eq!(decoder.pending_bytes(), 0);
        }

        /// Garbage ends in an error or in waiting for more, never in a panic or in memory beyond what was sent.
        #[test]
        fn garbage_never_panics(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
            let mut decoder = Decoder::<ToAgent>::new(HELLO_BYTES_MAX);
            let mut pushed = 0;
            for piece in &pieces {
                decoder.push(piece);
                pushed += piece.len();
                while let Ok(Some(_)) = decoder.next() {}
                prop_assert!(decoder.buffer.capacity() <= 2 * pushed.max(HEADER_BYTES) + 64);
            }
        }

        /// A broken byte inside a good stream is found or gives a message; messages before it are not lost.
        #[test]
        fn a_flipped_byte_loses_nothing_before_it(at in 0usize..400, flip in 1u8..=255) {
            let sent: Vec<_> = (0..4).map(|i| view(i, "x")).collect();
            let mut bytes = frames(&sent);
            let at = at % bytes.len();
            bytes[at] ^= flip;
            let intact = at / (bytes.len() / 4);
            let mut decoder = Decoder::<ToPlugin>::new(FRAME_BYTES_MAX);
            decoder.push(&bytes);
            let mut got = Vec::new();
            while let Ok(Some(message)) = decoder.next() {
                got.push(message);
            }
            prop_assert!(got.len() >= intact, "{} of {}", got.len(), intact);
            prop_assert_eq!(&got[..intact], &sent[..intact]);
        }

        /// Every prefix of a stream that ends inside a frame says so at its end.
        #[test]
        fn half_a_frame_is_reported_at_the_end(keep in 1usize..1000) {
            let bytes = frames(&[view(1, "half")]);
            let keep = keep % (bytes.len() - 1) + 1;
            let mut decoder = Decoder::<ToPlugin>::new(FRAME_BYTES_MAX);
            decoder.push(&bytes[..keep]);
            prop_assert_eq!(decoder.next(), Ok(None));
            let truncated = matches!(decoder.finish(), Err(FrameError::Truncated { have, .. }) if have == keep);
            prop_assert!(truncated);
        }
    }

    #[test]
    fn a_huge_length_is_refused_before_any_body_and_allocates_nothing() {
        let mut decoder = Decoder::<ToAgent>::new(HELLO_BYTES_MAX);
        decoder.push(&u32::MAX.to_be_bytes());
        let expected = FrameError::TooLong {
            announced: u32::MAX as usize,
            limit: HELLO_BYTES_MAX,
        };
        assert_eq!(decoder.next(), Err(expected.clone()));
        decoder.push(&vec![b'x'; 1 << 20]);
        assert_eq!(decoder.pending_bytes(), 0, "a broken stream keeps nothing");
        assert_eq!(decoder.next(), Err(expected));
    }

    #[test]
    fn a_long_allowed_length_allocates_only_what_came() {
        let mut decoder = Decoder::<ToPlugin>::new(FRAME_BYTES_MAX);
        decoder.push(&(FRAME_BYTES_MAX as u32).to_be_bytes());
        decoder.push(&[b' '; 100]);
        assert_eq!(decoder.next(), Ok(None));
        assert!(decoder.buffer.capacity() < 1024);
    }

    #[test]
    fn an_empty_frame_is_an_error() {
        let mut decoder = Decoder::<ToPlugin>::new(FRAME_BYTES_MAX);
        decoder.push(&[0; 4]);
        assert_eq!(decoder.next(), Err(FrameError::Empty));
    }

    #[test]
    fn an_unknown_kind_is_skipped_whatever_it_carries() {
        let mut bytes = raw(br#"{"kind":"lease","epoch":7,"deep":{"er":[1,2,{"x":null}]}}"#);
        bytes.extend(frames(&[view(3, "after")]));
        let mut decoder = Decoder::<ToPlugin>::new(FRAME_BYTES_MAX);
        decoder.push(&bytes);
        assert_eq!(decoder.next(), Ok(Some(view(3, "after"))));
        assert_eq!(decoder.next(), Ok(None));
    }

    #[test]
    fn a_known_kind_may_gain_fields() {
        let mut decoder = Decoder::<ToPlugin>::new(FRAME_BYTES_MAX);
        decoder.push(&raw(
            br#"{"kind":"refused","reason":"no","since":"tomorrow","more":[1]}"#,
        ));
        assert_eq!(
            decoder.next(),
            Ok(Some(ToPlugin::Refused {
                reason: "no".into()
            }))
        );
    }

    #[test]
    fn json_that_is_no_message_is_garbage() {
        for body in [
            &b"{}"[..],
            b"[1]",
            b"null",
            b"{\"kind\":\"view\"}",
            b"\xff\xfe",
            b"{\"kind\":\"refused\",\"reason\":\"\xff\"}",
        ] {
            let mut decoder = Decoder::<ToPlugin>::new(FRAME_BYTES_MAX);
            decoder.push(&raw(body));
            assert!(
                matches!(decoder.next(), Err(FrameError::Garbage { .. })),
                "{body:?}"
            );
        }
    }

    #[test]
    fn deep_nesting_is_garbage_not_a_stack_overflow() {
        let mut body = br#"{"kind":"lease","x":"#.to_vec();
        body.extend(std::iter::repeat_n(b'[', 200_000));
        let mut decoder = Decoder::<ToPlugin>::new(FRAME_BYTES_MAX);
        decoder.push(&raw(&body));
        assert!(matches!(decoder.next(), Err(FrameError::Garbage { .. })));
    }

    #[test]
    fn a_message_beyond_the_limit_is_not_sent_and_leaves_no_trace() {
        let mut out = b"before".to_vec();
        let long = ToPlugin::Refused {
            reason: "x".repeat(100),
        };
        assert!(matches!(
            encode(&long, 50, &mut out),
            Err(FrameError::Unsendable { .. })
        ));
        assert_eq!(out, b"before");
    }

    #[test]
    fn a_long_frame_does_not_keep_its_memory() {
        let long = view(1, &"x".repeat(4 << 20));
        let mut decoder = Decoder::<ToPlugin>::new(FRAME_BYTES_MAX);
        decoder.push(&frames(std::slice::from_ref(&long)));
        assert_eq!(decoder.next(), Ok(Some(long)));
        assert!(decoder.buffer.capacity() <= KEEP_BYTES);
    }
}
