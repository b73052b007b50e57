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
