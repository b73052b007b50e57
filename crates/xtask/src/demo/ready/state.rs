//! Which nodes and pods are Ready, read from a list of both.

use std::fmt;

use serde_json::Value;

/// What is ready and what is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    nodes: usize,
    waiting_nodes: Vec<String>,
    pods: usize,
    pub(crate) blocked: Vec<Blocked>,
}

/// A pod that is not Ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blocked {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) node: Option<String>,
    /// The first container that is not ready, once there is one.
    pub(crate) container: Option<String>,
    pub(crate) reason: String,
}

// === impl State ===

impl State {
    /// From `kubectl get nodes,pods -A -o json`. Pods on their way out do not count, nor do those
    /// that have done their work.
    pub(crate) fn parse(list: &Value) -> Self {
        let mut state = Self::default();
        let items = list.get("items").and_then(Value::as_array);
        for item in items.into_iter().flatten() {
            match text(item, "/kind") {
                "Node" => state.add_node(item),
                "Pod" if counts(item) => state.add_pod(item),
                _ => {}
            }
        }
        // a container that does not work is why others are not even scheduled
        let blocked = &mut state.blocked;
        blocked.sort_by_key(|blocked| blocked.container.is_none());
        state
    }

    fn add_node(&mut self, node: &Value) {
        self.nodes += 1;
        if !is_ready(node) {
            let name = text(node, "/metadata/name");
            self.waiting_nodes.push(name.to_owned());
        }
    }

    fn add_pod(&mut self, pod: &Value) {
        self.pods += 1;
        if !is_ready(pod) {
            self.blocked.push(Blocked::parse(pod));
        }
    }

    /// Whether there is something, and all of it is Ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.nodes > 0 && self.pods > 0 && self.waiting_nodes.is_empty() && self.blocked.is_empty()
    }

    /// One line: `1 of 2 nodes and 3 of 9 pods are ready, waiting for ...`.
    pub(crate) fn summary(&self) -> String {
        let nodes = self.nodes - self.waiting_nodes.len();
        let pods = self.pods - self.blocked.len();
        let counts = format!(
            "{nodes} of {} nodes and {pods} of {} pods are ready",
            self.nodes, self.pods
        );
        match self.blocked.first() {
            Some(blocked) => format!("{counts}, waiting for {blocked}"),
            None => counts,
        }
    }
}

fn counts(pod: &Value) -> bool {
    pod.pointer("/metadata/deletionTimestamp").is_none()
        && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

fn is_ready(object: &Value) -> bool {
    condition(object, "Ready").is_some_and(|ready| text(ready, "/status") == "True")
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|one| text(one, "/type") == kind)
}

// === impl Blocked ===

impl Blocked {
    fn parse(pod: &Value) -> Self {
        let container = waiting_container(pod);
        let name = container.map(|container| text(container, "/name").to_owned());
        Self {
            namespace: text(pod, "/metadata/namespace").to_owned(),
            pod: text(pod, "/metadata/name").to_owned(),
            node: Some(text(pod, "/spec/nodeName").to_owned()).filter(|node| !node.is_empty()),
            reason: container.map_or_else(|| unscheduled(pod), waiting_reason),
            container: name,
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pod {}/{}", self.namespace, self.pod)?;
        if let Some(node) = &self.node {
            write!(f, " on {node}")?;
        }
        if let Some(container) = &self.container {
            write!(f, ", container {container}")?;
        }
        write!(f, " ({})", self.reason)
    }
}

/// The first init container that has not succeeded, else the first container that is not ready.
fn waiting_container(pod: &Value) -> Option<&Value> {
    let list = |pointer| {
        let list = pod.pointer(pointer).and_then(Value::as_array);
        list.into_iter().flatten()
    };
    let is_ready = |one: &&Value| one.get("ready").and_then(Value::as_bool) == Some(true);
    let is_done = |one: &&Value| {
        let code = one.pointer("/state/terminated/exitCode");
        code.and_then(Value::as_i64) == Some(0)
    };
    list("/status/initContainerStatuses")
        .find(|one| !is_ready(one) && !is_done(one))
        .or_else(|| list("/status/containerStatuses").find(|one| !is_ready(one)))
}

fn waiting_reason(container: &Value) -> String {
    if let Some(waiting) = container.pointer("/state/waiting") {
        return text(waiting, "/reason").to_owned();
    }
    if let Some(ended) = container.pointer("/state/terminated/exitCode") {
        return format!("ended with {ended}");
    }
    "running, not ready".to_owned()
}

fn unscheduled(pod: &Value) -> String {
    let message = condition(pod, "PodScheduled").map(|scheduled| text(scheduled, "/message"));
    let message = message.filter(|message| !message.is_empty());
    message.unwrap_or("not started").to_owned()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(ready: &str) -> Value {
        json!({
            "kind": "Node",
            "metadata": { "name": "n1" },
            "status": { "conditions": [{ "type": "Ready", "status": ready }] },
        })
    }

    fn pod(status: &Value) -> Value {
        json!({
            "kind": "Pod",
            "metadata": { "name": "ovs-ovn-x", "namespace": "kube-system" },
            "spec": { "nodeName": "n1" },
            "status": status,
        })
    }

    fn state(items: &[Value]) -> State {
        State::parse(&json!({ "items": items }))
    }

    fn ready() -> Value {
        pod(&json!({ "conditions": [{ "type": "Ready", "status": "True" }] }))
    }

    #[test]
    fn ready_is_when_every_node_and_pod_is() {
        assert!(state(&[node("True"), ready()]).is_ready());
        assert!(!state(&[node("False"), ready()]).is_ready());
        assert!(!state(&[node("True")]).is_ready());
        assert!(!state(&[]).is_ready());
    }

    #[test]
    fn the_summary_names_the_first_pod_that_is_not_ready() {
        let crashing = pod(&json!({
            "initContainerStatuses": [
                { "name": "install", "ready": true, "state": { "terminated": { "exitCode": 0 } } },
            ],
            "containerStatuses": [
                { "name": "vswitch", "ready": false,
                  "state": { "waiting": { "reason": "CrashLoopBackOff" } } },
            ],
        }));
        assert_eq!(
            state(&[node("True"), ready(), crashing]).summary(),
            "1 of 1 nodes and 1 of 2 pods are ready, waiting for pod kube-system/ovs-ovn-x on n1, \
             container vswitch (CrashLoopBackOff)"
        );
    }

    #[test]
    fn an_init_container_comes_before_the_others() {
        let waiting = pod(&json!({
            "initContainerStatuses": [
                { "name": "install", "ready": false, "state": { "terminated": { "exitCode": 2 } } },
            ],
            "containerStatuses": [
                { "name": "daemon", "ready": false,
                  "state": { "waiting": { "reason": "PodInitializing" } } },
            ],
        }));
        let blocked = Blocked::parse(&waiting);
        assert_eq!(blocked.container.unwrap(), "install");
        assert_eq!(blocked.reason, "ended with 2");
    }

    #[test]
    fn a_pod_without_a_node_says_what_the_scheduler_says() {
        let unschedulable = pod(&json!({
            "conditions": [{ "type": "PodScheduled", "status": "False",
                             "message": "0/2 nodes are available" }],
        }));
        assert_eq!(
            Blocked::parse(&unschedulable).reason,
            "0/2 nodes are available"
        );
    }

    #[test]
    fn pods_that_go_or_are_done_do_not_count() {
        let mut going = pod(&json!({}));
        going["metadata"]["deletionTimestamp"] = json!("2025-01-01T00:00:00Z");
        let done = pod(&json!({ "phase": "Succeeded" }));
        assert!(state(&[node("True"), ready(), going, done]).is_ready());
    }
}
