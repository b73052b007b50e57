//! JSON-RPC 1.0 messages as OVSDB uses them (RFC 7047 section 4).

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::Error;

/// A message from the server. Its parts are slices of what was received, not yet read.
#[derive(Debug)]
pub(super) enum Message {
    /// The answer to the request of this id: a result, or the server's error.
    Reply {
        id: u64,
        result: Result<Bytes, Bytes>,
    },
    /// News that nobody asked for, such as `update3`.
    Notification(Notification),
    /// The server wants a sign of life.
    Echo { id: Bytes, params: Bytes },
    /// A request that clients need not know.
    Unknown { method: String },
}

/// News from the server.
#[derive(Debug)]
pub(super) struct Notification {
    pub(super) method: String,
    pub(super) params: Bytes,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl Message {
    /// Reads the outside of a message.
    pub(super) fn parse(frame: &Bytes) -> Result<Self, Error> {
        let envelope: Envelope<'_> =
            serde_json::from_slice(frame).map_err(Error::json("a message"))?;
        let part = |raw: Option<&RawValue>| match raw {
            Some(raw) => frame.slice_ref(raw.get().as_bytes()),
            None => Bytes::from_static(b"null"),
        };
        Ok(match (envelope.method, envelope.id) {
            (Some(method), Some(_)) if method == "echo" => Self::Echo {
                id: part(envelope.id),
                params: part(envelope.params),
            },
            (Some(method), Some(_)) => Self::Unknown {
                method: method.into_owned(),
            },
            (Some(method), None) => Self::Notification(Notification {
                method: method.into_owned(),
                params: part(envelope.params),
            }),
            (None, id) => Self::Reply {
                id: read(&part(id), "the id of a reply")?,
                result: match envelope.error {
                    Some(_) => Err(part(envelope.error)),
                    None => Ok(part(envelope.result)),
                },
            },
        })
    }
}

/// Reads a part of a message.
pub(super) fn read<'a, T: Deserialize<'a>>(
    part: &'a Bytes,
    what: &'static str,
) -> Result<T, Error> {
    serde_json::from_slice(part).map_err(Error::json(what))
}

/// A request of ours.
#[derive(Serialize)]
pub(super) struct Request<P> {
    pub(super) id: u64,
    pub(super) method: &'static str,
    pub(super) params: P,
}

impl<P: Serialize> Request<P> {
    pub(super) fn write(&self, out: &mut BytesMut) -> Result<(), Error> {
        serde_json::to_writer(out.writer(), self).map_err(Error::json("our own request"))
    }
}

/// Writes the answer to an `echo` of the server.
pub(super) fn write_echo_reply(out: &mut BytesMut, id: &Bytes, params: &Bytes) {
    out.put_slice(br#"{"id":"#);
    out.put_slice(id);
    out.put_slice(br#","result":"#);
    out.put_slice(params);
    out.put_slice(br#","error":null}"#);
}
