use super::*;
use crate::cloud::RegionState;
use crate::model::{AccountState, AlternateContact, ContactKind, REGIONS, Region};

fn contact(name: &str) -> AlternateContact {
    AlternateContact {
        name: name.into(),
        title: "On call".into(),
        email: "oncall@example.com".into(),
        phone: "+49 30 1".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn contacts_are_kept_by_kind() {
    let (sim, cloud) = organization(punctual());
    let id = sim.add_member("m@example.com", "m", Tags::new());
    let settings = &cloud.settings;
    assert_eq!(
        settings.contact(&id, ContactKind::Billing).await.unwrap(),
        None
    );
    settings
        .put_contact(&id, ContactKind::Billing, &contact("Ada"))
        .await
        .unwrap();
    assert_eq!(
        settings.contact(&id, ContactKind::Billing).await.unwrap(),
        Some(contact("Ada"))
    );
    assert_eq!(
        settings.contact(&id, ContactKind::Security).await.unwrap(),
        None
    );
    sim.set_contact_behind(&id, ContactKind::Billing, None);
    assert_eq!(sim.contact(&id, ContactKind::Billing), None);
    let bad = settings
        .put_contact(&id, ContactKind::Billing, &contact(""))
        .await;
    assert_eq!(code(bad), "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn only_open_members_of_a_trusting_organization_are_served() {
    let (sim, cloud) = organization(punctual());
    let settings = &cloud.settings;
    let name = "n".parse().unwrap();
    assert_eq!(
        kind(settings.rename(&sim.management_account(), &name).await),
        ErrorKind::Denied
    );
    assert_eq!(
        kind(
            settings
                .rename(&"000000000000".parse().unwrap(), &name)
                .await
        ),
        ErrorKind::Denied
    );
    let id = sim.add_member("m@example.com", "m", Tags::new());
    sim.set_state_behind(&id, AccountState::Suspended);
    assert_eq!(kind(settings.rename(&id, &name).await), ErrorKind::Denied);
    sim.set_state_behind(&id, AccountState::Active);
    settings.rename(&id, &name).await.unwrap();
    assert_eq!(sim.account(&id).unwrap().name, "n");
    sim.configure(|options| options.account_management_trusted = false);
    let answer = settings.contact(&id, ContactKind::Billing).await;
    assert_eq!(code(answer), "AccessDeniedException");
}

#[tokio::test(start_paused = true)]
async fn an_address_changes_with_the_right_code_only() {
    let (sim, cloud) = organization(punctual());
    let id = sim.add_member("old@example.com", "m", Tags::new());
    let settings = &cloud.settings;
    let email = "new@example.com".parse().unwrap();
    let other = "other@example.com".parse().unwrap();
    let accept = async |email, code: &str| settings.accept_email_update(&id, email, code).await;
    assert_eq!(
        code(accept(&email, "000000").await),
        "ResourceNotFoundException"
    );
    settings.start_email_update(&id, &email).await.unwrap();
    let sent = sim.email_code(&id).unwrap();
    assert_eq!(sent.len(), 6);
    let wrong = if sent == "000000" { "000001" } else { "000000" };
    assert_eq!(kind(accept(&email, wrong).await), ErrorKind::Invalid);
    assert_eq!(kind(accept(&other, &sent).await), ErrorKind::Invalid);
    assert_eq!(
        cloud.accounts.account(&id).await.unwrap().email,
        "old@example.com"
    );
    accept(&email, &sent).await.unwrap();
    assert_eq!(
        cloud.accounts.account(&id).await.unwrap().email,
        "new@example.com"
    );
    assert_eq!(sim.email_code(&id), None);
    // The old address is free, the new one is not.
    let second = sim.add_member("second@example.com", "s", Tags::new());
    let taken = settings.start_email_update(&second, &email).await;
    assert_eq!(code(taken), "ConflictException");
    settings
        .start_email_update(&second, &"old@example.com".parse().unwrap())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn codes_run_out_and_are_not_sent_without_end() {
    let (sim, cloud) = organization(punctual());
    let id = sim.add_member("old@example.com", "m", Tags::new());
    let settings = &cloud.settings;
    let email = "new@example.com".parse().unwrap();
    for _ in 0..3 {
        settings.start_email_update(&id, &email).await.unwrap();
    }
    assert_eq!(
        kind(settings.start_email_update(&id, &email).await),
        ErrorKind::Throttled
    );
    pass(30).await;
    settings.start_email_update(&id, &email).await.unwrap();
    assert_eq!(sim.email_codes_sent(&id), 4);
    let sent = sim.email_code(&id).unwrap();
    pass(600).await;
    let late = settings.accept_email_update(&id, &email, &sent).await;
    assert_eq!(code(late), "ValidationException");
}

fn regions(opt_in: bool) -> impl Iterator<Item = Region> {
    REGIONS
        .iter()
        .copied()
        .filter(move |region| region.is_opt_in() == opt_in)
}

#[tokio::test(start_paused = true)]
async fn opting_in_takes_minutes() {
    let (sim, cloud) = organization(punctual());
    let id = sim.add_member("m@example.com", "m", Tags::new());
    let settings = &cloud.settings;
    let default_on = regions(false).next().unwrap();
    let region = regions(true).next().unwrap();
    assert_eq!(
        settings.region(&id, default_on).await.unwrap(),
        RegionState::Enabled
    );
    assert_eq!(
        code(settings.enable_region(&id, default_on).await),
        "ValidationException"
    );
    assert_eq!(
        settings.region(&id, region).await.unwrap(),
        RegionState::Disabled
    );
    settings.enable_region(&id, region).await.unwrap();
    assert_eq!(
        settings.region(&id, region).await.unwrap(),
        RegionState::Enabling
    );
    assert_eq!(
        code(settings.enable_region(&id, region).await),
        "ConflictException"
    );
    pass(300).await;
    assert_eq!(
        settings.region(&id, region).await.unwrap(),
        RegionState::Enabled
    );
    settings.enable_region(&id, region).await.unwrap();
    sim.set_region_behind(&id, region, RegionState::Disabling);
    assert_eq!(
        code(settings.enable_region(&id, region).await),
        "ConflictException"
    );
}

#[tokio::test(start_paused = true)]
async fn few_regions_are_enabled_at_once() {
    let (sim, cloud) = organization(punctual());
    let settings = &cloud.settings;
    let mut enabled = 0;
    for n in 0..10 {
        let id = sim.add_member(&format!("m{n}@example.com"), "m", Tags::new());
        for region in regions(true).take(7) {
            match settings.enable_region(&id, region).await {
                Ok(()) => enabled += 1,
                Err(error) => assert_eq!(error.kind, ErrorKind::Throttled),
            }
        }
        assert!(sim.account(&id).unwrap().regions.len() <= 6);
    }
    assert_eq!(enabled, 50);
    pass(300).await;
    let id = sim.accounts().remove(0).id;
    let free = regions(true).nth(10).unwrap();
    settings.enable_region(&id, free).await.unwrap();
}
