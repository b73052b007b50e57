//! Framing. JSON-RPC over a stream has none, so a message ends where its braces balance.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::Decoder;

/// Bytes that cannot be divided into messages.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a message is longer than {limit} bytes")]
    Oversized { limit: usize },
    #[error("byte {byte:#04x} where a message must start")]
    NotAnObject { byte: u8 },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Cuts a stream into JSON objects. It never looks at a byte twice, wherever the reads end.
#[derive(Debug)]
pub(super) struct Frames {
    limit: usize,
    /// How many bytes of the buffer have been looked at.
    scanned: usize,
    depth: usize,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Anywhere but in a string.
    Structure,
    /// In a string, where braces mean nothing.
    Text,
    /// Behind a backslash in a string.
    Escape,
}

impl Frames {
    /// A decoder that refuses messages of more than `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            scanned: 0,
            depth: 0,
            place: Place::Structure,
        }
    }

    /// Takes note of one byte; whether it ends a message.
    fn ends_with(&mut self, byte: u8) -> Result<bool, FrameError> {
        self.place = match (self.place, byte) {
            (Place::Text, b'\\') => Place::Escape,
            (Place::Text, b'"') => Place::Structure,
            (Place::Text | Place::Escape, _) | (Place::Structure, b'"') if self.depth > 0 => {
                Place::Text
            }
            (Place::Structure, b'{') => {
                self.depth += 1;
                Place::Structure
            }
            (Place::Structure, _) if self.depth == 0 => {
                return Err(FrameError::NotAnObject { byte });
            }
            (Place::Structure, b'}') => {
                self.depth -= 1;
                return Ok(self.depth == 0);
            }
            (Place::Structure | Place::Text | Place::Escape, _) => Place::Structure,
        };
        Ok(false)
    }

    fn skip_blanks(&self, input: &mut BytesMut) {
        if self.scanned == 0 {
            let blanks = input
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            drop(input.split_to(blanks));
        }
    }
}

impl Decoder for Frames {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        self.skip_blanks(input);
        let fresh = input.get(self.scanned..).unwrap_or_default();
        let mut end = None;
        for (position, &byte) in fresh.iter().enumerate() {
            if self.ends_with(byte)? {
                end = Some(self.scanned + position + 1);
                break;
            }
        }
        let length = end.unwrap_or(input.len());
        if length > self.limit {
            return Err(FrameError::Oversized { limit: self.limit });
        }
        self.scanned = if end.is_some() { 0 } else { length };
        Ok(end.map(|end| input.split_to(end).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1 << 16;

    /// What a decoder makes of a stream that arrives in these pieces.
    fn decode(limit: usize, pieces: &[&[u8]]) -> Result<Vec<String>, FrameError> {
        let mut frames = Frames::new(limit);
        let mut buffer = BytesMut::new();
        let mut messages = Vec::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while let Some(frame) = frames.decode(&mut buffer)? {
                messages.push(String::from_utf8_lossy(&frame).into_owned());
            }
        }
        Ok(messages)
    }

    fn message() -> impl Strategy<Value = String> {
        // text that tries to look like structure, in strings and in nested objects
        let text = r#"[a-z{}\[\]"\\ é]{0,12}"#;
        proptest::collection::vec(text, 0..4).prop_map(|texts| {
            let nested = serde_json::json!({ "a": texts, "b": { "c": {}, "d": [{}, texts] } });
            nested.to_string()
        })
    }

    proptest! {
        #[test]
        fn messages_come_out_whole_wherever_the_stream_is_cut(
            messages in proptest::collection::vec(message(), 1..5),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
        ) {
            let stream = messages.join("\n");
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> =
                cuts.windows(2).map(|ends| &stream.as_bytes()[ends[0]..ends[1]]).collect();
            prop_assert_eq!(decode(LIMIT, &pieces).unwrap(), messages);
        }

        #[test]
        fn any_bytes_are_a_message_or_an_error(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..8),
        ) {
            let pieces: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
            for message in decode(LIMIT, &pieces).unwrap_or_default() {
                let is_object = message.starts_with('{') && message.ends_with('}');
                prop_assert!(is_object, "{}", message);
            }
        }

        #[test]
        fn bytes_that_look_like_messages_are_messages_or_errors(stream in r#"[{}"\\:,\[\]a ]{0,64}"#) {
            if let Ok(messages) = decode(LIMIT, &[stream.as_bytes()]) {
                prop_assert!(messages.iter().all(|message| stream.contains(message)));
            }
        }
    }

    #[test]
    fn a_message_over_the_limit_is_refused_before_it_is_complete() {
        let long = format!("{{{}", " ".repeat(100));
        assert!(matches!(
            decode(64, &[long.as_bytes()]),
            Err(FrameError::Oversized { limit: 64 })
        ));
        let exact = format!("{{{}}}", " ".repeat(62));
        assert_eq!(decode(64, &[exact.as_bytes()]).unwrap(), [exact]);
    }

    #[test]
    fn anything_but_an_object_is_refused() {
        for stream in ["[]", "}", "1", "\"{}\"", "{}]"] {
            let refused = decode(LIMIT, &[stream.as_bytes()]);
            assert!(
                matches!(refused, Err(FrameError::NotAnObject { .. })),
                "{stream}"
            );
        }
    }
}
