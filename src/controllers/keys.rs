//! By what objects are found besides their names: each of these is a key of the caches' index. Made here alone, so that who
//! looks and what is kept agree.

use kube::ResourceExt;

use crate::api::{Approval, OAuthClient, Release, TeamAccount};

/// Of the releases of this application, and of its credentials.
pub fn application(namespace: &str, application: &str) -> String {
    format!("application {namespace}/{application}")
}

/// Of the releases of this version of an application.
pub fn version(namespace: &str, application: &str, version: &str) -> String {
    format!("version {namespace}/{application}/{version}")
}

/// Of the releases of images in this repository, wherever they are.
pub fn repository(uri: &str) -> String {
    format!("repository {uri}")
}

/// Of the approvals of this release.
pub fn release(namespace: &str, release: &str) -> String {
    format!("release {namespace}/{release}")
}

/// Of the accounts in this namespace.
pub fn namespace(namespace: &str) -> String {
    format!("namespace {namespace}")
}

/// The keys of a release.
pub fn of_release(object: &Release) -> Vec<String> {
    let (place, spec) = (object.namespace().unwrap_or_default(), &object.spec);
    let image = object
        .status
        .as_ref()
        .and_then(|status| status.image.as_ref());
    let mut keys = vec![
        application(&place, &spec.application),
        version(&place, &spec.application, &spec.version),
    ];
    keys.extend(image.map(|image| repository(&image.repository)));
    keys
}

/// The keys of an approval.
pub fn of_approval(object: &Approval) -> Vec<String> {
    let place = object.namespace().unwrap_or_default();
    vec![release(&place, &object.spec.release)]
}

/// The keys of credentials.
pub fn of_client(object: &OAuthClient) -> Vec<String> {
    let place = object.namespace().unwrap_or_default();
    vec![application(&place, &object.spec.application)]
}

/// The keys of an account.
pub fn of_account(object: &TeamAccount) -> Vec<String> {
    vec![namespace(&object.namespace().unwrap_or_default())]
}
