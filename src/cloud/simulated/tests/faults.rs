use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::super::{Call, Interceptor, Verdict, out_of_order, refused};
use super::*;

/// Gives the same verdict on one operation, before or after it, and remembers what it saw.
struct Trap {
    operation: &'static str,
    before: Verdict,
    after: Verdict,
    seen: Mutex<Vec<(&'static str, bool)>>,
}

impl Trap {
    fn new(operation: &'static str, before: Verdict, after: Verdict) -> Arc<Self> {
        Arc::new(Self {
            operation,
            before,
            after,
            seen: Mutex::default(),
        })
    }
}

#[async_trait]
impl Interceptor for Trap {
    async fn before(&self, call: &Call) -> Verdict {
        if call.operation == self.operation {
            self.before.clone()
        } else {
            Verdict::Continue
        }
    }
    async fn after(&self, call: &Call, ok: bool) -> Verdict {
        self.seen.lock().unwrap().push((call.operation, ok));
        if call.operation == self.operation {
            self.after.clone()
        } else {
            Verdict::Continue
        }
    }
}

const CREATE: &str = "organizations.CreateAccount";

#[tokio::test(start_paused = true)]
async fn a_reply_can_be_lost_before_and_after_the_effect() {
    let (sim, _) = organization(punctual());
    let before = Trap::new(CREATE, Verdict::LoseReply, Verdict::Continue);
    let answer = sim
        .cloud_with(before.clone())
        .accounts
        .create_account(&new_account("a"))
        .await;
    assert_eq!(kind(answer), ErrorKind::Unavailable);
    assert!(sim.requests().is_empty());
    assert!(before.seen.lock().unwrap().is_empty());

    let after = Trap::new(CREATE, Verdict::Continue, Verdict::LoseReply);
    let cloud = sim.cloud_with(after.clone());
    let lost = cloud
        .accounts
        .create_account(&new_account("a"))
        .await
        .unwrap_err();
    assert!(lost.kind.may_have_happened());
    assert_eq!(sim.requests().len(), 1);
    cloud.accounts.create_requests(true, None).await.unwrap();
    let seen = after.seen.lock().unwrap().clone();
    assert_eq!(
        seen,
        [
            (CREATE, true),
            ("organizations.ListCreateAccountStatus", true)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_killed_caller_never_hears_again() {
    let (sim, _) = organization(punctual());
    let wait = Duration::from_secs(3600);
    let before = sim.cloud_with(Trap::new(CREATE, Verdict::Hang, Verdict::Continue));
    let after = sim.cloud_with(Trap::new(CREATE, Verdict::Continue, Verdict::Hang));
    let new = new_account("a");
    assert!(
        tokio::time::timeout(wait, before.accounts.create_account(&new))
            .await
            .is_err()
    );
    assert_eq!(sim.account_count(), 0);
    assert!(
        tokio::time::timeout(wait, after.accounts.create_account(&new))
            .await
            .is_err()
    );
    assert_eq!(sim.account_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_interceptor_can_refuse() {
    let (sim, _) = organization(punctual());
    let error = refused(CREATE, "FinalizingOrganizationException", "wait");
    let trap = Trap::new(CREATE, Verdict::Refuse(error.clone()), Verdict::Continue);
    let answer = sim
        .cloud_with(trap)
        .accounts
        .create_account(&new_account("a"))
        .await;
    assert_eq!(answer.unwrap_err(), error);
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(sim.calls_of(CREATE).calls, 0);
}

#[tokio::test(start_paused = true)]
async fn refusals_come_on_demand() {
    let (sim, cloud) = organization(punctual());
    let list = || cloud.accounts.accounts(None);
    sim.refuse_next(out_of_order("organizations.ListAccounts"));
    assert_eq!(code(list().await), "ServiceException");
    assert!(list().await.is_ok());
    sim.refuse_all(refused(
        "organizations.ListAccounts",
        "AccessDeniedException",
        "no",
    ));
    assert_eq!(kind(list().await), ErrorKind::Denied);
    assert_eq!(kind(list().await), ErrorKind::Denied);
    sim.relent("organizations.ListAccounts");
    assert!(list().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn faults_come_as_often_as_asked() {
    let rate = 0.05;
    let options = Options {
        throttle_rate: rate,
        unavailable_rate: rate,
        lost_reply_rate: rate,
        ..punctual()
    };
    let (sim, cloud) = organization(options);
    let id = sim.add_member("m@example.com", "m", Tags::new());
    let mut codes = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..2000 {
        if let Err(error) = cloud.accounts.tag(&id, &Tags::new()).await {
            *codes.entry(error.code).or_default() += 1;
        }
    }
    assert_eq!(codes.len(), 3, "{codes:?}");
    assert!(
        codes.values().all(|count| (60..150).contains(count)),
        "{codes:?}"
    );
    let counted = sim.calls_of("organizations.TagResource");
    assert_eq!(counted.calls, 2000);
    assert_eq!(
        counted.throttled as usize,
        codes["TooManyRequestsException"]
    );
    assert_eq!(counted.failed as usize, codes["ServiceException"]);
    // A lost reply was a success.
    assert_eq!(sim.writes(), 2000 - counted.throttled - counted.failed);
}

#[tokio::test(start_paused = true)]
async fn every_service_has_its_own_word_for_a_throttle() {
    let (sim, cloud) = organization(punctual());
    let id = sim.add_member("m@example.com", "m", Tags::new());
    let role = "OrganizationAccountAccessRole".parse().unwrap();
    let inside = cloud.sessions.enter(&id, &role).await.unwrap();
    sim.configure(|options| options.throttle_rate = 1.0);
    let name = "n".parse().unwrap();
    assert_eq!(
        code(cloud.accounts.account(&id).await),
        "TooManyRequestsException"
    );
    assert_eq!(
        code(cloud.settings.rename(&id, &name).await),
        "TooManyRequestsException"
    );
    assert_eq!(code(inside.alias().await), "Throttling");
    let refused = sim.cloud().sessions.enter(&id, &role).await.err().unwrap();
    assert_eq!(
        (refused.code.as_str(), refused.kind),
        ("ThrottlingException", ErrorKind::Throttled)
    );
}

#[tokio::test(start_paused = true)]
async fn awss_rates_are_token_buckets() {
    let (sim, cloud) = organization(Options {
        rates: Options::aws_rates(),
        ..punctual()
    });
    let mut names = (0..).map(|n| new_account(&format!("a{n}")));
    let mut create = async || {
        let new = names.next().unwrap();
        cloud.accounts.create_account(&new).await.map(drop)
    };
    for _ in 0..3 {
        create().await.unwrap();
    }
    assert_eq!(kind(create().await), ErrorKind::Throttled);
    pass(10).await;
    create().await.unwrap();
    assert_eq!(kind(create().await), ErrorKind::Throttled);

    // A bucket per account, where AWS counts per account.
    let contact = crate::model::ContactKind::Billing;
    let (a, b) = (
        sim.add_member("a@x.example", "a", Tags::new()),
        sim.management_account(),
    );
    for _ in 0..15 {
        cloud.settings.contact(&a, contact).await.unwrap();
    }
    assert_eq!(
        kind(cloud.settings.contact(&a, contact).await),
        ErrorKind::Throttled
    );
    assert_eq!(
        kind(cloud.settings.contact(&b, contact).await),
        ErrorKind::Denied
    );
}

#[tokio::test(start_paused = true)]
async fn organization_writes_must_keep_apart() {
    let gap = Duration::from_millis(300);
    let (sim, cloud) = organization(Options {
        write_gap: gap,
        ..punctual()
    });
    let id = sim.add_member("m@example.com", "m", Tags::new());
    let none = Tags::new();
    let tag = || cloud.accounts.tag(&id, &none);
    tag().await.unwrap();
    let refused = tag().await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert_eq!(refused.code, "ConcurrentModificationException");
    // Reads and other services do not mind.
    cloud.accounts.account(&id).await.unwrap();
    cloud
        .settings
        .rename(&id, &"n".parse().unwrap())
        .await
        .unwrap();
    tokio::time::advance(gap).await;
    tag().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_its_time_on_the_wire() {
    let latency = Duration::from_millis(80);
    let (sim, cloud) = organization(Options {
        latency,
        ..punctual()
    });
    let before = sim.now();
    cloud.accounts.accounts(None).await.unwrap();
    assert_eq!(sim.now().duration_since(before).as_millis(), 80);
}
