//! How anybody asks for a pass over an object.

use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;

use super::record::Kind;

/// Asks for passes over objects of one kind, from anywhere.
#[derive(Debug)]
pub struct Trigger<K: Kind>(mpsc::UnboundedSender<ObjectRef<DeserializeGuard<K>>>);

impl<K: Kind> Clone for Trigger<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Kind> Trigger<K> {
    /// A trigger and the end that [`run`] listens to.
    pub fn new() -> (
        Self,
        mpsc::UnboundedReceiver<ObjectRef<DeserializeGuard<K>>>,
    ) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Asks for a pass over that object. Nothing happens if the controller has ended.
    pub fn fire(&self, namespace: Option<&str>, name: &str) {
        let mut reference = ObjectRef::new(name);
        if let Some(namespace) = namespace {
            reference = reference.within(namespace);
        }
        let _ = self.0.send(reference);
    }
}
