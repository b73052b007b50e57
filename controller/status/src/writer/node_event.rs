//! Events of nodes that are no complaint about their objects.

use controller_index::Kind;
use kube::runtime::events::EventType;
use model::NodeName;

use super::{WriteError, Writer, object_reference};
use crate::complaints::named;

/// Something that happened to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEvent {
    pub name: NodeName,
    pub uid: String,
    pub tone: Tone,
    pub reason: &'static str,
    pub note: String,
}

/// Whether somebody has to look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Normal,
    Warning,
}

// === impl Writer ===

impl Writer {
    /// Tells of it by an event of the node.
    ///
    /// # Errors
    /// The API server does not take it.
    pub async fn tell_of_node(&self, event: &NodeEvent) -> Result<(), WriteError> {
        let object = object_reference(&named(Kind::Node, &event.name), &event.uid);
        let type_ = match event.tone {
            Tone::Normal => EventType::Normal,
            Tone::Warning => EventType::Warning,
        };
        self.publish(&object, type_, event.reason, event.note.clone())
            .await
    }
}
