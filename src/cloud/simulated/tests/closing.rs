use super::super::Flapping;
use super::*;
use crate::model::AccountState;

const DAY: u64 = 24 * 3600;

fn members(sim: &SimulatedCloud, count: usize) -> Vec<AccountId> {
    let add = |n| sim.add_member(&format!("m{n}@example.com"), &format!("m{n}"), Tags::new());
    (0..count).map(add).collect()
}

#[tokio::test(start_paused = true)]
async fn a_closed_account_is_out_of_reach_and_listed_for_ninety_days() {
    let (sim, cloud) = organization(punctual());
    let id = created(&cloud, "pay").await;
    let role = "Access".parse().unwrap();
    let inside = cloud.sessions.enter(&id, &role).await.unwrap();
    cloud
        .accounts
        .close_account(&id, Default::default())
        .await
        .unwrap();
    let state = async || cloud.accounts.account(&id).await.unwrap().state;
    assert_eq!(state().await, AccountState::PendingClosure);
    assert_eq!(
        code(cloud.accounts.close_account(&id, Default::default()).await),
        "ConflictException"
    );
    assert_eq!(kind(inside.alias().await), ErrorKind::Denied);
    assert!(sim.cloud().sessions.enter(&id, &role).await.is_err());
    let contact = crate::model::ContactKind::Billing;
    assert!(cloud.settings.contact(&id, contact).await.is_ok());

    pass(120).await;
    assert_eq!(state().await, AccountState::Closed);
    let again = cloud
        .accounts
        .close_account(&id, Default::default())
        .await
        .unwrap_err();
    assert_eq!(again.code, "AccountAlreadyClosedException");
    assert_eq!(again.kind, ErrorKind::AlreadyExists);

    pass(90 * DAY - 1).await;
    assert_eq!(state().await, AccountState::Closed);
    pass(1).await;
    assert_eq!(
        code(cloud.accounts.account(&id).await),
        "AccountNotFoundException"
    );
    // Its address stays taken for ever.
    let request = cloud
        .accounts
        .create_account(&new_account("pay"))
        .await
        .unwrap();
    pass(60).await;
    let expected = RequestState::Failed("EMAIL_ALREADY_EXISTS".into());
    assert_eq!(state_of(&cloud, &request).await, expected);
}

#[tokio::test(start_paused = true)]
async fn the_management_account_cannot_be_closed() {
    let (sim, cloud) = organization(punctual());
    let answer = cloud
        .accounts
        .close_account(&sim.management_account(), Default::default())
        .await;
    assert_eq!(reason(answer), "CANNOT_CLOSE_MANAGEMENT_ACCOUNT");
}

#[tokio::test(start_paused = true)]
async fn three_closures_are_in_progress_at_most() {
    let (sim, cloud) = organization(punctual());
    let ids = members(&sim, 4);
    for id in &ids[..3] {
        cloud
            .accounts
            .close_account(id, Default::default())
            .await
            .unwrap();
    }
    let refused = cloud
        .accounts
        .close_account(&ids[3], Default::default())
        .await
        .unwrap_err();
    assert_eq!(
        refused.reason.as_deref(),
        Some("CLOSE_ACCOUNT_REQUESTS_LIMIT_EXCEEDED")
    );
    pass(120).await;
    cloud
        .accounts
        .close_account(&ids[3], Default::default())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_quota_rolls_over_thirty_days() {
    let (sim, cloud) = organization(Options {
        close_quota: Some(1),
        ..punctual()
    });
    let ids = members(&sim, 2);
    cloud
        .accounts
        .close_account(&ids[0], Default::default())
        .await
        .unwrap();
    pass(30 * DAY - 1).await;
    let refused = cloud
        .accounts
        .close_account(&ids[1], Default::default())
        .await;
    assert_eq!(reason(refused), "CLOSE_ACCOUNT_QUOTA_EXCEEDED");
    pass(1).await;
    cloud
        .accounts
        .close_account(&ids[1], Default::default())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_given_quota_awss_formula_holds() {
    let (sim, cloud) = organization(Options {
        closures_in_flight: 1000,
        ..punctual()
    });
    for id in members(&sim, 251).iter().take(250) {
        cloud
            .accounts
            .close_account(id, Default::default())
            .await
            .unwrap();
    }
    let last = sim
        .accounts()
        .into_iter()
        .find(|m| m.state == AccountState::Active)
        .unwrap();
    assert_eq!(
        reason(
            cloud
                .accounts
                .close_account(&last.id, Default::default())
                .await
        ),
        "CLOSE_ACCOUNT_QUOTA_EXCEEDED"
    );
}

#[tokio::test(start_paused = true)]
async fn the_state_may_flap_for_some_minutes() {
    let flapping = Flapping {
        period: Duration::from_secs(60),
        lasts: Duration::from_secs(600),
    };
    let (sim, cloud) = organization(Options {
        flapping: Some(flapping),
        ..punctual()
    });
    let id = members(&sim, 1).remove(0);
    cloud
        .accounts
        .close_account(&id, Default::default())
        .await
        .unwrap();
    let mut seen = Vec::new();
    for _ in 0..11 {
        seen.push(cloud.accounts.account(&id).await.unwrap().state.to_string());
        pass(60).await;
    }
    let expected = [
        "PENDING_CLOSURE",
        "ACTIVE",
        "CLOSED",
        "ACTIVE",
        "CLOSED",
        "ACTIVE",
        "CLOSED",
    ];
    assert_eq!(seen[..7], expected);
    assert_eq!(seen[10], "CLOSED");
    let role = "OrganizationAccountAccessRole".parse().unwrap();
    assert!(cloud.sessions.enter(&id, &role).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn closed_may_be_called_suspended_and_reinstated() {
    let options = Options {
        closed_as: AccountState::Suspended,
        ..punctual()
    };
    let (sim, cloud) = organization(options);
    let id = members(&sim, 1).remove(0);
    cloud
        .accounts
        .close_account(&id, Default::default())
        .await
        .unwrap();
    pass(120).await;
    assert_eq!(sim.account(&id).unwrap().state, AccountState::Suspended);
    assert_eq!(
        code(cloud.accounts.close_account(&id, Default::default()).await),
        "AccountAlreadyClosedException"
    );
    sim.set_state_behind(&id, AccountState::Active);
    pass(60 * DAY).await;
    // The 90 days count from the second closure.
    cloud
        .accounts
        .close_account(&id, Default::default())
        .await
        .unwrap();
    pass(60 * DAY).await;
    assert_eq!(sim.account(&id).unwrap().state, AccountState::Suspended);
    pass(31 * DAY).await;
    assert_eq!(sim.account(&id), None);
}
