//! NB as somebody else sees it: two monitors, and what its server says.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use testkit::{Lab, dump, ovn::Programs, process::Process};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

const PERIOD: Duration = Duration::from_millis(2);
/// The tables whose rows nobody refers to; what is in others goes with them.
const ROOTS: [&str; 6] = [
    "Logical_Switch",
    "Logical_Router",
    "Port_Group",
    "Address_Set",
    "Load_Balancer",
    "Load_Balancer_Group",
];

/// The northbound database of a lab.
pub(crate) struct Northbound<'lab> {
    lab: &'lab Lab,
    pub(crate) switches: Names,
    pub(crate) ports: Names,
}

/// The names in a table, by a monitor on a connection of its own.
pub(crate) struct Names {
    monitor: Process,
    /// How much of its log was read.
    offset: u64,
    /// A line that it has not finished.
    rest: String,
    /// By UUID: before a row goes another of its name may come.
    rows: BTreeMap<String, String>,
    counts: BTreeMap<String, usize>,
}

// === impl Northbound ===

impl<'lab> Northbound<'lab> {
    pub(crate) fn watch(lab: &'lab Lab) -> Result<Self> {
        Ok(Self {
            lab,
            switches: Names::watch(lab, "Logical_Switch")?,
            ports: Names::watch(lab, "Logical_Switch_Port")?,
        })
    }

    /// How many transactions its server has committed, by the index of the last in its log.
    pub(crate) fn transactions(&self) -> Result<u64> {
        let status = self
            .lab
            .central()
            .nb_appctl(["cluster/status", "OVN_Northbound"])?;
        let log = status.lines().find_map(|line| line.strip_prefix("Log: ["));
        let (_, last) = log
            .and_then(|log| log.trim_end_matches(']').split_once(", "))
            .with_context(|| format!("no log in {status}"))?;
        Ok(last.parse()?)
    }

    /// Every row, in words that do not depend on UUIDs.
    pub(crate) fn rows(&self) -> Result<Vec<String>> {
        let central = self.lab.central();
        dump::northbound(self.lab.version(), &central.nb_socket())
    }

    /// Takes away every row but those of the database itself, in one transaction.
    pub(crate) fn empty(&self) -> Result<()> {
        let destroy = ROOTS.map(|table| format!("-- --all destroy {table}"));
        let words = destroy.iter().flat_map(|line| line.split(' '));
        self.lab.nbctl(words).map(drop)
    }
}

// === impl Names ===

impl Names {
    fn watch(lab: &Lab, table: &str) -> Result<Self> {
        let client = Programs::find(lab.version())?.command("ovsdb-client")?;
        let monitor = client
            .args(["--format=csv", "--data=bare", "--no-headings", "monitor"])
            .args([&lab.central().nb_socket(), "OVN_Northbound", table, "name"]);
        Ok(Self {
            monitor: monitor.spawn(&format!("monitor-{table}"), lab.directory())?,
            offset: 0,
            rest: String::new(),
            rows: BTreeMap::new(),
            counts: BTreeMap::new(),
        })
    }

    /// Waits until the names are so, and tells when that was seen.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        patience: Duration,
        is_so: impl Fn(&Self) -> bool,
    ) -> Result<Instant> {
        let wait = async {
            self.read()?;
            while !is_so(self) {
                self.news().await?;
            }
            Ok(Instant::now())
        };
        let waited = timeout(patience, wait).await;
        waited.with_context(|| format!("{what}: not after {patience:?}"))?
    }

    async fn news(&mut self) -> Result<()> {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.read()? {
            ticks.tick().await;
        }
        Ok(())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.counts.contains_key(name)
    }

    pub(crate) fn has_all(&self, names: &[String]) -> bool {
        self.counts.len() >= names.len() && names.iter().all(|name| self.has(name))
    }

    /// Whether there was something new.
    fn read(&mut self) -> Result<bool> {
        let mut log = File::open(self.monitor.log())?;
        log.seek(SeekFrom::Start(self.offset))?;
        let read = log.read_to_string(&mut self.rest)?;
        self.offset += u64::try_from(read)?;
        let whole = self.rest.rfind('\n').map_or(0, |end| end + 1);
        let lines: String = self.rest.drain(..whole).collect();
        for line in lines.lines().filter(|line| !line.is_empty()) {
            self.note(line)?;
        }
        Ok(read > 0)
    }

    /// `<uuid>,<action>,<name>`
    fn note(&mut self, line: &str) -> Result<()> {
        let mut cells = line.splitn(3, ',');
        let cells = (cells.next(), cells.next(), cells.next());
        let (Some(id), Some(action), Some(name)) = cells else {
            bail!("a monitor printed {line}");
        };
        if let Some(former) = self.rows.remove(id) {
            self.forget(&former);
        }
        if action != "delete" {
            self.rows.insert(id.to_owned(), name.to_owned());
            *self.counts.entry(name.to_owned()).or_default() += 1;
        }
        Ok(())
    }

    fn forget(&mut self, name: &str) {
        if let Some(count) = self.counts.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(name);
            }
        }
    }
}
