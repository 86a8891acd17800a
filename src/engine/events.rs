//! How an object is told what has become of it.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};

use super::frame::Engine;

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
        let event = Event {
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
