//! Watches as kube's watcher sees them.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_watcher_follows_through_expiry_and_paging() {
    let server = server();
    for number in 0..7 {
        server.put(&json!(kite_at(&format!("k{number}"))));
    }
    for config in [
        watcher::Config::default().page_size(3),
        watcher::Config::default().streaming_lists(),
    ] {
        let mut events = std::pin::pin!(watcher(kites(server.client()), config).default_backoff());
        let mut names = Vec::new();
        loop {
            match events.next().await.unwrap().unwrap() {
                watcher::Event::Init => {}
                watcher::Event::InitApply(kite) => names.push(kite.name_any()),
                watcher::Event::InitDone => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(names, ["k0", "k1", "k2", "k3", "k4", "k5", "k6"]);
        let api = kites(server.client());
        api.create(&PostParams::default(), &kite("new", "x"))
            .await
            .unwrap();
        let next = events.next().await.unwrap().unwrap();
        assert!(matches!(next, watcher::Event::Apply(kite) if kite.name_any() == "new"));

        // Gone while nobody looked: the watcher is told that its history has expired, and lists again.
        server.close_watches();
        api.delete("new", &DeleteParams::default()).await.unwrap();
        server.compact();
        assert!(
            matches!(events.next().await, Some(Err(watcher::Error::WatchError(status))) if status.code == 410)
        );
        assert!(matches!(
            events.next().await,
            Some(Ok(watcher::Event::Init))
        ));
        let again = events.by_ref().take_while(|e| {
            let done = matches!(e, Ok(watcher::Event::InitDone));
            async move { !done }
        });
        assert_eq!(again.count().await, 7);
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_and_selected_objects_can_be_watched() {
    let server = server();
    let config = watcher::Config::default().labels("wind=strong");
    let api = kites(server.client());
    let metadata: Api<kube::core::PartialObjectMeta<Kite>> =
        Api::namespaced(server.client(), "default");
    let mut events = watcher(metadata, config).touched_objects().boxed();
    let name = async |events: &mut futures::stream::BoxStream<'_, _>| {
        let object: kube::core::PartialObjectMeta<Kite> = events.try_next().await.unwrap().unwrap();
        object.name_any()
    };
    server.put(&json!(kite_at("calm")));
    let mut windy = kite_at("windy");
    windy.labels_mut().insert("wind".into(), "strong".into());
    server.put(&json!(windy));
    assert_eq!(name(&mut events).await, "windy");
    let label = |wind: &str| Patch::Merge(json!({"metadata": {"labels": {"wind": wind}}}));
    api.patch("calm", &PatchParams::default(), &label("strong"))
        .await
        .unwrap();
    assert_eq!(name(&mut events).await, "calm");
    api.patch("windy", &PatchParams::default(), &label("none"))
        .await
        .unwrap();
    assert_eq!(name(&mut events).await, "windy");
}

#[tokio::test(start_paused = true)]
async fn a_lagging_watch_is_late_in_tokio_time_and_so_is_the_cache() {
    let server = server();
    let mut events = watcher(kites(server.client()), watcher::Config::default())
        .applied_objects()
        .boxed();
    assert!(
        timeout(Duration::from_secs(1), events.next())
            .await
            .is_err()
    );
    server.set_watch_lag(Duration::from_secs(30));
    server.put(&json!(kite_at("late")));
    let api = kites(server.client());
    let cached = ListParams::default().match_any();
    assert_eq!(api.list(&cached).await.unwrap().items.len(), 0);
    assert_eq!(
        api.list(&ListParams::default()).await.unwrap().items.len(),
        1
    );
    assert!(
        timeout(Duration::from_secs(29), events.next())
            .await
            .is_err()
    );
    assert!(timeout(Duration::from_secs(2), events.next()).await.is_ok());
    assert_eq!(api.list(&cached).await.unwrap().items.len(), 1);
}
