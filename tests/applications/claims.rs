//! Two teams want the same name. Exactly one has it in the end, whoever dies or dawdles when.

use std::sync::Arc;

use serde_json::json;

use super::world::{Fate, Fault, HOUR, World};

fn rivals() -> World {
    let world = World::new();
    for team in ["aa", "bb"] {
        world.team(team);
        world.application(team, "shop", &json!({}));
    }
    world
}

/// Both have been told, and one has it.
fn is_decided(world: &World) -> bool {
    let said = ["aa", "bb"].map(|team| world.condition("applications", team, "shop", "Accepted"));
    let winners = said.iter().filter(|said| said.starts_with("True")).count();
    let losers = said
        .iter()
        .filter(|said| said.starts_with("False NameTaken"))
        .count();
    winners == 1 && losers == 1
}

/// The name is the winner's, and the loser is told whose it is.
fn check(world: &World, context: &str) {
    let winner = ["aa", "bb"]
        .into_iter()
        .find(|team| {
            world
                .condition("applications", team, "shop", "Accepted")
                .starts_with("True")
        })
        .expect("a winner");
    let loser = if winner == "aa" { "bb" } else { "aa" };
    let names = world.server.objects("applicationnames");
    assert_eq!(names.len(), 1, "{context}");
    let application = world
        .server
        .get("applications", &format!("team-{winner}"), "shop")
        .unwrap();
    assert_eq!(names[0]["spec"]["owner"]["team"], winner, "{context}");
    assert_eq!(
        names[0]["spec"]["owner"]["uid"], application["metadata"]["uid"],
        "{context}"
    );
    let told = world.condition("applications", loser, "shop", "Accepted");
    assert!(
        told.contains(&format!("team {winner}'s")) && told.contains("spec.transferTo"),
        "{context}: {told}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_of_two_teams_has_the_name_whenever_the_operator_dies() {
    let life = async |strike: Option<(u64, Fault)>| {
        let world = rivals();
        let fate = Arc::new(Fate {
            strike,
            ..Fate::default()
        });
        let first = world.operator(&fate);
        if !world.until_or_dead(&fate, HOUR, is_decided).await {
            assert!(fate.is_dead(), "{strike:?}: never decided");
            first.abort();
            let second = world.operator(&Arc::default());
            world
                .until(&format!("decided after {strike:?}"), HOUR, is_decided)
                .await;
            second.abort();
        }
        first.abort();
        check(&world, &format!("{strike:?}"));
        fate.writes.load(std::sync::atomic::Ordering::SeqCst)
    };
    let writes = life(None).await;
    assert!(writes >= 7, "only {writes} writes: this would prove little");
    for fault in [Fault::KillBefore, Fault::KillAfter, Fault::LoseAnswer] {
        for at in 1..=writes {
            life(Some((at, fault))).await;
        }
    }
}

/// Two operators that both hold themselves for the leader, every call of each kept waiting by chance: what is first here
/// is last there.
#[tokio::test(start_paused = true)]
async fn one_of_two_teams_has_the_name_in_any_order_of_two_operators() {
    let mut winners = std::collections::BTreeSet::new();
    for seed in 0..60 {
        let world = rivals();
        let fate = |seed| {
            Arc::new(Fate {
                dawdle: Some(seed),
                ..Fate::default()
            })
        };
        let operators = [
            world.operator(&fate(2 * seed)),
            world.operator(&fate(2 * seed + 1)),
        ];
        world
            .until(&format!("decided, seed {seed}"), HOUR, is_decided)
            .await;
        // What each of them still has in flight must not change it.
        tokio::time::sleep(std::time::Duration::from_secs(30)).await;
        assert!(is_decided(&world), "seed {seed}: undecided again");
        check(&world, &format!("seed {seed}"));
        let name = &world.server.objects("applicationnames")[0];
        winners.insert(name["spec"]["owner"]["team"].to_string());
        for operator in operators {
            operator.abort();
        }
    }
    assert_eq!(
        winners.len(),
        2,
        "chance never let the other team win: {winners:?}"
    );
}
