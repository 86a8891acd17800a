//! Validate: the spec, its application and its provider, parsed into what shall be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::ResourceExt;

use super::{known, reasons, user, workload};
use crate::api::{
    ANNOTATION_RENEW, ANNOTATION_REVOKE, Day, DeliverySpec, GrantType, OAuthClient, OAuthProvider,
    RotationSpec, WindowSpec,
};
use crate::engine::Outcome;
use crate::identity::{ClientMetadata, Description, Method};
use crate::plan::revision::revision;
use crate::plan::rotation::{Auth, OVERLAP, Version, Wanted, Window};

/// How long credentials live if nobody says.
const PERIOD: Duration = Duration::from_secs(30 * 86_400);
/// How long two versions must be valid at least where hosts fetch them (`bailiwick agent credentials`, every 120 s).
const FOR_HOSTS: Duration = Duration::from_secs(300);
/// How soon we look again for something that another controller is about to make.
pub(super) const SOON: Duration = Duration::from_secs(30);

/// What shall be.
pub(super) struct Desired {
    pub(super) wanted: Wanted,
    /// What is registered, without keys.
    pub(super) metadata: ClientMetadata,
    pub(super) period: Duration,
    pub(super) overlap: Duration,
    pub(super) places: Vec<DeliverySpec>,
    pub(super) issuer: String,
    /// What the tokens of a workload must be for.
    pub(super) audience: String,
    pub(super) token_endpoint: String,
}

/// What the spec refers to, as far as it is known.
pub(super) struct Given<'a> {
    pub(super) provider: &'a OAuthProvider,
    pub(super) description: Option<&'a Description>,
    pub(super) scopes: Vec<String>,
    /// What persons read who are asked for consent to one of those.
    pub(super) consent: BTreeMap<String, String>,
    /// What it holds and was taken back.
    pub(super) withdrawn: BTreeSet<String>,
    /// How the version in use authenticates.
    pub(super) in_use: Option<Auth>,
}

/// What shall be.
pub(super) fn desired(object: &OAuthClient, given: Given<'_>) -> Result<Desired, Outcome> {
    let spec = &object.spec;
    let Given {
        provider,
        description,
        scopes,
        consent,
        withdrawn,
        in_use,
    } = given;
    let own = spec.rotation.as_ref();
    let default = provider.spec.rotation.as_ref();
    let field = |of: fn(&RotationSpec) -> Option<&String>| {
        own.and_then(of).or_else(|| default.and_then(of))
    };
    let period = duration(field(|it| it.period.as_ref()), PERIOD)?;
    let overlap = field(|it| it.overlap.as_ref());
    let third = period / 3;
    let overlap = match overlap {
        None => OVERLAP.min(third),
        Some(_) => duration(overlap, OVERLAP)?,
    };
    if overlap > third {
        let message = "spec.rotation.overlap: it may be a third of spec.rotation.period at most: shorten it, or lengthen the \
                       period";
        return Err(Outcome::blocked(reasons::INVALID_SPEC, message));
    }
    if overlap < FOR_HOSTS && spec.delivery.iter().any(|place| place.s3.is_some()) {
        let message = format!(
            "spec.rotation.overlap: hosts fetch what is in S3 every two minutes, and the next time if one fails, so that it \
             must be 5m at least, and the period 15m; it is {} s: lengthen it, or deliver to another kind of place",
            overlap.as_secs()
        );
        return Err(Outcome::blocked(reasons::INVALID_SPEC, message));
    }
    let window = own
        .and_then(|it| it.window.as_ref())
        .or_else(|| default.and_then(|it| it.window.as_ref()));
    let method = method(object, provider, description, in_use)?;
    let names = |of: &Description| of.grant_types.iter().cloned().collect::<BTreeSet<_>>();
    let grant_types = strings(&spec.grant_types);
    if let Some(known) = description.map(names).filter(|known| !known.is_empty())
        && let Some(unknown) = grant_types.iter().find(|one| !known.contains(*one))
        && in_use.is_none()
    {
        let message = format!(
            "spec.grantTypes: OAuthProvider {} has no grant type {unknown}: remove it, or use another provider",
            spec.provider
        );
        return Err(Outcome::blocked(reasons::INVALID_SPEC, message));
    }
    let token_endpoint = description
        .map(|description| description.token_endpoint.to_string())
        .or_else(|| provider.status.as_ref()?.token_endpoint.clone())
        .ok_or_else(|| provider_not_ready(&spec.provider))?;
    let metadata = ClientMetadata {
        name: format!(
            "{} ({}/{})",
            spec.application,
            object.namespace().unwrap_or_default(),
            object.name_any()
        ),
        grant_types,
        redirect_uris: sorted(spec.redirect_uris.clone()),
        scopes,
        consent,
        method,
        keys: Vec::new(),
        subject: None,
    };
    let workload = workload::demand(object, provider, method);
    let annotation = |name: &str| object.annotations().get(name).cloned();
    let desired = Desired {
        wanted: Wanted {
            uid: object.uid().unwrap_or_default(),
            auth: known::of_server(method),
            user: user::is_wanted(object),
            scopes: metadata.scopes.clone(),
            withdrawn,
            revision: workload::revision_of(&workload, revision_of(&metadata)),
            service_account: workload.service_account,
            window: window.map(parsed).transpose()?,
            renew: annotation(ANNOTATION_RENEW),
            revoke: annotation(ANNOTATION_REVOKE),
        },
        metadata,
        period,
        overlap,
        places: spec.delivery.clone(),
        issuer: provider.spec.issuer.clone(),
        audience: workload.audience,
        token_endpoint,
    };
    user::is_confidential(&desired)?;
    Ok(desired)
}

/// The object as far as it can be carried out whatever it says, with what is in use: for what does not wait until somebody
/// has corrected it.
pub(super) fn as_in_use(object: &OAuthClient, current: &Version) -> OAuthClient {
    let mut object = object.clone();
    let spec = &mut object.spec;
    spec.rotation = None;
    spec.auth_method = Some(known::method_of(current.auth));
    spec.service_account.clone_from(&current.service_account);
    if !current.user {
        spec.grant_types.retain(|one| *one != GrantType::Password);
    }
    object
}

/// The server of the provider has not been reached since the operator began.
pub(super) fn provider_not_ready(name: &str) -> Outcome {
    let message = format!("OAuthProvider {name} is not ready yet: its own conditions say why");
    Outcome::waiting(reasons::PROVIDER_NOT_READY, message, SOON)
}

/// How the client authenticates: as declared; else as it does already, for its readers know that way; else the best that the
/// server has.
fn method(
    object: &OAuthClient,
    provider: &OAuthProvider,
    description: Option<&Description>,
    in_use: Option<Auth>,
) -> Result<Method, Outcome> {
    let declared = object
        .spec
        .auth_method
        .map(known::auth_of)
        .map(known::at_server)
        // Whoever names a ServiceAccount wants no credentials, and is given none in secret.
        .or_else(|| Some(Method::WorkloadIdentity).filter(|_| workload::is_named(object)));
    let in_use = in_use.map(known::at_server);
    let in_use = in_use.filter(|it| *it != Method::WorkloadIdentity || workload::is_named(object));
    let Some(description) = description else {
        // What it does already needs no server to be decided.
        return declared
            .or(in_use)
            .ok_or_else(|| provider_not_ready(&provider.name_any()));
    };
    let has = |method: &Method| description.methods.contains(method);
    match declared {
        Some(method) if has(&method) || in_use == Some(method) => Ok(method),
        Some(Method::WorkloadIdentity) => Err(workload::not_offered(provider)),
        Some(_) => {
            let message = format!(
                "spec.authMethod: the server of OAuthProvider {} has not that way to authenticate: choose one of \
                 status.authMethods of the provider, or leave it out",
                provider.name_any()
            );
            Err(Outcome::blocked(reasons::METHOD_NOT_SUPPORTED, message))
        }
        None => {
            let secret =
                |method: &&Method| !matches!(method, Method::WorkloadIdentity | Method::Public);
            let best = description.methods.iter().find(secret).copied();
            in_use.or(best).ok_or_else(|| {
                let message = format!(
                    "the server of OAuthProvider {} has no way to authenticate that bailiwick can make credentials for",
                    provider.name_any()
                );
                Outcome::blocked(reasons::METHOD_NOT_SUPPORTED, message)
            })
        }
    }
}

/// The revision of what is registered, but for keys and secrets.
fn revision_of(metadata: &ClientMetadata) -> String {
    let ClientMetadata {
        name: _,
        grant_types,
        redirect_uris,
        scopes,
        consent,
        method: _,
        keys: _,
        subject: _,
    } = metadata;
    let mut registered = format!("{grant_types:?} {redirect_uris:?} {scopes:?}");
    // What is registered without is what it was before there were such texts.
    if !consent.is_empty() {
        registered.push_str(&format!(" {consent:?}"));
    }
    revision(&registered)
}

fn strings<T: serde::Serialize>(values: &[T]) -> Vec<String> {
    let text = |value: &T| Some(serde_json::to_value(value).ok()?.as_str()?.to_owned());
    sorted(values.iter().filter_map(text).collect())
}

fn sorted(mut values: Vec<String>) -> Vec<String> {
    values.sort();
    values
}

/// `15m`, `24h` or `30d`; the schema knows the pattern.
fn duration(text: Option<&String>, default: Duration) -> Result<Duration, Outcome> {
    let Some(text) = text else {
        return Ok(default);
    };
    let invalid = || {
        let message = format!("rotation: {text:?} is no duration: write 15m, 24h or 30d");
        Outcome::blocked(reasons::INVALID_SPEC, message)
    };
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(invalid)?;
    let seconds: u64 = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(invalid()),
    };
    let number: u64 = number.parse().map_err(|_| invalid())?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

fn parsed(window: &WindowSpec) -> Result<Window, Outcome> {
    let minutes = |text: &str| {
        let invalid = || {
            let message = format!("rotation.window: {text:?} is no time of the day: write 08:30");
            Outcome::blocked(reasons::INVALID_SPEC, message)
        };
        let (hours, minutes) = text.split_once(':').ok_or_else(invalid)?;
        let number = |text: &str| text.parse::<u16>().map_err(|_| invalid());
        Ok(number(hours)? * 60 + number(minutes)?)
    };
    let day = |day: &Day| match day {
        Day::Monday => 0,
        Day::Tuesday => 1,
        Day::Wednesday => 2,
        Day::Thursday => 3,
        Day::Friday => 4,
        Day::Saturday => 5,
        Day::Sunday => 6,
    };
    Ok(Window {
        days: window.days.iter().map(day).collect(),
        from: minutes(&window.from)?,
        to: minutes(&window.to)?,
    })
}
