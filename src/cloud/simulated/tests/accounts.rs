use super::*;
use crate::cloud::ParentId;
use crate::model::AccountState;

#[tokio::test(start_paused = true)]
async fn lists_come_in_pages_of_twenty() {
    let (sim, cloud) = organization(punctual());
    for n in 0..41 {
        sim.add_member(&format!("m{n}@example.com"), &format!("m{n}"), Tags::new());
    }
    // The management account is one more.
    let (accounts, pages) = all(|page| cloud.accounts.accounts(page)).await;
    assert_eq!((accounts.len(), pages), (42, 3));
    let root = sim.root_id();
    let (accounts, pages) = all(|page| cloud.accounts.accounts_in(&root, page)).await;
    assert_eq!((accounts.len(), pages), (42, 3));
    let members = sim.accounts();
    for member in members.iter().take(22) {
        sim.move_behind(&member.id, &path("/Workloads"));
    }
    let (accounts, pages) = all(|page| cloud.accounts.accounts_in(&root, page)).await;
    assert_eq!((accounts.len(), pages), (20, 1));

    let bad = cloud.accounts.accounts(Some("nonsense".into())).await;
    assert_eq!(reason(bad), "INVALID_PAGINATION_TOKEN");
    let bad = cloud
        .accounts
        .accounts_in(&ParentId("ou-no-such".into()), None)
        .await;
    assert_eq!(code(bad), "ParentNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn an_empty_page_need_not_be_the_last() {
    let (sim, cloud) = organization(Options {
        empty_page_rate: 0.5,
        ..punctual()
    });
    for n in 0..60 {
        sim.add_member(&format!("m{n}@example.com"), &format!("m{n}"), Tags::new());
    }
    let (accounts, pages) = all(|page| cloud.accounts.accounts(page)).await;
    assert_eq!(accounts.len(), 61);
    assert!(pages > 4, "{pages}");
}

#[tokio::test(start_paused = true)]
async fn a_move_must_name_the_present_parent() {
    let (sim, cloud) = organization(punctual());
    let id = sim.add_member("m@example.com", "m", Tags::new());
    let (root, test, live) = (
        sim.root_id(),
        sim.ensure_unit(&path("/Test")),
        sim.ensure_unit(&path("/Live")),
    );
    let none = ParentId("ou-none".into());
    let accounts = &cloud.accounts;
    assert_eq!(
        code(accounts.move_account(&id, &test, &live).await),
        "SourceParentNotFoundException"
    );
    assert_eq!(
        code(accounts.move_account(&id, &none, &live).await),
        "SourceParentNotFoundException"
    );
    assert_eq!(
        code(accounts.move_account(&id, &root, &none).await),
        "DestinationParentNotFoundException"
    );
    accounts.move_account(&id, &root, &test).await.unwrap();
    assert_eq!(accounts.parent_of(&id).await.unwrap(), test);
    assert_eq!(sim.parent_path(&id).unwrap(), path("/Test"));
    let again = accounts.move_account(&id, &root, &test).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::AlreadyExists);
    assert_eq!(again.code, "DuplicateAccountException");
}

#[tokio::test(start_paused = true)]
async fn unknown_accounts_are_not_found() {
    let (_sim, cloud) = organization(punctual());
    let id: AccountId = "000000000000".parse().unwrap();
    let root = cloud.units.root().await.unwrap();
    let accounts = &cloud.accounts;
    assert_eq!(
        code(accounts.account(&id).await),
        "AccountNotFoundException"
    );
    assert_eq!(
        code(accounts.parent_of(&id).await),
        "ChildNotFoundException"
    );
    assert_eq!(
        code(accounts.move_account(&id, &root, &root).await),
        "AccountNotFoundException"
    );
    assert_eq!(code(accounts.tags(&id).await), "TargetNotFoundException");
    assert_eq!(
        code(accounts.tag(&id, &Tags::new()).await),
        "TargetNotFoundException"
    );
    assert_eq!(
        code(accounts.untag(&id, &[]).await),
        "TargetNotFoundException"
    );
    assert_eq!(
        code(accounts.close_account(&id, Default::default()).await),
        "AccountNotFoundException"
    );
}

#[tokio::test(start_paused = true)]
async fn tags_are_set_replaced_and_removed() {
    let (sim, cloud) = organization(punctual());
    let id = sim.add_member("m@example.com", "m", tags(&[("a", "1"), ("b", "2")]));
    let accounts = &cloud.accounts;
    accounts
        .tag(&id, &tags(&[("b", "3"), ("c", "")]))
        .await
        .unwrap();
    accounts
        .untag(&id, &["a".into(), "never".into()])
        .await
        .unwrap();
    assert_eq!(
        accounts.tags(&id).await.unwrap(),
        tags(&[("b", "3"), ("c", "")])
    );

    let many: Tags = (0..49).map(|n| (format!("k{n}"), String::new())).collect();
    assert_eq!(
        reason(accounts.tag(&id, &many).await),
        "MAX_TAG_LIMIT_EXCEEDED"
    );
    assert_eq!(sim.tags(&id).len(), 2);
    let bad = accounts.tag(&id, &tags(&[("semi;colon", "x")])).await;
    assert_eq!(reason(bad), "INVALID_PATTERN");
    let bad = accounts.tag(&id, &tags(&[("k", &"v".repeat(257))])).await;
    assert_eq!(reason(bad), "MAX_LENGTH_EXCEEDED");
}

#[tokio::test(start_paused = true)]
async fn what_others_do_is_seen() {
    let (sim, cloud) = organization(punctual());
    let id = sim.add_member("m@example.com", "m", tags(&[("a", "1")]));
    sim.retag_behind(&id, "a", None);
    sim.retag_behind(&id, "b", Some("2"));
    sim.rename_behind(&id, "other");
    sim.set_email_behind(&id, "new@example.com");
    sim.move_behind(&id, &path("/Else/Where"));
    sim.set_state_behind(&id, AccountState::from_aws("FROZEN"));
    let account = cloud.accounts.account(&id).await.unwrap();
    assert_eq!(
        (account.name.as_str(), account.email.as_str()),
        ("other", "new@example.com")
    );
    assert_eq!(account.state, AccountState::Unknown("FROZEN".into()));
    assert_eq!(cloud.accounts.tags(&id).await.unwrap(), tags(&[("b", "2")]));
    let parent = cloud.accounts.parent_of(&id).await.unwrap();
    let (there, _) = all(|page| cloud.accounts.accounts_in(&parent, page)).await;
    assert_eq!(there, [account]);
    assert_eq!(sim.unit_paths(), [path("/Else"), path("/Else/Where")]);

    sim.leave_behind(&id);
    assert_eq!(
        code(cloud.accounts.account(&id).await),
        "AccountNotFoundException"
    );
    let (there, _) = all(|page| cloud.accounts.accounts_in(&parent, page)).await;
    assert!(there.is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_accounts_of_one_owner_are_found() {
    let (sim, cloud) = organization(punctual());
    let first = created(&cloud, "pay").await;
    assert!(sim.duplicates().is_empty());
    let second = sim.add_member("x@example.com", "x", tags(&[("bailiwick.dev/uid", "pay")]));
    let third = sim.add_member("y@example.com", "y", Tags::new());
    let found = sim.duplicates();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["pay"]);
    assert_eq!(found["pay"], [first, second].into());
    assert_eq!(sim.orphans(&["pay".to_owned()].into()), [third]);
}
