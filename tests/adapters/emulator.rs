//! Against moto: the shape of the requests and the reading of the answers.

use std::path::Path;
use std::time::Duration;

use bailiwick::cloud::aws::connect_with;
use bailiwick::cloud::{
    Account, Cloud, CloudError, ErrorKind, Page, ParentId, RequestId, RequestState,
};
use bailiwick::dev::{Assets, Moto};
use bailiwick::model::{
    AccountId, AccountState, AlternateContact, ContactKind, PasswordPolicy, Tags,
};
use k8s_openapi::jiff::Timestamp;
use tokio::sync::OnceCell;

use super::{base, credentials, new_account, options};

/// One emulator for all tests; it ends with this process. They use different accounts.
static EMULATOR: OnceCell<Moto> = OnceCell::const_new();

/// Where the emulator is.
pub async fn endpoint() -> &'static str {
    let emulator = EMULATOR
        .get_or_init(async || {
            let assets = Assets::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
            let emulator = Moto::start(&assets).await.unwrap();
            emulator.create_organization().unwrap();
            emulator
        })
        .await;
    emulator.endpoint()
}

pub async fn cloud() -> Cloud {
    let base = base(endpoint().await, credentials()).await;
    connect_with(&base, &options()).await.unwrap()
}

/// Makes an account; the emulator does so at once.
pub async fn make(cloud: &Cloud, name: &str) -> AccountId {
    let request = cloud
        .accounts
        .create_account(&new_account(name))
        .await
        .unwrap();
    match request.state {
        RequestState::Succeeded(id) => id,
        other => panic!("{other:?}"),
    }
}

/// All pages of a list, and how long each was.
async fn pages<T>(
    list: impl AsyncFn(Option<String>) -> Result<Page<T>, CloudError>,
) -> (Vec<T>, Vec<usize>) {
    let (mut all, mut lengths, mut next) = (Vec::new(), Vec::new(), None);
    loop {
        let page = list(next).await.unwrap();
        lengths.push(page.items.len());
        all.extend(page.items);
        next = page.next;
        if next.is_none() {
            return (all, lengths);
        }
    }
}

fn nobody() -> AccountId {
    "999999999999".parse().unwrap()
}

#[tokio::test]
async fn an_account_is_requested_and_found() {
    let cloud = cloud().await;
    let accounts = &cloud.accounts;
    let request = accounts
        .create_account(&new_account("found"))
        .await
        .unwrap();
    assert_eq!(request.account_name, "found");
    let RequestState::Succeeded(id) = request.state.clone() else {
        panic!("{request:?}")
    };
    let age = Timestamp::now().duration_since(request.requested.unwrap());
    assert!(age.unsigned_abs() < Duration::from_secs(600), "{age:?}");
    assert_eq!(accounts.create_request(&request.id).await.unwrap(), request);

    let account = accounts.account(&id).await.unwrap();
    assert!(account.joined.is_some());
    let expected = Account {
        id: id.clone(),
        name: "found".to_owned(),
        email: "aws+found@example.com".to_owned(),
        state: AccountState::Active,
        joined: account.joined,
    };
    assert_eq!(account, expected);
    let (all, _) = pages(async |page| accounts.accounts(page).await).await;
    assert!(all.contains(&expected));
    let (none, _) = pages(async |page| accounts.create_requests(true, page).await).await;
    assert!(
        none.is_empty(),
        "the emulator makes accounts at once: {none:?}"
    );
}

#[tokio::test]
async fn lists_come_in_pages_of_twenty() {
    let cloud = cloud().await;
    let root = cloud.units.root().await.unwrap();
    let unit = cloud
        .units
        .create_unit(&root, "paged", &Tags::new())
        .await
        .unwrap();
    let mut made = Vec::new();
    for n in 0..43 {
        let id = make(&cloud, &format!("paged-{n}")).await;
        cloud
            .accounts
            .move_account(&id, &root, &unit.id)
            .await
            .unwrap();
        made.push(id);
        cloud
            .units
            .create_unit(&unit.id, &format!("below-{n}"), &Tags::new())
            .await
            .unwrap();
    }
    made.sort();

    let (inside, lengths) =
        pages(async |page| cloud.accounts.accounts_in(&unit.id, page).await).await;
    let mut inside: Vec<_> = inside.into_iter().map(|account| account.id).collect();
    inside.sort();
    assert_eq!((inside, lengths), (made.clone(), vec![20, 20, 3]));

    let (all, lengths) = pages(async |page| cloud.accounts.accounts(page).await).await;
    assert!(
        made.iter()
            .all(|id| all.iter().any(|account| account.id == *id))
    );
    assert!(
        lengths.len() >= 2 && lengths.iter().all(|length| *length <= 20),
        "{lengths:?}"
    );

    let (requests, lengths) =
        pages(async |page| cloud.accounts.create_requests(false, page).await).await;
    let ours = requests
        .iter()
        .filter(|request| request.account_name.starts_with("paged-"));
    assert_eq!(ours.count(), 43);
    assert!(
        lengths.len() >= 2 && lengths.iter().all(|length| *length <= 20),
        "{lengths:?}"
    );

    let (units, lengths) = pages(async |page| cloud.units.units_in(&unit.id, page).await).await;
    assert!(units.iter().any(|unit| unit.name == "below-42"));
    assert_eq!((units.len(), lengths), (43, vec![20, 20, 3]));
}

#[tokio::test]
async fn an_account_is_placed() {
    let cloud = cloud().await;
    let root = cloud.units.root().await.unwrap();
    let unit = cloud
        .units
        .create_unit(&root, "placed", &Tags::new())
        .await
        .unwrap();
    assert_eq!(unit.name, "placed");
    let id = make(&cloud, "placed").await;
    assert_eq!(cloud.accounts.parent_of(&id).await.unwrap(), root);
    cloud
        .accounts
        .move_account(&id, &root, &unit.id)
        .await
        .unwrap();
    assert_eq!(cloud.accounts.parent_of(&id).await.unwrap(), unit.id);
}

#[tokio::test]
async fn tags_are_born_with_the_account_and_can_change() {
    let cloud = cloud().await;
    let id = make(&cloud, "tagged").await;
    let tags = |pairs: &[(&str, &str)]| -> Tags {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    let born = tags(&[("bailiwick.dev/uid", "tagged")]);
    assert_eq!(cloud.accounts.tags(&id).await.unwrap(), born);
    let more = tags(&[("team", "payments"), ("cost", "42 €?")]);
    // `€` is not one of AWS's letters, but what is sent must be what is meant.
    cloud.accounts.tag(&id, &more).await.unwrap();
    cloud
        .accounts
        .untag(&id, &["bailiwick.dev/uid".to_owned()])
        .await
        .unwrap();
    assert_eq!(cloud.accounts.tags(&id).await.unwrap(), more);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let cloud = cloud().await;
    let (accounts, id) = (&cloud.accounts, make(&cloud, "lonely").await);
    let nowhere = ParentId("ou-abcd-12345678".to_owned());
    let root = cloud.units.root().await.unwrap();
    let car = RequestId("car-00000000000000000000000000000000".to_owned());
    for (what, kind) in [
        ("account", accounts.account(&nobody()).await.unwrap_err()),
        ("request", accounts.create_request(&car).await.unwrap_err()),
        ("parent", accounts.parent_of(&nobody()).await.unwrap_err()),
        (
            "unit",
            accounts.accounts_in(&nowhere, None).await.unwrap_err(),
        ),
        (
            "units",
            cloud.units.units_in(&nowhere, None).await.unwrap_err(),
        ),
        (
            "destination",
            accounts
                .move_account(&id, &root, &nowhere)
                .await
                .unwrap_err(),
        ),
        ("tags", accounts.tags(&nobody()).await.unwrap_err()),
        (
            "close",
            accounts
                .close_account(&nobody(), Default::default())
                .await
                .unwrap_err(),
        ),
    ] {
        assert_eq!(kind.kind, ErrorKind::NotFound, "{what}: {kind}");
        assert!(kind.code.ends_with("NotFoundException"), "{what}: {kind}");
    }
}

#[tokio::test]
async fn a_closed_account_is_leaving_and_stays_closed() {
    let cloud = cloud().await;
    let id = make(&cloud, "closed").await;
    cloud
        .accounts
        .close_account(&id, Default::default())
        .await
        .unwrap();
    assert!(
        cloud
            .accounts
            .account(&id)
            .await
            .unwrap()
            .state
            .is_leaving()
    );
    let again = cloud
        .accounts
        .close_account(&id, Default::default())
        .await
        .unwrap_err();
    assert_eq!(
        (again.kind, again.code.as_str()),
        (ErrorKind::AlreadyExists, "AccountAlreadyClosedException")
    );
    assert_eq!(again.operation, "organizations.CloseAccount");
}

#[tokio::test]
async fn contacts_are_kept_per_account_and_kind() {
    let cloud = cloud().await;
    let (one, other) = (
        make(&cloud, "contact-1").await,
        make(&cloud, "contact-2").await,
    );
    let contact = AlternateContact {
        name: "Security Desk".to_owned(),
        title: "On call".to_owned(),
        email: "security@example.com".to_owned(),
        phone: "+49 30 1234567".to_owned(),
    };
    let settings = &cloud.settings;
    assert_eq!(
        settings.contact(&one, ContactKind::Security).await.unwrap(),
        None
    );
    settings
        .put_contact(&one, ContactKind::Security, &contact)
        .await
        .unwrap();
    assert_eq!(
        settings.contact(&one, ContactKind::Security).await.unwrap(),
        Some(contact)
    );
    assert_eq!(
        settings.contact(&one, ContactKind::Billing).await.unwrap(),
        None
    );
    assert_eq!(
        settings
            .contact(&other, ContactKind::Security)
            .await
            .unwrap(),
        None
    );
}

/// The emulator answers these with a page of HTML, as a proxy might.
#[tokio::test]
async fn what_the_emulator_lacks_is_an_error_with_words() {
    let cloud = cloud().await;
    let (settings, id) = (&cloud.settings, make(&cloud, "lacking").await);
    let email = "aws+new@example.com".parse().unwrap();
    let region = "af-south-1".parse().unwrap();
    for error in [
        settings.region(&id, region).await.unwrap_err(),
        settings.enable_region(&id, region).await.unwrap_err(),
        settings
            .rename(&id, &"other".parse().unwrap())
            .await
            .unwrap_err(),
        settings.start_email_update(&id, &email).await.unwrap_err(),
        settings
            .accept_email_update(&id, &email, "123456")
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::Unknown, "{error}");
        assert_eq!(error.code, "HTTP 404", "{error}");
        assert!(!error.message.contains('<'), "{error}");
    }
}

#[tokio::test]
async fn members_are_entered_and_apart() {
    let cloud = cloud().await;
    let role = "Access".parse().unwrap();
    let (one, other) = (
        make(&cloud, "member-1").await,
        make(&cloud, "member-2").await,
    );
    assert!(cloud.sessions.entered(&one, &role).is_none());
    let inside_one = cloud.sessions.enter(&one, &role).await.unwrap();
    let inside_other = cloud.sessions.enter(&other, &role).await.unwrap();
    assert!(cloud.sessions.entered(&one, &role).is_some());

    inside_one
        .set_alias(&"acme-payments".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(
        inside_one.alias().await.unwrap().as_deref(),
        Some("acme-payments")
    );
    assert_eq!(inside_other.alias().await.unwrap(), None);
    inside_one
        .set_alias(&"acme-payments-2".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(
        inside_one.alias().await.unwrap().as_deref(),
        Some("acme-payments-2")
    );

    assert_eq!(inside_one.password_policy().await.unwrap(), None);
    let strict = PasswordPolicy {
        minimum_length: 16,
        require_uppercase: true,
        require_lowercase: true,
        require_numbers: true,
        require_symbols: true,
        allow_users_to_change: true,
        max_age_days: Some(90),
        reuse_prevention: Some(24),
        hard_expiry: true,
    };
    let lax = PasswordPolicy {
        minimum_length: 8,
        ..PasswordPolicy::default()
    };
    for policy in [strict, lax] {
        inside_one.put_password_policy(&policy).await.unwrap();
        assert_eq!(inside_one.password_policy().await.unwrap(), Some(policy));
    }
    assert_eq!(inside_other.password_policy().await.unwrap(), None);
}
