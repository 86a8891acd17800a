use super::*;
use crate::model::{AccountState, PasswordPolicy, RoleName};

fn usual() -> RoleName {
    "OrganizationAccountAccessRole".parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_alias_is_unique_everywhere_and_replaced_at_home() {
    let (sim, cloud) = organization(punctual());
    sim.add_foreign_alias("theirs");
    let one = sim.add_member("m1@example.com", "m1", Tags::new());
    let two = sim.add_member("m2@example.com", "m2", Tags::new());
    let inside = cloud.sessions.enter(&one, &usual()).await.unwrap();
    let other = cloud.sessions.enter(&two, &usual()).await.unwrap();
    assert_eq!(inside.alias().await.unwrap(), None);
    assert_eq!(
        code(inside.set_alias(&"theirs".parse().unwrap()).await),
        "EntityAlreadyExists"
    );
    inside.set_alias(&"first".parse().unwrap()).await.unwrap();
    let taken = other.set_alias(&"first".parse().unwrap()).await;
    assert_eq!(kind(taken), ErrorKind::AlreadyExists);
    inside.set_alias(&"second".parse().unwrap()).await.unwrap();
    assert_eq!(inside.alias().await.unwrap().as_deref(), Some("second"));
    assert_eq!(
        code(inside.set_alias(&"second".parse().unwrap()).await),
        "EntityAlreadyExists"
    );
    other.set_alias(&"first".parse().unwrap()).await.unwrap();
    sim.set_alias_behind(&two, None);
    assert_eq!(sim.alias(&two), None);
}

#[tokio::test(start_paused = true)]
async fn a_password_policy_is_absent_until_it_is_put() {
    let (sim, cloud) = organization(punctual());
    let id = sim.add_member("m@example.com", "m", Tags::new());
    let inside = cloud.sessions.enter(&id, &usual()).await.unwrap();
    assert_eq!(inside.password_policy().await.unwrap(), None);
    let policy = PasswordPolicy {
        minimum_length: 14,
        ..PasswordPolicy::default()
    };
    inside.put_password_policy(&policy).await.unwrap();
    assert_eq!(inside.password_policy().await.unwrap(), Some(policy));
    let short = PasswordPolicy {
        minimum_length: 5,
        ..PasswordPolicy::default()
    };
    assert_eq!(
        code(inside.put_password_policy(&short).await),
        "ValidationError"
    );
    sim.set_policy_behind(&id, None);
    assert_eq!(inside.password_policy().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn only_the_role_that_is_there_lets_in() {
    let (sim, cloud) = organization(punctual());
    let id = sim.add_member("m@example.com", "m", Tags::new());
    let other = "Other".parse().unwrap();
    assert!(cloud.sessions.enter(&id, &other).await.is_err());
    let inside = cloud.sessions.enter(&id, &usual()).await.unwrap();
    sim.set_access_role_behind(&id, None);
    assert_eq!(kind(inside.alias().await), ErrorKind::Denied);
    // The refusal has closed the session.
    assert!(cloud.sessions.enter(&id, &usual()).await.is_err());
    assert!(sim.cloud().sessions.enter(&id, &usual()).await.is_err());
    let nobody = "000000000000".parse().unwrap();
    let refused = cloud.sessions.enter(&nobody, &usual()).await.err().unwrap();
    assert_eq!(
        (refused.kind, refused.operation),
        (ErrorKind::Denied, "sts.AssumeRole")
    );
    sim.set_access_role_behind(&id, Some(other.clone()));
    assert!(cloud.sessions.enter(&id, &other).await.is_ok());
    // A state that nobody knows is not taken for one that locks us out.
    sim.set_state_behind(&id, AccountState::from_aws("FROZEN"));
    assert!(sim.cloud().sessions.enter(&id, &other).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_session_is_used_until_it_ends() {
    let (sim, cloud) = organization(punctual());
    let id = sim.add_member("m@example.com", "m", Tags::new());
    let assumed = || sim.calls_of("sts.AssumeRole").calls;
    for _ in 0..3 {
        cloud.sessions.enter(&id, &usual()).await.unwrap();
    }
    assert_eq!(assumed(), 1);
    // A restarted caller has none.
    sim.cloud().sessions.enter(&id, &usual()).await.unwrap();
    assert_eq!(assumed(), 2);
    pass(3600).await;
    cloud.sessions.enter(&id, &usual()).await.unwrap();
    assert_eq!(assumed(), 3);
    assert_eq!(sim.writes(), 0);
}
