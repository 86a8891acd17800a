use serde_json::json;

use super::*;

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
fn granted(found: Option<&ResourceType>, held: &[&str], holder: &Holder<'_>) -> (String, usize) {
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
