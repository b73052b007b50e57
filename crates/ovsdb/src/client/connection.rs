//! A connection: requests out, messages in, signs of life both ways.

use std::{collections::VecDeque, io};

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    time::{Duration, Instant},
};
use tokio_util::codec::Decoder;
use tracing::debug;

use super::{
    codec::Frames,
    error::Error,
    message::{self, Message, Notification, Request},
    options::Options,
    remote::{Remote, Stream},
};

/// How much to read at once.
const READ_SIZE: usize = 1 << 16;

/// The id of our `echo` requests; other requests count from 1.
const ECHO_ID: u64 = 0;

/// What a caller of [`Connection::receive`] has to see.
#[derive(Debug)]
pub(super) enum Received {
    Reply {
        id: u64,
        result: Result<Bytes, Bytes>,
    },
    Notification(Notification),
}

/// What ends the wait for an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// Silence and the deadline.
    Probing,
    /// Only the deadline: a server is silent while it prepares a large answer.
    Deadline,
}

pub(super) struct Connection {
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    frames: Frames,
    input: BytesMut,
    output: BytesMut,
    /// Whether the server ever said anything.
    is_answered: bool,
    /// Whether something written may still wait in the stream, as TLS keeps what it encrypted.
    is_unflushed: bool,
    /// What arrived while we waited for a reply.
    stash: VecDeque<Notification>,
    last_id: u64,
    probe: Probe,
    deadline: Duration,
}

impl Connection {
    /// Connects to a remote.
    pub(super) async fn open(remote: &Remote, options: &Options) -> Result<Self, Error> {
        let connecting = remote.connect(options.tls.as_ref());
        let connected = tokio::time::timeout(options.probe_interval, connecting).await;
        let stream = connected.map_err(|_elapsed| Error::ConnectTimeout)??;
        Ok(Self::new(stream, options))
    }

    fn new(stream: Stream, options: &Options) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader,
            writer,
            frames: Frames::new(options.max_message),
            input: BytesMut::with_capacity(READ_SIZE),
            output: BytesMut::new(),
            is_answered: false,
            is_unflushed: false,
            stash: VecDeque::new(),
            last_id: ECHO_ID,
            probe: Probe::new(options.probe_interval),
            deadline: options.deadline,
        }
    }

    /// Queues a request, which goes out while something is awaited here; its id.
    pub(super) fn send(
        &mut self,
        method: &'static str,
        params: impl Serialize,
    ) -> Result<u64, Error> {
        self.last_id += 1;
        Request {
            id: self.last_id,
            method,
            params,
        }
        .write(&mut self.output)?;
        Ok(self.last_id)
    }

    /// Asks and waits for the answer: a result, or the server's error as JSON text.
    pub(super) async fn call(
        &mut self,
        method: &'static str,
        params: impl Serialize,
        patience: Patience,
    ) -> Result<Result<Bytes, Bytes>, Error> {
        let id = self.send(method, params)?;
        let reply = tokio::time::timeout(self.deadline, self.reply(id, patience));
        reply.await.unwrap_or(Err(Error::Deadline { method }))
    }

    async fn reply(
        &mut self,
        wanted: u64,
        patience: Patience,
    ) -> Result<Result<Bytes, Bytes>, Error> {
        loop {
            let received = match patience {
                Patience::Probing => self.probed_message().await?,
                Patience::Deadline => self.message().await?,
            };
            match received {
                Received::Reply { id, result } if id == wanted => return Ok(result),
                Received::Reply { id, .. } => return Err(Error::UnknownReply { id }),
                Received::Notification(notification) => self.stash.push_back(notification),
            }
        }
    }

    /// The next thing from the server, in the order in which it was sent; an error if the server
    /// is silent for too long. Can be dropped while it waits without losing anything.
    pub(super) async fn receive(&mut self) -> Result<Received, Error> {
        match self.stash.pop_front() {
            Some(notification) => Ok(Received::Notification(notification)),
            None => self.probed_message().await,
        }
    }

    async fn probed_message(&mut self) -> Result<Received, Error> {
        loop {
            let due = self.probe.due;
            match tokio::time::timeout_at(due, self.message()).await {
                Ok(received) => return received,
                Err(_elapsed) => self.probe()?,
            }
        }
    }

    /// Asks a server that has been silent whether it lives, once.
    fn probe(&mut self) -> Result<(), Error> {
        match self.probe.expire() {
            Silence::Broken => Ok(()),
            Silence::Suspicious => {
                let params: [(); 0] = [];
                Request {
                    id: ECHO_ID,
                    method: "echo",
                    params,
                }
                .write(&mut self.output)
            }
            Silence::Dead => Err(Error::Silent),
        }
    }

    async fn message(&mut self) -> Result<Received, Error> {
        loop {
            let Some(frame) = self.frames.decode(&mut self.input)? else {
                self.transfer().await?;
                continue;
            };
            if let Some(received) = self.sort(Message::parse(&frame)?) {
                return Ok(received);
            }
        }
    }

    /// Deals with signs of life; the rest is for the caller.
    fn sort(&mut self, message: Message) -> Option<Received> {
        match message {
            Message::Echo { id, params } => {
                message::write_echo_reply(&mut self.output, &id, &params);
                None
            }
            Message::Unknown { method } => {
                debug!(method, "Ignored a request");
                None
            }
            Message::Reply { id: ECHO_ID, .. } => None,
            Message::Reply { id, result } => Some(Received::Reply { id, result }),
            Message::Notification(news) => Some(Received::Notification(news)),
        }
    }

    /// Moves some bytes in or out.
    async fn transfer(&mut self) -> Result<(), Error> {
        self.input.reserve(READ_SIZE);
        let has_output = self.is_unflushed || !self.output.is_empty();
        tokio::select! {
            read = self.reader.read_buf(&mut self.input) => {
                self.probe.heard();
                match read? {
                    0 if self.is_answered => Err(Error::Closed),
                    0 => Err(Error::HungUp),
                    _ => {
                        self.is_answered = true;
                        Ok(())
                    }
                }
            }
            written = write(&mut self.writer, &mut self.output, &mut self.is_unflushed),
                if has_output => Ok(written?),
        }
    }
}

/// Writes some bytes, or, when there are none left, what the stream has kept of them.
async fn write(
    writer: &mut WriteHalf<Stream>,
    output: &mut BytesMut,
    is_unflushed: &mut bool,
) -> io::Result<()> {
    if output.is_empty() {
        writer.flush().await?;
        *is_unflushed = false;
    } else {
        *is_unflushed = true;
        writer.write_buf(output).await?;
    }
    Ok(())
}

/// Measures the server's silence.
struct Probe {
    interval: Duration,
    due: Instant,
    asked: bool,
}

enum Silence {
    /// Something was heard meanwhile.
    Broken,
    /// Time to ask for a sign of life.
    Suspicious,
    /// None came.
    Dead,
}

impl Probe {
    fn new(interval: Duration) -> Self {
        Self {
            interval,
            due: Instant::now() + interval,
            asked: false,
        }
    }

    fn heard(&mut self) {
        self.due = Instant::now() + self.interval;
        self.asked = false;
    }

    fn expire(&mut self) -> Silence {
        let now = Instant::now();
        if now < self.due {
            return Silence::Broken;
        }
        if self.asked {
            return Silence::Dead;
        }
        self.asked = true;
        self.due = now + self.interval;
        Silence::Suspicious
    }
}
