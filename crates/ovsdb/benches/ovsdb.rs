//! 10,000 ports written at 100 a transaction on 10 switches into a fresh standalone NB database,
//! and loaded again by a new client: this crate and the Python IDL side by side in one run.
//!
//! `cargo bench -p ovsdb --features client --bench ovsdb` prints one line of JSON: seconds of each
//! (medians of three) and how many times faster this crate is. Needs `ovsdb-server`, `ovsdb-tool`
//! and `ovn-nb.ovsschema` (Debian: `openvswitch-common`, `ovn-common`) and `python3-openvswitch`.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use ovsdb::{
    Client, Columns, Condition, Datum, Mutation, Operation, Options, Outcome, Row, Transaction,
    Uuid,
};
use tempfile::TempDir;
use tokio::time::Instant;

const SCHEMA: &str = "/usr/share/ovn/ovn-nb.ovsschema";
const SWITCHES: usize = 10;
const PORTS: usize = 10_000;
const BATCH: usize = 100;
const RUNS: usize = 3;

#[derive(Clone, Copy)]
struct Seconds {
    write: f64,
    load: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (mut ours, mut python) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(run_ours(&Server::start()?).await?);
        python.push(run_python(&Server::start()?)?);
    }
    let [write, load] = [
        |seconds: &Seconds| seconds.write,
        |seconds: &Seconds| seconds.load,
    ];
    report(&serde_json::json!({
        "write_s": median(&ours, write),
        "write_py_s": median(&python, write),
        "write_ratio": median(&python, write) / median(&ours, write),
        "load_s": median(&ours, load),
        "load_py_s": median(&python, load),
        "load_ratio": median(&python, load) / median(&ours, load),
    }));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the result of a benchmark")]
fn report(line: &serde_json::Value) {
    println!("{line}");
}

fn median(runs: &[Seconds], of: impl Fn(&Seconds) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

async fn run_ours(server: &Server) -> Result<Seconds> {
    let client = connect(server).await?;
    let switches: Vec<Uuid> = (0..SWITCHES).map(|_| Uuid::new_v4()).collect();
    commit(&client, add_switches(&switches)).await?;
    let start = Instant::now();
    // one batch is prepared while another is in flight
    stream::iter((0..PORTS).step_by(BATCH))
        .map(|first| commit(&client, add_ports(&switches, first)))
        .buffered(2)
        .try_collect::<()>()
        .await?;
    let write = start.elapsed().as_secs_f64();
    ensure!(ports(&client) == PORTS, "not all ports are there");
    drop(client);

    let start = Instant::now();
    let client = connect(server).await?;
    ensure!(ports(&client) == PORTS, "not all ports were loaded");
    Ok(Seconds {
        write,
        load: start.elapsed().as_secs_f64(),
    })
}

async fn connect(server: &Server) -> Result<Client> {
    let options = Options::new(vec![server.remote.parse()?], "OVN_Northbound")
        .table("Logical_Switch", Columns::All)
        .table("Logical_Switch_Port", Columns::All);
    let (client, driver) = Client::new(options);
    drop(background(driver.run()));
    client
        .replica()
        .connected()
        .await
        .context("the driver ended")?;
    Ok(client)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark has no named tasks")]
fn background(future: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::spawn(future)
}

fn ports(client: &Client) -> usize {
    client.replica().read().table("Logical_Switch_Port").len()
}

async fn commit(client: &Client, transaction: Transaction) -> Result<()> {
    let outcome = client.transact(transaction).await;
    ensure!(outcome == Outcome::Committed, "{outcome:?}");
    Ok(())
}

fn add_switches(switches: &[Uuid]) -> Transaction {
    let add = |(number, &uuid): (usize, &Uuid)| Operation::Insert {
        table: "Logical_Switch".to_owned(),
        uuid: Some(uuid),
        row: Row::new().with("name", format!("switch-{number}")),
    };
    switches.iter().enumerate().map(add).collect()
}

/// A batch of ports, dealt to the switches in turn.
fn add_ports(switches: &[Uuid], first: usize) -> Transaction {
    let mut transaction = Transaction::new();
    let mut added = vec![Vec::new(); switches.len()];
    for (number, place) in (first..first + BATCH).zip((0..added.len()).cycle()) {
        let uuid = Uuid::new_v4();
        transaction.push(Operation::Insert {
            table: "Logical_Switch_Port".to_owned(),
            uuid: Some(uuid),
            row: port(number),
        });
        added
            .iter_mut()
            .skip(place)
            .take(1)
            .for_each(|ports| ports.push(uuid));
    }
    for (&switch, ports) in switches.iter().zip(added) {
        transaction.push(Operation::Mutate {
            table: "Logical_Switch".to_owned(),
            condition: Condition::uuid(switch),
            mutations: vec![Mutation::insert("ports", Datum::set(ports))],
        });
    }
    transaction
}

fn port(number: usize) -> Row {
    let (high, low) = (number >> 8, number & 255);
    let address = format!("0a:00:00:00:{high:02x}:{low:02x} 10.16.{high}.{low}");
    let pod = format!("namespace/port-{number}");
    Row::new()
        .with("name", format!("port-{number}.namespace"))
        .with("addresses", address.as_str())
        .with("port_security", address)
        .with(
            "external_ids",
            Datum::map([("pod", pod.as_str()), ("vendor", "kube-ovn")]),
        )
}

fn run_python(server: &Server) -> Result<Seconds> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/idl.py");
    let numbers = [SWITCHES, PORTS, BATCH].map(|number| number.to_string());
    let output = command("/usr/bin/python3")
        .arg(script)
        .args([server.remote.as_str(), SCHEMA])
        .args(numbers)
        .stderr(Stdio::inherit())
        .output()
        .context("python3 does not run: apt-get install python3-openvswitch")?;
    ensure!(output.status.success(), "idl.py failed: {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let (write, load) = text
        .trim()
        .split_once(' ')
        .context("idl.py printed something else")?;
    Ok(Seconds {
        write: write.parse()?,
        load: load.parse()?,
    })
}

/// A standalone server with an empty database.
struct Server {
    remote: String,
    child: Child,
    _directory: TempDir,
}

impl Server {
    fn start() -> Result<Self> {
        let directory = TempDir::new()?;
        let (db, socket) = (directory.path().join("db"), directory.path().join("sock"));
        let create = command("ovsdb-tool")
            .arg("create")
            .arg(&db)
            .arg(SCHEMA)
            .status();
        ensure!(
            create
                .context("apt-get install openvswitch-common")?
                .success(),
            "no database"
        );
        let child = serve(&db, &socket, directory.path())?;
        Ok(Self {
            remote: format!("unix:{}", socket.display()),
            child,
            _directory: directory,
        })
    }
}

fn serve(db: &Path, socket: &Path, directory: &Path) -> Result<Child> {
    command("ovsdb-server")
        .arg(db)
        .arg(format!("--remote=punix:{}", socket.display()))
        .arg(format!("--unixctl={}", directory.join("ctl").display()))
        .arg("--no-chdir")
        .stderr(Stdio::null())
        .spawn()
        .context("ovsdb-server does not run: apt-get install openvswitch-switch")
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        assert!(ended.is_ok(), "cannot end our own server: {ended:?}");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts servers and tools"
)]
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null());
    command
}
