//! Applications and releases as people meet them: a real API server with the chart's policies and rights, a real registry
//! with images that crane pushed and cosign signed, and what `bailiwick trace` says of them.
#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "releases/people.rs"]
mod people;
#[allow(dead_code)]
#[path = "registry/server.rs"]
mod server;
#[path = "releases/signed.rs"]
mod signed;
#[path = "releases/sources.rs"]
mod sources;
#[allow(dead_code)]
#[path = "registry/stage.rs"]
mod stage;
#[path = "releases/world.rs"]
mod world;

use bailiwick::registry::attestation::Trust;
use world::{CREATE, World, key, team};

#[tokio::test(flavor = "multi_thread")]
async fn from_a_pushed_image_to_a_chain_that_is_whole() {
    let world = World::start().await;
    let (ours, trusted) = key(&world.stage, "ci");
    let (foreign, _) = key(&world.stage, "foreign");
    let operator = world.operate(Trust::new(&[trusted]).unwrap()).await;
    let admin = world.plane.admin_kubeconfig();
    world
        .may(&admin, &CREATE, &team("payments", &["ann", "bob", "dev"]))
        .await;
    world.may(&admin, &CREATE, &team("search", &["eve"])).await;

    let winner = people::two_teams_race_for_a_name(&world).await;
    if winner == "search" {
        // The rest is about payments.
        let give = [
            "-n",
            "team-search",
            "patch",
            "application",
            "shop",
            "--type=merge",
            "-p",
            r#"{"spec":{"transferTo":"payments"}}"#,
        ];
        world.may(&world.person("eve"), &give, "").await;
        world
            .until(
                "search",
                "application",
                "shop",
                "Accepted",
                "False Transferred",
            )
            .await;
    }
    world
        .until("payments", "application", "shop", "Ready", "True")
        .await;
    sources::are_found_and_judged(&world, &ours, &foreign).await;
    people::approve_and_the_chain_is_whole(&world).await;
    operator.abort();
}
