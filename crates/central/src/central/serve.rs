//! Servers and northd, until the databases cannot go on as they are.

use std::{convert::Infallible, time::Duration};

use anyhow::Result;
use kit::readiness::Condition;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::{
    Census, NORTHD, Pod, Site, Turn,
    gate::Gate,
    northd::{self, Work},
    seat::Seat,
};
use crate::{children::Children, pods::Word};

/// How often the servers are asked, and the files looked at.
const TICK: Duration = Duration::from_millis(250);
/// How often the API server is asked for the other members.
const CENSUS: Duration = Duration::from_secs(2);

/// What is running.
struct Service<'a> {
    site: &'a Site,
    children: &'a mut Children,
    seats: Vec<Seat<'a>>,
    /// What northd was started with; `None` before it was.
    known: Option<String>,
    work: watch::Sender<Work>,
}

// === impl Site ===

impl Site {
    /// Serves the databases until something is wrong with them that settling mends.
    ///
    /// # Errors
    /// A database cannot be converted.
    pub(super) async fn serve(&self, children: &mut Children, generation: u64) -> Result<Turn> {
        let service = Service::start(self, children, generation).await;
        let (census, told) = watch::channel(None);
        let Some(pod) = &self.pod else {
            return service.go_on(told, watch::Sender::default()).await;
        };
        let (word, words) = watch::channel(service.word());
        let follow = pod.pods.follow(words);
        let observe = pod.observe(census);
        tokio::select! {
            turn = service.go_on(told, word) => turn,
            never = follow => match never {},
            never = observe => match never {},
        }
    }
}

// === impl Pod ===

impl Pod {
    /// Keeps `census` up to date, for ever.
    async fn observe(&self, census: watch::Sender<Option<Census>>) -> Infallible {
        let mut ticks = interval(CENSUS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.census().await {
                Ok(now) => drop(census.send_replace(Some(now))),
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "Other members are not known");
                    // what was known is no ground for a judgement any more
                    census.send_replace(None);
                }
            }
        }
    }
}

// === impl Service ===

impl<'a> Service<'a> {
    async fn start(site: &'a Site, children: &'a mut Children, generation: u64) -> Self {
        let mut seats = Vec::new();
        let conditions = site.conditions.databases.iter();
        for (database, condition) in site.databases.iter().zip(conditions) {
            let gate = Gate::new(database, generation);
            let running = children.start(database.server(gate.shown()));
            seats.push(Seat::new(database, condition, (running, gate)).await);
        }
        Self {
            site,
            children,
            seats,
            known: None,
            work: watch::Sender::new(Work::Nothing("not started yet".to_owned())),
        }
    }

    async fn go_on(
        mut self,
        census: watch::Receiver<Option<Census>>,
        word: watch::Sender<Word>,
    ) -> Result<Turn> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = census.borrow().clone();
            if let Some(turn) = self.attend(now.as_ref()).await? {
                return Ok(turn);
            }
            self.keep_northd(now.as_ref());
            let said = self.word();
            word.send_if_modified(|word| std::mem::replace(word, said.clone()) != said);
        }
    }

    /// One look at each database.
    async fn attend(&mut self, census: Option<&Census>) -> Result<Option<Turn>> {
        for seat in &mut self.seats {
            seat.attend().await?;
            if let Some(turn) = seat.judge(census).await {
                return Ok(Some(turn));
            }
            if let Some(census) = census {
                seat.tidy(census).await;
            }
        }
        Ok(None)
    }

    /// Starts northd when it can work, and again when members came or went.
    fn keep_northd(&mut self, census: Option<&Census>) {
        report(&self.site.conditions.northd, &self.work.borrow());
        let program = self.site.northd(census);
        let words = program.to_string();
        match &self.known {
            None if self.seats.iter().all(Seat::is_connected) => {
                let running = self.children.start(program);
                let directory = self.site.args.run_directory.clone();
                let follow = northd::follow(directory, running, self.work.clone());
                drop(kit::spawn(NORTHD, follow));
                self.known = Some(words);
            }
            Some(known) if census.is_some() && *known != words => {
                self.children.change(program);
                self.known = Some(words);
            }
            None | Some(_) => {}
        }
    }

    fn word(&self) -> Word {
        let seats = self.seats.iter();
        let leads = seats.clone().filter(|seat| seat.invites()).map(Seat::name);
        let compiles = *self.work.borrow() == Work::Active;
        Word {
            claims: seats
                .map(|seat| (seat.name(), seat.claim().clone()))
                .collect(),
            leads: leads.chain(compiles.then_some(NORTHD)).collect(),
        }
    }
}

fn report(condition: &Condition, work: &Work) {
    match work {
        Work::Active | Work::Standby => condition.met(),
        Work::Nothing(why) => condition.unmet(why),
    }
}
