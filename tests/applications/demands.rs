//! What releases need, and who may make it less.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::world::{HOUR, World, built_from, digest};

const MINUTE: Duration = Duration::from_secs(60);
const SOURCE: &str = "https://git.example.com/a/shop";

/// Team aa with an application that demands `demanded`, and the image of a release.
fn shop(demanded: &Value) -> World {
    let world = World::new();
    world.team("aa");
    let spec = json!({"repositories": [SOURCE], "requiredApprovals": demanded});
    world.application("aa", "shop", &spec);
    let image = "registry.example.com/a/shop:1";
    world
        .registries
        .push(image, &digest('1'), built_from(SOURCE));
    world
}

fn release(world: &World, by: &str) {
    let spec =
        json!({"application": "shop", "version": "1", "image": "registry.example.com/a/shop:1"});
    world.release("aa", "shop-1", by, &spec);
}

fn demand(world: &World, demanded: &Value) {
    world.edit("applications", "aa", "shop", |object| {
        object["spec"]["requiredApprovals"] = demanded.clone();
    });
}

/// What the name keeps.
fn kept(world: &World) -> Value {
    let name = world.server.get("applicationnames", "", "shop");
    name.unwrap_or_default()["spec"]["requiredApprovals"].clone()
}

fn approved(world: &World) -> String {
    world.condition("releases", "aa", "shop-1", "Approved")
}

async fn until_kept(world: &World, wanted: &Value) {
    let says = |world: &World| kept(world) == *wanted;
    world.until(&format!("{wanted}"), MINUTE, says).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_requests_a_release_cannot_make_it_need_less() {
    let two = json!({"types": ["CodeChange", "Test"], "people": 2});
    let world = shop(&two);
    let operator = world.operator(&Arc::default());
    until_kept(&world, &two).await;
    // Left out altogether, fewer types, fewer people: nothing of it changes what a release needs.
    for less in [
        json!(null),
        json!({"types": ["CodeChange"], "people": 2}),
        json!({"types": ["CodeChange", "Test"], "people": 1}),
    ] {
        demand(&world, &less);
        tokio::time::sleep(MINUTE).await;
        release(&world, "dev");
        world
            .until("refused", MINUTE, |world| {
                let said = approved(world);
                said.starts_with("False AwaitingApproval: missing: CodeChange, Test, and approvals by 2 more people")
                    && said.contains("the platform team lowers spec.requiredApprovals of ApplicationName shop")
            })
            .await;
        let shop = world.server.get("applications", "team-aa", "shop").unwrap();
        assert_eq!(shop["status"]["keptApprovals"], two, "{less}");
        assert_eq!(kept(&world), two, "{less}");
        world.server.delete("releases", "team-aa", "shop-1");
    }
    // Settled, the difference costs nothing.
    tokio::time::sleep(MINUTE).await;
    world.server.reset_counters();
    tokio::time::sleep(HOUR).await;
    assert_eq!(world.server.writes(), 0);
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn an_application_made_anew_needs_what_it_needed_before() {
    let one = json!({"types": ["Test"], "people": 1});
    let world = shop(&json!(null));
    let operator = world.operator(&Arc::default());
    let accepted = |world: &World| {
        let said = world.condition("applications", "aa", "shop", "Accepted");
        said.starts_with("True")
    };
    world.until("accepted", MINUTE, accepted).await;
    assert_eq!(kept(&world), json!(null));
    // Raised and deleted at once: the name keeps it nevertheless.
    demand(&world, &one);
    world.server.delete("applications", "team-aa", "shop");
    let is_gone = |world: &World| {
        world
            .server
            .get("applications", "team-aa", "shop")
            .is_none()
    };
    world.until("gone", MINUTE, is_gone).await;
    assert_eq!(kept(&world), one);
    world.application("aa", "shop", &json!({"repositories": [SOURCE]}));
    world.until("accepted anew", MINUTE, accepted).await;
    assert_eq!(kept(&world), one);
    release(&world, "dev");
    let refused =
        |world: &World| approved(world).starts_with("False AwaitingApproval: missing: Test");
    world.until("refused", MINUTE, refused).await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn the_platform_team_lowers_what_the_application_demands_no_more() {
    let two = json!({"types": ["Test"], "people": 2});
    let one = json!({"types": ["Test"], "people": 1});
    let world = shop(&two);
    let operator = world.operator(&Arc::default());
    until_kept(&world, &two).await;
    let lower = |to: &Value| {
        let mut name = world.server.get("applicationnames", "", "shop").unwrap();
        name["spec"]["requiredApprovals"] = to.clone();
        world.server.put(&name).unwrap();
    };
    // What the application still demands comes back.
    lower(&one);
    until_kept(&world, &two).await;
    demand(&world, &one);
    release(&world, "dev");
    let missing = |people: &'static str| {
        move |world: &World| approved(world).contains(&format!("Test, and approvals by {people}"))
    };
    world.until("two", MINUTE, missing("2 more people")).await;
    lower(&one);
    world.until("one", MINUTE, missing("one more person")).await;
    let shop = world.server.get("applications", "team-aa", "shop").unwrap();
    assert_eq!(shop["status"]["keptApprovals"], json!(null));
    operator.abort();
}
