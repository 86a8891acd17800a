//! Act: what is changed of versions that there are.

use super::reasons;
use super::work::{Stop, Work};
use crate::identity::ErrorKind;

impl Work<'_> {
    /// Brings the end of a version forward: the overlap is the holder's to say, and not with what was taken back.
    pub(super) async fn shorten(&mut self, number: i64) -> Result<(), Stop> {
        self.known.shorten(number, self.record.now);
        let until = self.known.version(number).and_then(|it| it.retires);
        let message = format!(
            "a scope that is held is not granted any more: version {number} is valid until {} at most, whatever the overlap",
            until.unwrap_or(self.record.now)
        );
        self.record.note(reasons::OVERLAP_SHORTENED, message);
        self.save().await
    }

    /// Changes what is registered, where the server can.
    pub(super) async fn update(&mut self, number: i64) -> Result<(), Stop> {
        let desired = self.desired()?;
        let server = self.server()?;
        let Some(registration) = self.kept.registration(number).cloned() else {
            self.seen.lost = Some(self.record.now);
            return Ok(());
        };
        let metadata = self.metadata(number, &desired.metadata);
        self.record.may_write()?;
        match server.port.update(&registration, &metadata).await {
            Ok(()) => {}
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.not_there(&error.to_string());
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        if let Some(version) = self.version_mut(number) {
            version.revision.clone_from(&desired.wanted.revision);
        }
        // Those that share the client share what it is registered with.
        for version in &mut self.known.versions {
            if version.client_id.as_ref() == Some(&registration.client_id) {
                version.scopes.clone_from(&desired.wanted.scopes);
            }
        }
        let message = format!("what is registered for version {number} was changed in place");
        self.record.note(reasons::UPDATED, message);
        self.save().await?;
        self.learn_end(number).await
    }
}
