//! Images in the repository that the operator has made for an application: crane pushes them, and a release reads them.

use std::path::Path;

use bailiwick::dev::registries::ImageTools;

use crate::READY;
use crate::world::World;

const COMMIT: &str = "5c1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b";

/// That nothing but the same image comes under a tag is the repository's doing, which the operator has made so.
///
/// The emulator's registry is reached by its own address and asks nobody who they are. The operator's own login, which is
/// for AWS's hosts alone and given only to a registry that asks, is therefore not seen here: `tests/image_repositories` and
/// `tests/registry` do that.
pub async fn a_tag_is_given_once(world: &World) {
    let tools = ImageTools::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let home = tempfile::tempdir().unwrap();
    let image = format!(
        "{}/payments/ledger:1.0.0",
        world.ecr.as_ref().unwrap().host()
    );
    let push = |author: &str| {
        let source = serde_json::json!({
            "url": "git@github.com:acme/ledger.git", "revision": COMMIT, "author": author, "status": "",
        });
        let file = ("scm-source.json", &*source.to_string());
        tools.push(home.path(), &image, file, &[])
    };
    let digest = || tools.crane(home.path(), ["digest", "--insecure", &image]);
    push("jane").unwrap();
    let first = digest().unwrap();
    push("jane").unwrap();
    let refused = push("joe").unwrap_err().to_string();
    assert!(refused.contains("immutable"), "{refused}");
    assert_eq!(digest().unwrap(), first);

    let release = format!(
        "{{apiVersion: bailiwick.dev/v1alpha1, kind: Release, metadata: {{name: ledger-1, namespace: team-payments}}, \
         spec: {{application: ledger, version: 1.0.0, image: '{image}'}}}}"
    );
    world.apply(&release).await;
    world.until("release", "ledger-1", READY, "True").await;
    let field = async |path: &str| world.field("release", "ledger-1", path).await;
    assert_eq!(field(".status.image.digest").await, first);
    assert_eq!(field(".status.source.revision").await, COMMIT);
    let deleted = ["delete", "release/ledger-1", "-n", "team-payments"];
    world.kubectl(&deleted).await.unwrap();
}
