//! P5 and P6: what a settled world costs.

use std::time::Duration;

use crate::report::{Figure, Goal};
use crate::world::{World, aws};
use crate::{Arguments, Limit, Problem, in_virtual_time};

/// P5: the calls of one sweep, once every account's tags are known and so take their turns.
pub fn sweep(arguments: &Arguments, limit: Limit) -> Result<Vec<Figure>, Problem> {
    in_virtual_time(limit, async {
        let world = World::new(aws(), arguments.seed, 0)?;
        world.settle(10_000, 100).await?;
        let operator = world.operator(&["--sweep-interval", "10m", "--deep-check-interval", "2h"]);
        // Every account has been looked into at least once: the rotation of tags is complete.
        tokio::time::sleep(Duration::from_secs(5 * 3600)).await;
        let mut worst = 0;
        for _ in 0..6 {
            let lists = |world: &World| {
                world
                    .cloud
                    .calls_of("organizations.ListAccountsForParent")
                    .calls
            };
            // From the end of one sweep to the end of the next.
            sweep_end(&world).await?;
            world.cloud.forget_calls();
            sweep_end(&world).await?;
            eprintln!(
                "bench:   {} list calls, {} tag calls",
                lists(&world),
                world
                    .cloud
                    .calls_of("organizations.ListTagsForResource")
                    .calls
            );
            worst = worst.max(world.cloud.calls_to("organizations."));
        }
        drop(operator);
        Ok(vec![Figure::new(
            "P5",
            worst as f64,
            "calls",
            Goal::AtMost(1100.0),
            "Organizations calls for a drift sweep of 10,000 accounts, the most of six, looks into accounts included",
        )])
    })
}

/// Waits until a sweep has come to its end: calls have been made, and then none for a minute.
async fn sweep_end(world: &World) -> Result<(), Problem> {
    let lists = || {
        world
            .cloud
            .calls_of("organizations.ListAccountsForParent")
            .calls
    };
    let end = tokio::time::Instant::now() + Duration::from_secs(3 * 3600);
    let (start, mut quiet) = (lists(), 0);
    let mut last = start;
    while quiet < 20 || last == start {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = lists();
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
        if tokio::time::Instant::now() > end {
            return Err("no sweep came to its end in three hours".into());
        }
    }
    Ok(())
}

/// P6: writes to the API server and reads of single objects, over so long that every object is looked into once.
pub fn cycle(arguments: &Arguments, limit: Limit) -> Result<Vec<Figure>, Problem> {
    in_virtual_time(limit, async {
        let world = World::new(aws(), arguments.seed, 0)?;
        world.settle(1_000, 10).await?;
        let operator = world.operator(&[]);
        // Until every account has been looked into once: then its status says, if it did not, which demands it was found
        // to meet. That is one write, and none ever after.
        tokio::time::sleep(Duration::from_secs(6 * 3600 + 1200)).await;
        let (revision, before) = (world.server.revision(), world.passes("settled"));
        world.server.reset_counters();
        // A sweep every ten minutes, and a look into every account in six hours.
        tokio::time::sleep(Duration::from_secs(6 * 3600 + 600)).await;
        let passes = world.passes("settled") - before;
        if passes < 1_000 {
            return Err(format!(
                "only {passes} passes over 1,000 objects: this would prove little"
            )
            .into());
        }
        let gets = world.server.gets();
        let writes = world
            .server
            .writes()
            .max(world.server.revision() - revision);
        eprintln!(
            "bench:   {passes} passes; {:?}",
            world.server.all_requests()
        );
        drop(operator);
        let what = |what: &str| {
            format!("{what} per 1,000 settled objects over 36 sweeps and a look into each account")
        };
        Ok(vec![
            Figure::new(
                "P6.writes",
                writes as f64,
                "writes",
                Goal::AtMost(0.0),
                &what("writes to etcd"),
            ),
            Figure::new(
                "P6.gets",
                gets as f64,
                "gets",
                Goal::AtMost(0.0),
                &what("GETs of single objects"),
            ),
        ])
    })
}
