//! The status and what the machine knows are one and the same, in two forms.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{
    AuthMethod, OAuthClientStatus, RotationCause, RotationStatus, RotationStep, VersionMethod,
    VersionState, VersionStatus,
};
use crate::identity::Method;
use crate::plan::rotation::{Auth, Cause, Known, Open, State, Step, Version, Way};

/// Two words for one thing, both ways.
macro_rules! same {
    ($one:ident, $to:ident: $From:ty = $To:ty, $back:ident { $($a:ident = $b:ident),+ $(,)? }) => {
        pub(super) fn $to($one: $From) -> $To {
            match $one { $(<$From>::$a => <$To>::$b,)+ }
        }
        pub(super) fn $back($one: $To) -> $From {
            match $one { $(<$To>::$b => <$From>::$a,)+ }
        }
    };
}

same!(auth, auth_of: AuthMethod = Auth, method_of {
    WorkloadIdentity = Workload, PrivateKeyJwt = Key, ClientSecretBasic = SecretBasic, ClientSecretPost = SecretPost, None = Public,
});
same!(auth, at_server: Auth = Method, of_server {
    Workload = WorkloadIdentity, Key = PrivateKeyJwt, SecretBasic = SecretBasic, SecretPost = SecretPost, Public = Public,
});
same!(state, state_of: VersionState = State, state_in_status {
    Pending = Pending, Current = Current, Previous = Previous, Retiring = Retiring,
});
same!(way, way_of: VersionMethod = Way, way_in_status { Client = Client, Secret = Secret, Key = Key });
same!(cause, cause_of: RotationCause = Cause, cause_in_status {
    Initial = Initial, Due = Due, Requested = Requested, Changed = Changed, Withdrawn = Withdrawn, Revoked = Revoked, Lost = Lost,
});
same!(step, step_of: RotationStep = Step, step_in_status { Create = Create, Deliver = Deliver, Test = Test });

/// What the status says.
pub(super) fn read(status: &OAuthClientStatus) -> Known {
    let time = |time: &Option<Time>| time.as_ref().map(|time| time.0);
    let is_said = status
        .versions
        .iter()
        .any(|version| !version.scopes.is_empty());
    let version = |version: &VersionStatus| Version {
        number: version.number,
        state: state_of(version.state),
        way: way_of(version.method),
        auth: auth_of(version.auth_method),
        user: version.user,
        service_account: version.service_account.clone(),
        client_id: version.client_id.clone(),
        revision: version.revision.clone(),
        // Those of before there were scopes of each version are registered with what the status says of all.
        scopes: match is_said {
            true => version.scopes.clone(),
            false => status.scopes.clone(),
        },
        created: time(&version.created_at),
        expires: time(&version.expires_at),
        retires: time(&version.retires_at),
    };
    let open = status.rotation.as_ref().map(|open| Open {
        version: open.version,
        cause: cause_of(open.cause),
        step: step_of(open.step),
        started: open.started_at.0,
    });
    Known {
        versions: status.versions.iter().map(version).collect(),
        open,
        newest: status.last_version.unwrap_or(0),
        renewed: status.last_handled_renew_at.clone(),
        revoked: status.last_handled_revoke_at.clone(),
        turn: status.turn,
    }
}

/// Says it in the status.
pub(super) fn write(known: &Known, status: &mut OAuthClientStatus) {
    let version = |version: &Version| VersionStatus {
        number: version.number,
        state: state_in_status(version.state),
        method: way_in_status(version.way),
        auth_method: method_of(version.auth),
        user: version.user,
        service_account: version.service_account.clone(),
        client_id: version.client_id.clone(),
        revision: version.revision.clone(),
        scopes: version.scopes.clone(),
        created_at: version.created.map(Time),
        expires_at: version.expires.map(Time),
        retires_at: version.retires.map(Time),
    };
    status.versions = known.versions.iter().map(version).collect();
    let scopes: BTreeSet<&String> = known.versions.iter().flat_map(|it| &it.scopes).collect();
    status.scopes = scopes.into_iter().cloned().collect();
    status.rotation = known.open.as_ref().map(|open| RotationStatus {
        version: open.version,
        cause: cause_in_status(open.cause),
        step: step_in_status(open.step),
        started_at: Time(open.started),
    });
    status.last_version = (known.newest > 0).then_some(known.newest);
    status.last_handled_renew_at.clone_from(&known.renewed);
    status.last_handled_revoke_at.clone_from(&known.revoked);
    status.turn = known.turn;
    let current = known.current();
    status.version = current.map(|current| current.number);
    status.client_id = current.and_then(|current| current.client_id.clone());
    status.auth_method = current.map(|current| method_of(current.auth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_the_two() {
        let time = |text: &str| Some(Time(text.parse().unwrap()));
        let status = OAuthClientStatus {
            versions: vec![
                VersionStatus {
                    number: 3,
                    state: VersionState::Current,
                    method: VersionMethod::Secret,
                    auth_method: AuthMethod::ClientSecretPost,
                    user: true,
                    service_account: None,
                    client_id: Some("c".to_owned()),
                    revision: "r".to_owned(),
                    scopes: vec!["a.read".to_owned(), "a.write".to_owned()],
                    created_at: time("2026-01-01T00:00:00Z"),
                    expires_at: time("2026-02-01T00:00:00Z"),
                    retires_at: None,
                },
                VersionStatus {
                    number: 4,
                    state: VersionState::Pending,
                    method: VersionMethod::Client,
                    auth_method: AuthMethod::WorkloadIdentity,
                    user: false,
                    service_account: Some("api".to_owned()),
                    client_id: None,
                    revision: "s".to_owned(),
                    scopes: vec!["a.read".to_owned()],
                    created_at: None,
                    expires_at: None,
                    retires_at: time("2026-02-02T00:00:00Z"),
                },
            ],
            rotation: Some(RotationStatus {
                version: 4,
                cause: RotationCause::Changed,
                step: RotationStep::Deliver,
                started_at: time("2026-01-02T00:00:00Z").unwrap(),
            }),
            last_version: Some(4),
            version: Some(3),
            client_id: Some("c".to_owned()),
            auth_method: Some(AuthMethod::ClientSecretPost),
            last_handled_renew_at: Some("a".to_owned()),
            last_handled_revoke_at: Some("b".to_owned()),
            turn: Some(2),
            scopes: vec!["a.read".to_owned(), "a.write".to_owned()],
            ..OAuthClientStatus::default()
        };
        let mut again = OAuthClientStatus::default();
        write(&read(&status), &mut again);
        assert_eq!(again, status);
    }
}
