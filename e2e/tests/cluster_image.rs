//! Images from Dockerfiles on a cluster.
//!
//! ```text
//! cargo test -p e2e --features cluster-tests --test cluster_image
//! ```
#![cfg(test)]

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use cluster::{Builder, Families, trial};
use serde_json::json;
use testkit::wait_until;

const NAME: &str = "docker.io/kubeovn-rs/trial:v0.1.0";
const DOCKERFILE: &str = "\
FROM debian:trixie-slim
COPY greeting /greeting
RUN test -s /etc/debian_version && cp /greeting /copied
ENTRYPOINT [\"/bin/sh\", \"-c\", \"cat /copied && sleep 10000\"]
";
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn an_image_from_a_dockerfile_on_debian_runs_as_a_pod() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str| scratch.path().join(name);
    fs::write(file("Dockerfile"), DOCKERFILE).unwrap();
    fs::write(file("greeting"), "hello\n").unwrap();
    let archive = file("image.tar");
    let builder = Builder::prepare().unwrap();
    builder
        .build(NAME, &file("Dockerfile"), scratch.path(), &archive)
        .unwrap();

    trial::run(1, Families::V4, async |cluster| {
        cluster.import_image(&archive)?;
        cluster.apply(&pod().to_string())?;
        wait_until("the pod has greeted", PATIENCE, async || {
            let said = cluster.kubectl()?.args(["logs", "trial"]).read()?;
            ensure!(said == "hello", "it said `{said}`");
            Ok(())
        })
        .await
    });
}

#[test]
fn a_failing_step_of_a_dockerfile_is_reported_with_the_files_name() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let dockerfile = scratch.path().join("Dockerfile.broken");
    fs::write(&dockerfile, "FROM debian:trixie-slim\nRUN exit 3\n")?;
    let builder = Builder::prepare()?;
    let archive = scratch.path().join("image.tar");
    let failed = builder.build(NAME, &dockerfile, scratch.path(), &archive);
    let failed = failed.unwrap_err().to_string();
    assert!(failed.contains("Dockerfile.broken"), "{failed}");
    Ok(())
}

fn pod() -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "trial", "namespace": "default" },
        "spec": {
            "hostNetwork": true,
            "nodeName": "n1",
            "containers": [{ "name": "main", "image": NAME }],
            "tolerations": [{ "operator": "Exists" }],
        },
    })
}
