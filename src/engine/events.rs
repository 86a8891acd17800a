//! How an object is told what has become of it.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};

use super::frame::Engine;

/// How long the API server may take to accept an event; nothing depends on it.
const PUBLISH: Duration = Duration::from_secs(5);

impl Engine {
    /// Publishes an event; a failure to do so is logged and changes nothing.
    pub(super) async fn publish(
        &self,
        reference: &ObjectReference,
        warning: bool,
        reason: &str,
        message: &str,
    ) {
        let event = Event {
            type_: if warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: reason.to_owned(),
            note: Some(message.chars().take(1000).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        tracing::info!(reason, note = message, "event");
        // A recorder of its own for each event: one that remembers takes events of one reason within minutes for one
        // event, and keeps only what the first of them said. Ours are transitions, and each says something else.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        let publishing = recorder.publish(&event, reference);
        match tokio::time::timeout(PUBLISH, publishing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the event could not be published"),
            Err(_) => tracing::warn!("the event could not be published: no answer in time"),
        }
    }
}
