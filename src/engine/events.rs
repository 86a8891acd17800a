//! How an object is told what has become of it.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use tokio::time::error::Elapsed;

use super::frame::Engine;

/// Who is told what an object in a namespace cannot be told any more, because the namespace is being deleted.
pub type ParentOf = Arc<dyn Fn(&str) -> ObjectReference + Send + Sync>;

/// The longest note that the API server accepts, in bytes.
const LONGEST_NOTE: usize = 1024;
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
        let mut event = Event {
            type_: if warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: reason.to_owned(),
            note: Some(note(message)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        tracing::info!(reason, note = message, "event");
        let mut sent = self.send(&event, reference).await;
        if let Ok(Err(error)) = &sent
            && is_terminating(error)
            && let Some(namespace) = &reference.namespace
        {
            // In a namespace that is being deleted nothing new is made, no event either; the last one says what is kept.
            let [kind, name] = [&reference.kind, &reference.name].map(Option::as_deref);
            let (kind, name) = (kind.unwrap_or_default(), name.unwrap_or_default());
            event.note = Some(note(&format!("{kind} {namespace}/{name}: {message}")));
            sent = self.send(&event, &(self.parent_of)(namespace)).await;
        }
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the event could not be published"),
            Err(_) => tracing::warn!("the event could not be published: no answer in time"),
        }
    }

    async fn send(
        &self,
        event: &Event,
        reference: &ObjectReference,
    ) -> Result<kube::Result<()>, Elapsed> {
        // A recorder of its own for each event: one that remembers takes events of one reason within minutes for one
        // event, and keeps only what the first of them said. Ours are transitions, and each says something else.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        tokio::time::timeout(PUBLISH, recorder.publish(event, reference)).await
    }
}

/// Whether it was refused because the namespace is being deleted.
fn is_terminating(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .into_iter()
        .any(|cause| cause.reason == "NamespaceTerminating")
}

/// The message, as far as the API server accepts it.
fn note(message: &str) -> String {
    const MORE: &str = "…";
    if message.len() <= LONGEST_NOTE {
        return message.to_owned();
    }
    let end = message.floor_char_boundary(LONGEST_NOTE - MORE.len());
    format!("{}{MORE}", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_as_long_as_it_may_be_and_whole_characters() {
        let of = |character: &str, bytes: usize| character.repeat(bytes / character.len());
        for whole in ["", "short", &of("a", LONGEST_NOTE), &of("ü", LONGEST_NOTE)] {
            assert_eq!(note(whole), whole);
        }
        // A thousand characters are more bytes than that, where they are not English.
        for (long, kept) in [
            (of("a", 2000), LONGEST_NOTE),
            (of("ü", 2000), LONGEST_NOTE - 1),
            (format!("a{}", of("ü", 2000)), LONGEST_NOTE),
            (of("漢", 1026), LONGEST_NOTE - 1),
            (of("🚀", 2000), LONGEST_NOTE - 1),
        ] {
            let note = note(&long);
            assert_eq!(note.len(), kept, "{note}");
            let begun = note.strip_suffix('…').unwrap();
            assert!(long.starts_with(begun), "{note}");
        }
    }
}
