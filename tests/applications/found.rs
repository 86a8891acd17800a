//! What a pass looks at: not at all releases that there are, but at those that it is about. Counted.

use std::cell::Cell;

use bailiwick::controllers::{Caches, keys};
use serde_json::json;

use super::world::{World, built_from, digest};

const APPLICATIONS: usize = 20;
const OF_EACH: usize = 100;

#[tokio::test]
async fn a_pass_looks_at_the_releases_that_it_is_about() {
    let world = World::new();
    for application in 0..APPLICATIONS {
        for version in 0..OF_EACH {
            let image = format!("registry.example.com/a/shop-{application}:{version}");
            world.registries.push(
                &image,
                &digest('1'),
                built_from("https://git.example.com/a/b"),
            );
            let spec = json!({"application": format!("app-{application}"), "version": format!("v{version}"), "image": image});
            world.release(
                "aa",
                &format!("app-{application}-{version}"),
                "robot",
                &spec,
            );
        }
    }
    let (caches, watches) = Caches::new(&world.server.client());
    let watching = tokio::spawn(watches.releases.keep());
    caches.releases.filled().await;
    let looked = |key: &str| {
        let looked = Cell::new(0);
        caches.releases.each_by(key, |_| {
            looked.set(looked.get() + 1);
            Some(())
        });
        looked.get()
    };
    let all = caches.releases.each(|_| Some(())).len();
    assert_eq!(all, APPLICATIONS * OF_EACH);
    let (version, application) = (
        keys::version("team-aa", "app-7", "v3"),
        keys::application("team-aa", "app-7"),
    );
    assert_eq!((looked(&version), looked(&application)), (1, OF_EACH));
    assert_eq!(looked(&keys::version("team-bb", "app-7", "v3")), 0);
    // One goes, another comes: it is as if one had looked at all of them.
    assert!(world.server.delete("releases", "team-aa", "app-7-3"));
    let spec =
        json!({"application": "app-7", "version": "new", "image": "registry.example.com/a/b:1"});
    world.release("aa", "app-7-new", "robot", &spec);
    let new = keys::version("team-aa", "app-7", "new");
    while looked(&new) == 0 || looked(&version) == 1 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(looked(&application), OF_EACH);
    watching.abort();
}
