use super::*;

#[tokio::test(start_paused = true)]
async fn reads_lag_behind_and_writes_do_not() {
    let lag = Duration::from_secs(5);
    let (sim, cloud) = organization(Options {
        visibility_lag: lag,
        ..punctual()
    });
    let accounts = &cloud.accounts;
    let unit = cloud
        .units
        .create_unit(&sim.root_id(), "Test", &Tags::new())
        .await
        .unwrap();
    let again = cloud
        .units
        .create_unit(&sim.root_id(), "Test", &Tags::new())
        .await;
    assert_eq!(code(again), "DuplicateOrganizationalUnitException");
    let root = sim.root_id();
    let units = || all(|page| cloud.units.units_in(&root, page));
    assert!(units().await.0.is_empty());
    pass(5).await;
    assert_eq!(units().await.0.len(), 1);

    let request = accounts.create_account(&new_account("pay")).await.unwrap();
    pass(60).await;
    let RequestState::Succeeded(id) = state_of(&cloud, &request).await else {
        panic!()
    };
    assert_eq!(
        code(accounts.account(&id).await),
        "AccountNotFoundException"
    );
    assert_eq!(
        code(accounts.parent_of(&id).await),
        "ChildNotFoundException"
    );
    assert_eq!(all(|page| accounts.accounts(page)).await.0.len(), 1);
    // The truth is known to writes.
    assert!(accounts.tag(&id, &tags(&[("a", "1")])).await.is_ok());
    pass(5).await;
    assert_eq!(accounts.account(&id).await.unwrap().name, "pay");
    assert_eq!(all(|page| accounts.accounts(page)).await.0.len(), 2);

    accounts.move_account(&id, &root, &unit.id).await.unwrap();
    assert_eq!(accounts.parent_of(&id).await.unwrap(), root);
    assert!(
        all(|page| accounts.accounts_in(&unit.id, page))
            .await
            .0
            .is_empty()
    );
    let again = accounts.move_account(&id, &root, &unit.id).await;
    assert_eq!(code(again), "DuplicateAccountException");
    pass(5).await;
    assert_eq!(accounts.parent_of(&id).await.unwrap(), unit.id);
    assert_eq!(
        all(|page| accounts.accounts_in(&unit.id, page))
            .await
            .0
            .len(),
        1
    );
    assert_eq!(
        all(|page| accounts.accounts_in(&root, page)).await.0.len(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_place_that_was_left_is_never_shown_again() {
    let lag = Duration::from_secs(5);
    let (sim, cloud) = organization(Options {
        visibility_lag: lag,
        ..punctual()
    });
    let id = sim.add_member("m@example.com", "m", Tags::new());
    let (a, b) = (sim.ensure_unit(&path("/A")), sim.ensure_unit(&path("/B")));
    cloud
        .accounts
        .move_account(&id, &sim.root_id(), &a)
        .await
        .unwrap();
    pass(2).await;
    cloud.accounts.move_account(&id, &a, &b).await.unwrap();
    pass(3).await;
    assert_eq!(cloud.accounts.parent_of(&id).await.unwrap(), sim.root_id());
    pass(2).await;
    assert_eq!(cloud.accounts.parent_of(&id).await.unwrap(), b);
}

#[tokio::test(start_paused = true)]
async fn a_new_request_may_be_missing_from_the_list() {
    let lag = Duration::from_secs(3);
    let (_sim, cloud) = organization(Options {
        request_lag: lag,
        ..punctual()
    });
    let request = cloud
        .accounts
        .create_account(&new_account("pay"))
        .await
        .unwrap();
    let list = || cloud.accounts.create_requests(true, None);
    assert!(list().await.unwrap().items.is_empty());
    assert_eq!(
        code(cloud.accounts.create_request(&request.id).await),
        "CreateAccountStatusNotFoundException"
    );
    pass(3).await;
    assert_eq!(list().await.unwrap().items, [request]);
}

#[tokio::test(start_paused = true)]
async fn a_new_name_may_take_hours() {
    let lag = Duration::from_secs(4 * 3600);
    let (sim, cloud) = organization(Options {
        rename_lag: lag,
        ..punctual()
    });
    let id = sim.add_member("m@example.com", "m", Tags::new());
    cloud
        .settings
        .rename(&id, &"n".parse().unwrap())
        .await
        .unwrap();
    pass(4 * 3600 - 1).await;
    assert_eq!(cloud.accounts.account(&id).await.unwrap().name, "m");
    pass(1).await;
    assert_eq!(cloud.accounts.account(&id).await.unwrap().name, "n");
}
