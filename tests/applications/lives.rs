//! What becomes of an application: given away, deleted, declared anew, retired.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::world::{Fate, Fault, HOUR, World};

const MINUTE: Duration = Duration::from_secs(60);

fn accepted(world: &World, team: &str) -> String {
    world.condition("applications", team, "shop", "Accepted")
}

fn holder(world: &World) -> String {
    let name = world.server.get("applicationnames", "", "shop");
    let spec = name.unwrap_or_default()["spec"].clone();
    format!(
        "{} {}",
        spec["owner"]["team"].as_str().unwrap_or_default(),
        spec["state"].as_str().unwrap_or_default()
    )
}

/// A has it and gives it to B; B, which wants it already, takes it.
fn transfer() -> World {
    let world = World::new();
    world.team("aa");
    world.team("bb");
    world.application("aa", "shop", &json!({"transferTo": "bb"}));
    world
}

#[tokio::test(start_paused = true)]
async fn an_application_changes_hands_whenever_the_operator_dies() {
    let given = |world: &World| {
        accepted(world, "bb").starts_with("True")
            && accepted(world, "aa").starts_with("False Transferred")
    };
    let life = async |strike: Option<(u64, Fault)>| {
        let world = transfer();
        let calm = Arc::default();
        let before = world.operator(&calm);
        world
            .until("a has it", MINUTE, |world| holder(world) == "aa Held")
            .await;
        before.abort();
        world.application("bb", "shop", &json!({}));
        let fate = Arc::new(Fate {
            strike,
            ..Fate::default()
        });
        let first = world.operator(&fate);
        if !world.until_or_dead(&fate, HOUR, given).await {
            assert!(fate.is_dead(), "{strike:?}: never given");
            let second = world.operator(&Arc::default());
            world.until("given", HOUR, given).await;
            second.abort();
        }
        first.abort();
        assert_eq!(holder(&world), "bb Held", "{strike:?}");
        fate.writes.load(std::sync::atomic::Ordering::SeqCst)
    };
    let writes = life(None).await;
    for fault in [Fault::KillBefore, Fault::KillAfter, Fault::LoseAnswer] {
        for at in 1..=writes {
            life(Some((at, fault))).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_gave_it_away_has_no_say_any_more() {
    let world = transfer();
    let operator = world.operator(&Arc::default());
    world.application("bb", "shop", &json!({}));
    world
        .until("given", MINUTE, |world| {
            accepted(world, "bb").starts_with("True")
                && accepted(world, "aa").starts_with("False Transferred")
        })
        .await;
    assert!(world.server.delete("applications", "team-aa", "shop"));
    world
        .until("a's object is gone", MINUTE, |world| {
            world
                .server
                .get("applications", "team-aa", "shop")
                .is_none()
        })
        .await;
    assert_eq!(holder(&world), "bb Held");
    // A declares it anew: it is B's.
    world.application("aa", "shop", &json!({}));
    world
        .until("taken", MINUTE, |world| {
            accepted(world, "aa").starts_with("False NameTaken")
        })
        .await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn nobody_takes_what_is_offered_to_another_or_not_at_all() {
    let world = World::new();
    for team in ["aa", "bb", "cc"] {
        world.team(team);
    }
    world.application("aa", "shop", &json!({"transferTo": "cc"}));
    let operator = world.operator(&Arc::default());
    world
        .until("a has it", MINUTE, |world| holder(world) == "aa Held")
        .await;
    world.application("bb", "shop", &json!({}));
    world
        .until("taken", MINUTE, |world| {
            accepted(world, "bb").starts_with("False NameTaken")
        })
        .await;
    // The offer is changed: B is told without asking.
    world.edit("applications", "aa", "shop", |object| {
        object["spec"]["transferTo"] = json!("bb");
    });
    world
        .until("given", MINUTE, |world| holder(world) == "bb Held")
        .await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_name_is_buried_kept_for_its_team_and_released_by_deleting_it() {
    let life = async |strike: Option<(u64, Fault)>| {
        let world = World::new();
        world.team("aa");
        world.team("bb");
        world.application("aa", "shop", &json!({}));
        let calm = world.operator(&Arc::default());
        world
            .until("a has it", MINUTE, |world| holder(world) == "aa Held")
            .await;
        calm.abort();
        assert!(world.server.delete("applications", "team-aa", "shop"));
        let fate = Arc::new(Fate {
            strike,
            ..Fate::default()
        });
        let mut operator = world.operator(&fate);
        let gone = |world: &World| {
            world
                .server
                .get("applications", "team-aa", "shop")
                .is_none()
        };
        if !world.until_or_dead(&fate, HOUR, gone).await {
            operator.abort();
            operator = world.operator(&Arc::default());
            world.until("gone", HOUR, gone).await;
        }
        let struck_writes = fate.writes.load(std::sync::atomic::Ordering::SeqCst);
        operator.abort();
        let operator = world.operator(&Arc::default());
        assert_eq!(holder(&world), "aa Tombstone", "{strike:?}");

        // Another team does not get it; its own team does.
        world.application("bb", "shop", &json!({}));
        world
            .until("refused", MINUTE, |world| {
                accepted(world, "bb").contains("platform team to release it")
            })
            .await;
        world.application("aa", "shop", &json!({}));
        world
            .until("a has it again", MINUTE, |world| holder(world) == "aa Held")
            .await;
        world
            .until("b is told", MINUTE, |world| {
                accepted(world, "bb").contains("team aa's (Application team-aa/shop)")
            })
            .await;

        // Buried again, and released by the platform team: now the other team has it.
        assert!(world.server.delete("applications", "team-aa", "shop"));
        world
            .until("buried", MINUTE, |world| holder(world) == "aa Tombstone")
            .await;
        assert!(world.server.delete("applicationnames", "", "shop"));
        world
            .until("b has it", MINUTE, |world| {
                holder(world) == "bb Held" && accepted(world, "bb").starts_with("True")
            })
            .await;
        operator.abort();
        struck_writes
    };
    let writes = life(None).await;
    assert!(writes >= 2, "only {writes} writes");
    for fault in [Fault::KillBefore, Fault::KillAfter, Fault::LoseAnswer] {
        for at in 1..=writes {
            life(Some((at, fault))).await;
        }
    }
}

/// Somebody takes the finalizer off by force, while nobody looks.
#[tokio::test(start_paused = true)]
async fn a_name_whose_application_went_without_a_word_is_buried() {
    let world = World::new();
    world.team("aa");
    world.application("aa", "shop", &json!({}));
    let operator = world.operator(&Arc::default());
    world
        .until("a has it", MINUTE, |world| {
            accepted(world, "aa").starts_with("True")
        })
        .await;
    operator.abort();
    world.edit("applications", "aa", "shop", |object| {
        object["metadata"]["finalizers"] = json!([]);
    });
    assert!(world.server.delete("applications", "team-aa", "shop"));
    assert!(
        world
            .server
            .get("applications", "team-aa", "shop")
            .is_none()
    );
    let operator = world.operator(&Arc::default());
    world
        .until("buried", MINUTE, |world| holder(world) == "aa Tombstone")
        .await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_retirement_is_announced_waits_and_takes_effect_or_is_called_off() {
    let world = World::new();
    world.team("aa");
    world.application("aa", "shop", &json!({"retirementPeriod": "2h"}));
    let operator = world.operator(&Arc::default());
    let active = |world: &World| world.condition("applications", "aa", "shop", "Active");
    let ready = |world: &World| world.condition("applications", "aa", "shop", "Ready");
    let set = |world: &World, active: bool| {
        world.edit("applications", "aa", "shop", |object| {
            object["spec"]["active"] = json!(active);
        });
    };
    world
        .until("in use", MINUTE, |world| {
            active(world).starts_with("True Active")
        })
        .await;
    set(&world, false);
    world
        .until("announced", MINUTE, |world| {
            active(world).starts_with("False Retiring") && active(world).contains("call it off")
        })
        .await;
    set(&world, true);
    world
        .until("called off", MINUTE, |world| {
            active(world).starts_with("True Active")
        })
        .await;
    set(&world, false);
    world
        .until("announced again", MINUTE, |world| {
            active(world).starts_with("False Retiring")
        })
        .await;
    let announced = tokio::time::Instant::now();
    let effective = |world: &World| {
        let object = world.server.get("applications", "team-aa", "shop").unwrap();
        object["status"]["retirement"]["effective"] == true
    };
    world.until("retired", 3 * HOUR, effective).await;
    let took = announced.elapsed();
    assert!(
        took >= 2 * HOUR - 2 * MINUTE && took <= 2 * HOUR + MINUTE,
        "{took:?}"
    );
    assert!(
        active(&world).starts_with("False Retired"),
        "{}",
        active(&world)
    );
    assert!(ready(&world).starts_with("True"), "{}", ready(&world));
    let said: Vec<String> = world
        .server
        .objects("events")
        .iter()
        .map(|event| event["reason"].as_str().unwrap_or_default().to_owned())
        .collect();
    for reason in ["Retiring", "RetirementCalledOff", "Retired"] {
        assert!(
            said.iter().any(|one| one == reason),
            "no {reason} in {said:?}"
        );
    }
    operator.abort();
}

/// While it is suspended, nothing is decided for it; what there is goes on being told.
#[tokio::test(start_paused = true)]
async fn a_suspended_application_still_tells_what_there_is_and_that_its_retirement_waits() {
    let world = World::new();
    world.team("aa");
    world.application("aa", "shop", &json!({"retirementPeriod": "2h"}));
    let operator = world.operator(&Arc::default());
    let status = |world: &World| {
        let object = world.server.get("applications", "team-aa", "shop").unwrap();
        object["status"].clone()
    };
    let active = |world: &World| world.condition("applications", "aa", "shop", "Active");
    let set = |world: &World, field: &str, value: bool| {
        world.edit("applications", "aa", "shop", |object| {
            object["spec"][field] = json!(value);
        });
    };
    world
        .until("in use", MINUTE, |world| {
            active(world).starts_with("True Active")
        })
        .await;
    set(&world, "active", false);
    world
        .until("announced", MINUTE, |world| {
            active(world).contains("call it off")
        })
        .await;
    set(&world, "suspend", true);
    world
        .until("held", MINUTE, |world| {
            active(world).contains("waits until spec.suspend is false")
        })
        .await;
    let image =
        json!({"application": "shop", "version": "1", "image": "registry.example.com/a/shop:1"});
    world.release("aa", "shop-1", "dev", &image);
    world
        .until("told", MINUTE, |world| {
            status(world)["releases"][0]["name"] == "shop-1"
        })
        .await;
    tokio::time::sleep(3 * HOUR).await;
    assert_eq!(status(&world)["retirement"]["effective"], false);
    let ready = world.condition("applications", "aa", "shop", "Ready");
    assert!(ready.starts_with("False Suspended"), "{ready}");
    set(&world, "active", true);
    world
        .until("to be called off", MINUTE, |world| {
            active(world).contains("is called off when")
        })
        .await;
    set(&world, "active", false);
    world
        .until("held again", MINUTE, |world| {
            active(world).contains("waits until spec.suspend is false")
        })
        .await;
    set(&world, "active", true);
    set(&world, "active", false);
    set(&world, "suspend", false);
    let effective = |world: &World| status(world)["retirement"]["effective"] == true;
    world.until("retired", MINUTE, effective).await;
    operator.abort();
}

#[tokio::test(start_paused = true)]
async fn a_team_does_not_go_while_it_has_active_applications() {
    let world = World::new();
    world.team("aa");
    world.application("aa", "shop", &json!({"retirementPeriod": "1h"}));
    let operator = world.operator(&Arc::default());
    let team = |world: &World| world.server.get("teams", "", "aa");
    world
        .until("counted", MINUTE, |world| {
            team(world).unwrap()["status"]["applications"] == 1
        })
        .await;
    assert!(world.server.delete("teams", "", "aa"));
    world
        .until("refused", MINUTE, |world| {
            let conditions = team(world).unwrap()["status"]["conditions"].to_string();
            conditions.contains("StillOwns") && conditions.contains("shop")
        })
        .await;
    world.edit("applications", "aa", "shop", |object| {
        object["spec"]["active"] = json!(false);
    });
    tokio::time::sleep(Duration::from_secs(1800)).await;
    assert!(team(&world).is_some(), "its retirement is not over");
    world
        .until("gone", 2 * HOUR, |world| team(world).is_none())
        .await;
    operator.abort();
}
