use super::super::RequestRecord;
use super::*;

#[tokio::test(start_paused = true)]
async fn ten_thousand_accounts_are_cheap_to_sweep() {
    let (sim, cloud) = organization(punctual());
    let units: Vec<_> = (0..10).map(|n| path(&format!("/Workloads/u{n}"))).collect();
    for n in 0..10_000 {
        let id = sim.add_member(&format!("m{n}@example.com"), &format!("m{n}"), Tags::new());
        sim.move_behind(&id, &units[n % units.len()]);
    }
    assert_eq!(sim.account_count(), 10_000);
    let started = std::time::Instant::now();
    let mut seen = 0;
    for unit in &units {
        let parent = sim.ensure_unit(unit);
        let (accounts, pages) = all(|page| cloud.accounts.accounts_in(&parent, page)).await;
        assert_eq!(pages, 50);
        seen += accounts.len();
    }
    assert_eq!(seen, 10_000);
    assert_eq!(
        sim.calls_of("organizations.ListAccountsForParent").calls,
        500
    );
    assert_eq!(all(|page| cloud.accounts.accounts(page)).await.1, 501);
    // Generous, for a busy machine and a debug build: quadratic would be minutes.
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

/// A thousand accounts, five at a time, each slot refilled as soon as it is free.
async fn vend(seed: u64, options: Options) -> (SimulatedCloud, Vec<RequestRecord>) {
    let start: Timestamp = "2026-01-05T08:00:00Z".parse().unwrap();
    let sim = SimulatedCloud::new(options, seed, tokio_clock(start));
    let cloud = sim.cloud();
    for n in 0..200 {
        while cloud
            .accounts
            .create_account(&new_account(&format!("a{n}")))
            .await
            .is_err()
        {
            pass(1).await;
        }
    }
    pass(120).await;
    let requests = sim.requests();
    (sim, requests)
}

#[tokio::test(start_paused = true)]
async fn one_seed_is_one_story() {
    let (_, first) = vend(1, Options::default()).await;
    let (_, second) = vend(1, Options::default()).await;
    let (_, third) = vend(2, Options::default()).await;
    assert_eq!(first.len(), 200);
    let ids = |requests: &[RequestRecord]| {
        requests
            .iter()
            .map(|r| (r.id.clone(), r.state.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&first), ids(&second));
    assert_ne!(ids(&first), ids(&third));
}

#[tokio::test(start_paused = true)]
async fn faults_do_not_change_what_the_world_is_made_of() {
    let (_, calm) = vend(1, Options::default()).await;
    let (_, rough) = vend(
        1,
        Options {
            throttle_rate: 0.3,
            ..Options::default()
        },
    )
    .await;
    let ids = |requests: &[RequestRecord]| {
        requests
            .iter()
            .map(|request| request.id.clone())
            .collect::<Vec<_>>()
    };
    // Until the first creation ends; from there on the calls come in another order.
    assert_eq!(ids(&calm)[..5], ids(&rough)[..5]);
}

#[tokio::test(start_paused = true)]
async fn the_floor_is_the_slots_times_the_duration() {
    let options = Options {
        creations_in_flight: 5,
        ..punctual()
    };
    let (sim, requests) = vend(3, options).await;
    assert!(
        requests
            .iter()
            .all(|r| matches!(r.state, RequestState::Succeeded(_)))
    );
    assert_eq!(sim.busy_slot_time(), Duration::from_secs(200 * 60));
    assert_eq!(sim.most_in_flight(), 5);
    let first = requests.first().unwrap().requested;
    let last = requests
        .iter()
        .filter_map(|request| request.completed)
        .max()
        .unwrap();
    assert_eq!(last.duration_since(first).as_secs(), 200 / 5 * 60);
    assert!(sim.duplicates().is_empty());
    assert!(
        sim.orphans(&(0..200).map(|n| format!("a{n}")).collect())
            .is_empty()
    );
}
