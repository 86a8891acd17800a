//! A Secret of the cluster, in the client's namespace.
//!
//! It has no owner reference, whatever the deletion policy says: with `--cascade=foreground` the garbage collector would
//! delete it at once, before the grace period is over, and what uses the credentials would stand still. The client's
//! finalizer removes it when its time has come.

use async_trait::async_trait;
use aws_lc_rs::hmac;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::super::destination::{Bundle, Destination, Receipt};
use super::{in_cluster, not_ours};
use crate::controllers::team::FIELD_MANAGER;
use crate::engine::Failure;
use crate::model::{Owner, Secret, TAG_OWNER, TAG_UID};

/// The key of the file.
pub const CLIENT_JSON: &str = "client.json";
/// The key of the other file, where there still is one.
pub const USER_JSON: &str = "user.json";
/// The label that says whose it is: the client's uid.
pub const LABEL_UID: &str = TAG_UID;
/// The annotation with the number of the version.
pub const ANNOTATION_VERSION: &str = "bailiwick.dev/credentials-version";
/// The annotation with the time at which the version ends.
pub const ANNOTATION_NOT_AFTER: &str = "bailiwick.dev/credentials-not-after";

/// [`Destination`] by a Secret.
pub(super) struct KubernetesSecret {
    pub(super) api: Api<KubeSecret>,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) owner: Owner,
    pub(super) application: String,
    /// `user.json` is ours, too: it is, was or will be there.
    pub(super) user: bool,
}

impl KubernetesSecret {
    /// What is there; a terminal failure if it is somebody else's.
    async fn found(&self) -> Result<Option<KubeSecret>, Failure> {
        let found = self.api.get_opt(&self.name).await;
        let found = found.map_err(|error| in_cluster(&self.location(), error))?;
        match found {
            Some(found) if !self.is_ours(&found) => {
                let what = format!("does not bear this object's uid in the label {LABEL_UID}");
                Err(not_ours(&self.location(), &what))
            }
            found => Ok(found),
        }
    }

    fn is_ours(&self, found: &KubeSecret) -> bool {
        found.labels().get(LABEL_UID) == Some(&self.owner.uid)
    }

    fn wanted(&self, bundle: &Bundle, version: Option<String>) -> Value {
        let mut annotations = json!({
            ANNOTATION_VERSION: bundle.version.to_string(),
            TAG_OWNER: self.owner.reference,
        });
        if let Some(not_after) = &bundle.not_after {
            annotations[ANNOTATION_NOT_AFTER] = json!(not_after);
        }
        let content = |file: &Secret| ByteString(file.reveal().as_bytes().to_vec());
        let mut data = json!({CLIENT_JSON: content(&bundle.client_json)});
        if let Some(user) = &bundle.user_json {
            data[USER_JSON] = json!(content(user));
        }
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                // Written only to what was looked at: one that was made or changed meanwhile is a conflict.
                "resourceVersion": version,
                "labels": {
                    LABEL_UID: self.owner.uid,
                    "bailiwick.dev/application": self.application,
                    "app.kubernetes.io/managed-by": FIELD_MANAGER,
                },
                "annotations": annotations,
            },
            "type": "Opaque",
            "data": data,
        })
    }

    /// One write: a create where there is nothing, since an apply would take over what was made meanwhile; else an apply,
    /// which leaves alone what others have put beside ours.
    async fn write(&self, bundle: &Bundle, dry_run: bool) -> Result<KubeSecret, Failure> {
        let found = self.found().await?;
        let version = found.as_ref().and_then(ResourceExt::resource_version);
        let there = |found: &KubeSecret| file(found, USER_JSON).is_some();
        let has_user = self.user && found.as_ref().is_some_and(there);
        let has_end = found
            .as_ref()
            .is_some_and(|found| found.annotations().contains_key(ANNOTATION_NOT_AFTER));
        let loses_user = has_user && bundle.user_json.is_none();
        let loses_end = has_end && bundle.not_after.is_none();
        let mut wanted = self.wanted(bundle, version);
        let written = match found {
            None => {
                let wanted = serde_json::from_value(wanted).map_err(|error| {
                    let message = format!("{}: {error}", self.location());
                    Failure::new(
                        crate::engine::FailureKind::Bug,
                        crate::engine::reasons::INTERNAL_ERROR,
                        message,
                    )
                })?;
                let how = PostParams {
                    dry_run,
                    field_manager: Some(FIELD_MANAGER.to_owned()),
                };
                self.api.create(&how, &wanted).await
            }
            // An apply leaves what was made by the create, and so would leave a user that is none any more, and an end of what
            // has none.
            Some(_) if loses_user || loses_end => {
                if loses_user {
                    wanted["data"][USER_JSON] = Value::Null;
                }
                if loses_end {
                    wanted["metadata"]["annotations"][ANNOTATION_NOT_AFTER] = Value::Null;
                }
                let how = PatchParams {
                    dry_run,
                    field_manager: Some(FIELD_MANAGER.to_owned()),
                    ..PatchParams::default()
                };
                let patch = Patch::Merge(&wanted);
                self.api.patch(&self.name, &how, &patch).await
            }
            Some(_) => {
                let mut how = PatchParams::apply(FIELD_MANAGER).force();
                how.dry_run = dry_run;
                self.api
                    .patch(&self.name, &how, &Patch::Apply(&wanted))
                    .await
            }
        };
        written.map_err(|error| in_cluster(&self.location(), error))
    }
}

/// By what it is seen that somebody has changed the content. Not the resource version: that changes with every annotation
/// that any tool puts there, and each would be answered by a write. A keyed fingerprint of the file, cut to half, with the
/// Secret's own uid as the key, so that two Secrets with one content have nothing in common. What is fingerprinted for a
/// status is what we delivered: keys and secrets of an authorization server's making, which nobody finds by trying.
fn receipt(found: &KubeSecret, with_user: bool) -> Receipt {
    let key = hmac::Key::new(
        hmac::HMAC_SHA256,
        found.uid().unwrap_or_default().as_bytes(),
    );
    let mut context = hmac::Context::with_key(&key);
    let user = file(found, USER_JSON).filter(|_| with_user);
    for content in file(found, CLIENT_JSON).into_iter().chain(user) {
        context.update(&content.0);
    }
    let version = found.annotations().get(ANNOTATION_VERSION);
    let version = version.map(String::as_str).unwrap_or_default();
    let tag = context.sign();
    let half = tag.as_ref().iter().take(16);
    let half: String = half.map(|byte| format!("{byte:02x}")).collect();
    let more = user.map_or("", |_| " with user.json");
    Receipt(format!("{version}:{half}{more}"))
}

fn file<'s>(found: &'s KubeSecret, name: &str) -> Option<&'s ByteString> {
    found.data.as_ref()?.get(name)
}

#[async_trait]
impl Destination for KubernetesSecret {
    fn location(&self) -> String {
        format!("secret {}/{}", self.namespace, self.name)
    }

    async fn check(&self) -> Result<(), Failure> {
        let nothing = Bundle {
            version: 0,
            client_json: Secret::new("{}"),
            user_json: None,
            not_after: None,
        };
        self.write(&nothing, true).await.map(drop)
    }

    async fn put(&self, bundle: &Bundle) -> Result<Receipt, Failure> {
        let written = self.write(bundle, false).await?;
        Ok(receipt(&written, self.user))
    }

    async fn look(&self) -> Result<Option<Receipt>, Failure> {
        let found = self.api.get_opt(&self.name).await;
        let found = found.map_err(|error| in_cluster(&self.location(), error))?;
        let ours = found.filter(|found| self.is_ours(found));
        Ok(ours.map(|found| receipt(&found, self.user)))
    }

    async fn remove(&self) -> Result<(), Failure> {
        let found = self.api.get_opt(&self.name).await;
        let found = found.map_err(|error| in_cluster(&self.location(), error))?;
        let Some(found) = found.filter(|found| self.is_ours(found)) else {
            return Ok(());
        };
        // The very one that was looked at.
        let how = DeleteParams::default().preconditions(Preconditions {
            uid: found.uid(),
            resource_version: found.resource_version(),
        });
        match self.api.delete(&self.name, &how).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(in_cluster(&self.location(), error)),
            Ok(_) => Ok(()),
        }
    }
}
