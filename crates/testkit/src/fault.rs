//! Faults: something is broken for a while, and whole again afterwards.
//!
//! A fault has a line by which it is written, such as `kill controller` or `cut n1 tunnel`, and
//! [`Fault::inject`] gives a guard: [`Injected::end`] makes whole what was broken. A [`Schedule`]
//! is a sequence of faults that follows from a seed; it is printed and read as lines, too.

mod disk;
mod members;
mod network;
mod part;
mod process;
mod schedule;
mod site;

use std::{fmt, future::pending, str::FromStr, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::time::timeout;

pub use self::{
    disk::Disk,
    network::Wire,
    part::Part,
    schedule::{Choice, Schedule, Step},
    site::Site,
};
use self::{disk::Overwritten, process::Rhythm};

/// What is broken, and which part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// `kill <part>`: SIGKILL; at the end it is started again. Of several members of the central
    /// part, it is the leader's.
    Kill(Part),
    /// `stop <part>`: SIGSTOP; at the end SIGCONT.
    Stop(Part),
    /// `slow <part>`: stopped most of the time, in a rhythm.
    Slow(Part),
    /// `cut <station> <network>`: the other end of the station's link is down.
    Cut(String, Wire),
    /// `part <station> <station> <network>`: no frame passes between the two.
    Partition(String, String, Wire),
    /// `fill <part>`: the small disk on which it writes has no space left
    /// ([`crate::LabOptions::small_disk`]).
    Fill(Part),
    /// `corrupt <part>`: it is killed, and its database has other bytes in the middle. At the end
    /// they are as before, and it is started.
    Corrupt(Part),
    /// `move <database>`: the leader of a raft cluster ([`crate::LabOptions::central_members`])
    /// hands over. There is nothing to end.
    Move(Part),
}

/// A fault that lasts until its end.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Injected<'a> {
    site: Site<'a>,
    undo: Option<Undo>,
}

/// What makes it whole.
#[derive(Debug)]
enum Undo {
    Start(Part),
    Continue(Part),
    Steady(Rhythm),
    Plug(String, Wire),
    Join(network::Walls),
    Free(disk::Filler),
    Restore(Part, Overwritten),
    Nothing,
}

// === impl Fault ===

impl Fault {
    /// Breaks it.
    ///
    /// # Errors
    /// The lab has no such part, or it does not run.
    pub fn inject<'a>(&self, site: impl Into<Site<'a>>) -> Result<Injected<'a>> {
        let site = site.into();
        let undo = self.break_at(site);
        Ok(Injected {
            site,
            undo: Some(undo.with_context(|| format!("cannot inject `{self}`"))?),
        })
    }

    fn break_at(&self, site: Site<'_>) -> Result<Undo> {
        Ok(match self {
            // its supervisor starts it again
            Self::Kill(part) if members::have(site.lab(), part) => {
                members::kill(site.lab(), part)?;
                Undo::Nothing
            }
            Self::Kill(part) => {
                process::kill(site, part)?;
                Undo::Start(part.clone())
            }
            Self::Stop(part) => {
                process::stop(site, part)?;
                Undo::Continue(part.clone())
            }
            Self::Slow(part) => Undo::Steady(Rhythm::start(site, part)?),
            Self::Cut(station, wire) => {
                network::cut(site.lab(), station, *wire)?;
                Undo::Plug(station.clone(), *wire)
            }
            Self::Partition(one, other, wire) => {
                Undo::Join(network::part(site.lab(), [one, other], *wire)?)
            }
            Self::Fill(part) => Undo::Free(disk::fill(&site.directory(part)?)?),
            Self::Corrupt(part) => {
                process::kill(site, part)?;
                Undo::Restore(part.clone(), disk::overwrite(&site.database(part)?)?)
            }
            Self::Move(database) => {
                members::move_lead(site.lab(), database)?;
                Undo::Nothing
            }
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(part) => write!(f, "kill {part}"),
            Self::Stop(part) => write!(f, "stop {part}"),
            Self::Slow(part) => write!(f, "slow {part}"),
            Self::Cut(station, wire) => write!(f, "cut {station} {wire}"),
            Self::Partition(one, other, wire) => write!(f, "part {one} {other} {wire}"),
            Self::Fill(part) => write!(f, "fill {part}"),
            Self::Corrupt(part) => write!(f, "corrupt {part}"),
            Self::Move(part) => write!(f, "move {part}"),
        }
    }
}

impl FromStr for Fault {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        Ok(match words.as_slice() {
            ["kill", part] => Self::Kill(part.parse()?),
            ["stop", part] => Self::Stop(part.parse()?),
            ["slow", part] => Self::Slow(part.parse()?),
            ["cut", station, wire] => Self::Cut((*station).to_owned(), wire.parse()?),
            ["part", one, other, wire] => {
                Self::Partition((*one).to_owned(), (*other).to_owned(), wire.parse()?)
            }
            ["fill", part] => Self::Fill(part.parse()?),
            ["corrupt", part] => Self::Corrupt(part.parse()?),
            ["move", part] => Self::Move(part.parse()?),
            _ => bail!("`{line}` is no fault"),
        })
    }
}

// === impl Injected ===

impl Injected<'_> {
    /// Makes whole what was broken; does not wait until it works.
    ///
    /// # Errors
    /// It cannot be started, plugged in, or the like.
    pub fn end(mut self) -> Result<()> {
        self.undo()
    }

    /// Lets it last, and ends it.
    ///
    /// # Errors
    /// As [`Injected::end`].
    pub async fn end_after(self, lasting: Duration) -> Result<()> {
        drop(timeout(lasting, pending::<()>()).await);
        self.end()
    }

    fn undo(&mut self) -> Result<()> {
        let Some(undo) = self.undo.take() else {
            return Ok(());
        };
        match undo {
            Undo::Start(part) => process::start(self.site, &part),
            Undo::Continue(part) => process::cont(self.site, &part),
            Undo::Steady(rhythm) => rhythm.end(),
            Undo::Plug(station, wire) => network::plug(self.site.lab(), &station, wire),
            Undo::Join(walls) => walls.remove(self.site.lab()),
            Undo::Free(filler) => filler.remove(),
            Undo::Restore(part, overwritten) => {
                overwritten.restore()?;
                process::start(self.site, &part)
            }
            Undo::Nothing => Ok(()),
        }
    }
}

impl Drop for Injected<'_> {
    fn drop(&mut self) {
        drop(self.undo());
    }
}
