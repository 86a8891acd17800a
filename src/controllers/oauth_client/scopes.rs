//! Which scopes a client may hold: those that exist, and only with a grant by the owner of the resource type what an
//! application uses without a person: every scope of the class `Application`, and each of the class `ResourceOwner` if the
//! client gets tokens for which nobody is asked for consent.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;

use super::reasons;
use crate::api::{GrantType, NameState, OAuthClient, ResourceServerSpec, ResourceType, ScopeClass};
use crate::controllers::Caches;
use crate::engine::conditions;

/// Whose client it is, and how it gets tokens.
#[derive(Debug, Clone)]
pub struct Holder<'a> {
    /// Its application.
    pub application: &'a str,
    /// Whose the name of that is.
    pub name: Name,
    /// Whether it gets tokens for which no person is asked.
    pub alone: bool,
    /// Whether persons who are asked read what the owners of scopes wrote for them.
    pub asks: bool,
    /// Whose the resource servers are that the server has from elsewhere, where it has no others.
    pub servers: Option<Vec<ResourceServerSpec>>,
}

impl<'a> Holder<'a> {
    /// As which a client asks.
    pub fn of(client: &'a OAuthClient, caches: &Caches) -> Self {
        let name = caches.names.get(None, &client.spec.application);
        let name = match name.filter(|name| name.spec.state == NameState::Held) {
            None => Name::Unknown,
            Some(name) if Some(&name.spec.owner.namespace) == client.namespace().as_ref() => {
                Name::Ours
            }
            Some(_) => Name::Others,
        };
        let provider = caches.providers.get(None, &client.spec.provider);
        let provider = provider.as_ref().map(|provider| &provider.spec);
        let cognito = provider.and_then(|provider| provider.cognito.as_ref());
        let grants = &client.spec.grant_types;
        Self {
            application: &client.spec.application,
            name,
            // Cognito has people sign in, and asks them for nothing else.
            alone: cognito.is_some() || grants.iter().any(|grant| is_unasked(*grant)),
            // Keycloak gives no token for a password where consent is required.
            asks: provider.is_some_and(|provider| provider.keycloak.is_some())
                && grants.iter().any(|grant| is_asked(*grant))
                && !grants.contains(&GrantType::Password),
            servers: cognito.map(|cognito| cognito.resource_servers.clone()),
        }
    }
}

/// Whether a token is given without that a person is asked: to the application itself (RFC 6749 section 4.4), to a user that is
/// made for it (section 4.3), or for a token that it has (RFC 8693), which can be an application's, too.
fn is_unasked(grant: GrantType) -> bool {
    match grant {
        GrantType::ClientCredentials | GrantType::Password | GrantType::TokenExchange => true,
        GrantType::AuthorizationCode | GrantType::DeviceCode | GrantType::RefreshToken => false,
    }
}

/// Whether a person is there to be asked.
fn is_asked(grant: GrantType) -> bool {
    matches!(grant, GrantType::AuthorizationCode | GrantType::DeviceCode)
}

/// Whether one that holds the scope loses it: a resource type that is there says so.
pub fn is_withdrawn(scope: &str, holder: &Holder<'_>, found: Option<&ResourceType>) -> bool {
    let (type_name, name) = scope.rsplit_once('.').unwrap_or((scope, ""));
    refusal(scope, type_name, name, found, holder).is_some_and(|(taken_away, ..)| taken_away)
}

/// Whose the application's name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// This namespace's.
    Ours,
    /// Nobody's, or nobody knows.
    Unknown,
    /// Another namespace's.
    Others,
}

/// What becomes of the scopes that a client asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// Those that it is registered with.
    pub(super) granted: Vec<String>,
    /// What a person reads who is asked for consent to one of those.
    pub(super) consent: BTreeMap<String, String>,
    /// Why it is not registered with the others, or would not be now.
    pub(super) refused: Vec<(&'static str, String)>,
    /// Those that it holds and that were taken back, be they asked for or not.
    pub(super) withdrawn: BTreeSet<String>,
}

/// Judges each. `held`: with which it is registered now; what it has is taken away only by a resource type that is there and
/// says so, for absence is no order.
pub(super) fn judge(
    asked: &[String],
    held: &BTreeSet<String>,
    holder: &Holder<'_>,
    resource_type: impl Fn(&str) -> Option<ResourceType>,
) -> Judged {
    let mut judged = Judged::default();
    for scope in asked {
        let (type_name, name) = scope.rsplit_once('.').unwrap_or((scope, ""));
        let found = resource_type(type_name);
        if let Some(text) = found.as_ref().and_then(|it| consent(it, name, holder)) {
            judged.consent.insert(scope.clone(), text);
        }
        match refusal(scope, type_name, name, found.as_ref(), holder) {
            None => judged.granted.push(scope.clone()),
            Some((taken_away, reason, message)) => {
                if !taken_away && held.contains(scope) {
                    judged.granted.push(scope.clone());
                }
                judged.refused.push((reason, message));
            }
        }
    }
    judged.granted.sort();
    let granted = &judged.granted;
    judged.consent.retain(|scope, _| granted.contains(scope));
    let withdrawn = held.iter().filter(|scope| {
        let found = resource_type(scope.rsplit_once('.').map_or(scope.as_str(), |it| it.0));
        is_withdrawn(scope, holder, found.as_ref())
    });
    judged.withdrawn = withdrawn.cloned().collect();
    judged
}

/// What a person reads who is asked for consent to that scope: what its owner wrote for that, else what it is.
fn consent(of: &ResourceType, name: &str, holder: &Holder<'_>) -> Option<String> {
    let declared = of.spec.scopes.iter().find(|one| one.name == name)?;
    let is_read = holder.asks && declared.class == ScopeClass::ResourceOwner;
    let text = declared.consent_text.as_ref().unwrap_or(&declared.summary);
    is_read.then(|| text.clone())
}

/// Why not, and whether one who has it loses it.
fn refusal(
    scope: &str,
    type_name: &str,
    name: &str,
    found: Option<&ResourceType>,
    holder: &Holder<'_>,
) -> Option<(bool, &'static str, String)> {
    let by_owner = not_granted(scope, type_name, name, found, holder);
    by_owner.or_else(|| not_handed_over(scope, type_name, found?, holder))
}

/// What the server has from elsewhere is nobody's because they were the first to declare a resource type of its name.
fn not_handed_over(
    scope: &str,
    type_name: &str,
    found: &ResourceType,
    holder: &Holder<'_>,
) -> Option<(bool, &'static str, String)> {
    let application = &found.spec.application;
    let whose = |one: &ResourceServerSpec| one.name == type_name && one.application == *application;
    if holder.servers.as_ref()?.iter().any(whose) {
        return None;
    }
    let message = format!(
        "{scope}: the OAuthProvider does not say that the resource server {type_name} of its user pool is application \
         {application}'s: the platform team, if it knows that it is, adds {{name: {type_name}, application: {application}}} to \
         spec.cognito.resourceServers"
    );
    Some((false, reasons::SCOPE_NOT_GRANTED, message))
}

/// Why not as far as its owner goes.
fn not_granted(
    scope: &str,
    type_name: &str,
    name: &str,
    found: Option<&ResourceType>,
    holder: &Holder<'_>,
) -> Option<(bool, &'static str, String)> {
    let Some(found) = found else {
        let message = format!("{scope}: there is no ResourceType {type_name:?}");
        return Some((false, reasons::SCOPE_NOT_FOUND, message));
    };
    let status = found.status.clone().unwrap_or_default();
    if !conditions::is_true(&status.conditions, "Accepted") {
        let message = format!(
            "{scope}: ResourceType {type_name} is not accepted: its own conditions say why"
        );
        return Some((false, reasons::SCOPE_NOT_FOUND, message));
    }
    let Some(declared) = found.spec.scopes.iter().find(|one| one.name == name) else {
        let message = format!("{scope}: ResourceType {type_name} has no scope {name:?}");
        return Some((false, reasons::SCOPE_NOT_FOUND, message));
    };
    let is_a_persons = declared.class == ScopeClass::ResourceOwner;
    if is_a_persons && !holder.alone {
        return None;
    }
    let application = holder.application;
    if !declared
        .granted_to
        .iter()
        .any(|granted| granted == application)
    {
        let mut message = format!(
            "{scope}: ResourceType {type_name} does not grant it to application {application}: its owner, application {} in \
             namespace {}, adds {application} to grantedTo of the scope",
            found.spec.application, found.spec.namespace
        );
        if is_a_persons && holder.servers.is_none() {
            message.push_str(
                "; or ask for it with an OAuthClient whose spec.grantTypes are without client_credentials, password and \
                 token-exchange, so that persons consent to it",
            );
        }
        return Some((true, reasons::SCOPE_NOT_GRANTED, message));
    }
    // Who has lost the name has lost what was granted to it; that nobody is known to have it takes nothing.
    let is_lost = match holder.name {
        Name::Ours => return None,
        Name::Unknown => false,
        Name::Others => true,
    };
    let message = format!(
        "{scope}: it is granted to application {application}, whose name is not this namespace's"
    );
    Some((is_lost, reasons::SCOPE_NOT_GRANTED, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const READ: &str = "sales-order.read";
    const MINE: &str = "sales-order.mine";

    /// `read` is of the class `Application`, `mine` of `ResourceOwner`.
    fn orders(accepted: bool, read: &[&str], mine: &[&str]) -> ResourceType {
        let accepted = if accepted { "True" } else { "False" };
        serde_json::from_value(json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "ResourceType", "metadata": {"name": "sales-order"},
            "spec": {"application": "shop", "namespace": "team-shop", "scopes": [
                {"name": "read", "summary": "Reads orders.", "class": "Application", "grantedTo": read},
                {"name": "mine", "summary": "Reads one's own orders.", "class": "ResourceOwner", "grantedTo": mine},
            ]},
            "status": {"conditions": [{
                "type": "Accepted", "status": accepted, "reason": "R", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]},
        }))
        .unwrap()
    }

    fn holder(name: Name, alone: bool) -> Holder<'static> {
        Holder {
            application: "api",
            name,
            alone,
            asks: false,
            servers: None,
        }
    }

    fn judged(found: Option<&ResourceType>, held: &[&str], holder: &Holder<'_>) -> Judged {
        let asked = [READ, MINE].map(str::to_owned);
        let held = held.iter().map(|scope| (*scope).to_owned()).collect();
        let of = |name: &str| found.filter(|_| name == "sales-order").cloned();
        judge(&asked, &held, holder, of)
    }

    /// What of the two scopes is granted, and how many are refused.
    fn granted(
        found: Option<&ResourceType>,
        held: &[&str],
        holder: &Holder<'_>,
    ) -> (String, usize) {
        let judged = judged(found, held, holder);
        (judged.granted.join(" "), judged.refused.len())
    }

    #[test]
    fn a_scope_is_held_by_those_whom_its_owner_grants_it() {
        let both = format!("{MINE} {READ}");
        let one = || MINE.to_owned();
        let [ours, unknown, others] =
            [Name::Ours, Name::Unknown, Name::Others].map(|name| holder(name, false));
        let yes = &orders(true, &["api"], &[]);
        assert_eq!(granted(Some(yes), &[], &ours), (both.clone(), 0));
        // Whose name it is not gets nothing; what it has it loses to whoever has the name.
        assert_eq!(granted(Some(yes), &[], &unknown), (one(), 1));
        assert_eq!(granted(Some(yes), &[READ], &unknown), (both, 1));
        assert_eq!(granted(Some(yes), &[READ], &others), (one(), 1));
        let no = &orders(true, &["other"], &[]);
        assert_eq!(granted(Some(no), &[], &ours), (one(), 1));
        // A grant that is taken back is taken away, a resource type that is gone or in trouble takes nothing.
        assert_eq!(granted(Some(no), &[READ], &ours), (one(), 1));
        let withdrawn = judged(Some(no), &[READ, MINE], &ours).withdrawn;
        assert_eq!(withdrawn.into_iter().collect::<Vec<_>>(), [READ]);
        assert_eq!(granted(None, &[READ], &ours), (READ.to_owned(), 2));
        assert_eq!(granted(None, &[], &ours), (String::new(), 2));
        let trouble = &orders(false, &[], &[]);
        let kept = granted(Some(trouble), &[READ], &ours);
        assert_eq!(kept, (READ.to_owned(), 2));
    }

    /// No person is asked.
    #[test]
    fn what_is_a_persons_is_not_held_without_one() {
        let alone = &holder(Name::Ours, true);
        let without = &orders(true, &["api"], &[]);
        let read = (READ.to_owned(), 1);
        assert_eq!(granted(Some(without), &[MINE], alone), read);
        let with = &orders(true, &["api"], &["api"]);
        let both = (format!("{MINE} {READ}"), 0);
        assert_eq!(granted(Some(with), &[], alone), both);
    }

    #[test]
    fn who_gets_tokens_alone_is_known_by_the_grant_types() {
        use GrantType::*;
        for (grant, unasked, asked) in [
            (ClientCredentials, true, false),
            (Password, true, false),
            (TokenExchange, true, false),
            (AuthorizationCode, false, true),
            (DeviceCode, false, true),
            (RefreshToken, false, false),
        ] {
            assert_eq!(
                (is_unasked(grant), is_asked(grant)),
                (unasked, asked),
                "{grant:?}"
            );
        }
    }

    /// And nobody reads anything of what is no person's, or is not had.
    #[test]
    fn who_is_asked_reads_what_the_owner_wrote() {
        let mut orders = orders(true, &["api"], &[]);
        let mut asking = holder(Name::Ours, false);
        assert!(judged(Some(&orders), &[], &asking).consent.is_empty());
        asking.asks = true;
        for text in [None, Some("See your orders.")] {
            orders.spec.scopes[1].consent_text = text.map(str::to_owned);
            let consent = judged(Some(&orders), &[], &asking).consent;
            let read = text.unwrap_or("Reads one's own orders.");
            assert_eq!(consent, [(MINE.to_owned(), read.to_owned())].into());
        }
        asking.alone = true;
        assert!(judged(Some(&orders), &[], &asking).consent.is_empty());
    }

    /// Nobody owns what the server had before because they were the first to declare its name.
    #[test]
    fn a_resource_server_is_whose_the_platform_team_says() {
        let orders = &orders(true, &["api"], &["api"]);
        let with = |name: &str, application: &str| {
            let one = ResourceServerSpec {
                name: name.to_owned(),
                application: application.to_owned(),
            };
            Holder {
                servers: Some(vec![one]),
                ..holder(Name::Ours, true)
            }
        };
        let nobodys = Holder {
            servers: Some(Vec::new()),
            ..holder(Name::Ours, true)
        };
        for other in [nobodys, with("sales-order", "api"), with("billing", "shop")] {
            assert_eq!(granted(Some(orders), &[], &other), (String::new(), 2));
            // What is held is not taken for it.
            assert_eq!(granted(Some(orders), &[READ], &other), (READ.to_owned(), 2));
            let held = judged(Some(orders), &[READ], &other);
            assert!(held.withdrawn.is_empty());
            assert!(held.refused[0].1.contains("spec.cognito.resourceServers"));
        }
        let shops = &with("sales-order", "shop");
        assert_eq!(granted(Some(orders), &[], shops).1, 0);
    }
}
