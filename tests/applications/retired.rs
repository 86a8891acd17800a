//! Nothing new is deployed of an application that is retired; what was released before stays what it is.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::world::{HOUR, World, built_from, digest};

const MINUTE: Duration = Duration::from_secs(60);
const SOURCE: &str = "https://git.example.com/a/shop";

fn released(world: &World, version: &str) {
    let image = format!("registry.example.com/a/shop:{version}");
    world
        .registries
        .push(&image, &digest('1'), built_from(SOURCE));
    let spec = json!({"application": "shop", "version": version, "image": image});
    world.release("aa", &format!("shop-{version}"), "robot", &spec);
}

async fn until(world: &World, release: &str, wanted: &str) -> String {
    let says = |world: &World| world.condition("releases", "aa", release, "Ready");
    world
        .until(&format!("{release} {wanted}"), 3 * HOUR, |world| {
            says(world).starts_with(wanted)
        })
        .await;
    says(world)
}

#[tokio::test(start_paused = true)]
async fn a_new_release_of_a_retired_application_is_not_ready() {
    let world = World::new();
    world.team("aa");
    let spec = json!({"repositories": [SOURCE], "retirementPeriod": "2h"});
    world.application("aa", "shop", &spec);
    let operator = world.operator(&Arc::default());
    let active = |active: bool| {
        world.edit("applications", "aa", "shop", |object| {
            object["spec"]["active"] = json!(active);
        });
    };
    released(&world, "1");
    until(&world, "shop-1", "True").await;
    // In its grace everything goes on.
    active(false);
    tokio::time::sleep(MINUTE).await;
    released(&world, "2");
    until(&world, "shop-2", "True").await;
    // This one was made before, and is not good before.
    world.release(
        "aa",
        "shop-late",
        "robot",
        &json!({"application": "shop", "version": "late", "image": "registry.example.com/a/shop:late"}),
    );
    until(&world, "shop-late", "False ImageNotFound").await;
    tokio::time::sleep(3 * HOUR).await;
    released(&world, "3");
    world.registries.push(
        "registry.example.com/a/shop:late",
        &digest('1'),
        built_from(SOURCE),
    );
    for release in ["shop-3", "shop-late"] {
        let said = until(&world, release, "False ApplicationRetired").await;
        assert!(said.contains("spec.active back to true"), "{said}");
    }
    // What was Ready stays so, and comes back if something takes it away for a while.
    world.edit("applications", "aa", "shop", |object| {
        object["spec"]["repositories"] = json!(["https://git.example.com/a/other"]);
    });
    until(&world, "shop-1", "False SourceMismatch").await;
    world.edit("applications", "aa", "shop", |object| {
        object["spec"]["repositories"] = json!([SOURCE]);
    });
    for release in ["shop-1", "shop-2"] {
        until(&world, release, "True").await;
    }
    // And called off, the new ones are as any other.
    active(true);
    for release in ["shop-3", "shop-late"] {
        until(&world, release, "True").await;
    }
    operator.abort();
}
