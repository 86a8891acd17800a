use std::sync::Arc;

use super::*;
use crate::cloud::simulated::SimulatedCloud;
use crate::cloud::{Image, ImageCount, NewRepository, Repositories};
use crate::model::{Encryption, RepositoryName, TagMutability};
use crate::plan::repository::{access, lifecycle};

fn name() -> RepositoryName {
    "a/b".parse().unwrap()
}

/// A repository whose tags cannot be moved but for `dev-*`.
async fn repository() -> (SimulatedCloud, Arc<dyn Repositories>, String) {
    let (sim, cloud) = organization(punctual());
    let id = sim.add_member("m@example.com", "m", Tags::new());
    let role = "OrganizationAccountAccessRole".parse().unwrap();
    let inside = cloud.sessions.enter(&id, &role).await.unwrap();
    let port = inside.repositories("eu-central-1".parse().unwrap());
    let new = NewRepository {
        name: name(),
        mutability: TagMutability::except(["dev-*".to_owned()].into()),
        encryption: Encryption::Aes256,
        tags: tags(&[("bailiwick.dev/uid", "u1")]),
    };
    let made = port.create_repository(&new).await.unwrap();
    assert_eq!(
        code(port.create_repository(&new).await),
        "RepositoryAlreadyExistsException"
    );
    (sim, port, made.arn)
}

fn image(digest: &str) -> Image {
    Image {
        digest: digest.to_owned(),
        manifest: format!("manifest of {digest}"),
        media_type: None,
    }
}

#[tokio::test(start_paused = true)]
async fn accounts_and_regions_are_apart_and_the_role_is_needed() {
    let (sim, port, arn) = repository().await;
    let id: AccountId = arn.split(':').nth(4).unwrap().parse().unwrap();
    let other = sim.add_member("o@example.com", "o", Tags::new());
    let role = "OrganizationAccountAccessRole".parse().unwrap();
    let cloud = sim.cloud();
    for (id, region) in [(&id, "eu-west-1"), (&other, "eu-central-1")] {
        let inside = cloud.sessions.enter(id, &role).await.unwrap();
        let elsewhere = inside.repositories(region.parse().unwrap());
        assert_eq!(elsewhere.repository(&name()).await.unwrap(), None);
    }
    assert!(port.repository(&name()).await.unwrap().is_some());
    sim.set_access_role_behind(&id, None);
    assert_eq!(kind(port.repository(&name()).await), ErrorKind::Denied);
}

#[tokio::test(start_paused = true)]
async fn a_policy_comes_back_in_other_words() {
    let (_, port, _) = repository().await;
    let organization = "o-aa111bb222".parse().unwrap();
    let team = ["111122223333".parse().unwrap()].into();
    let policy = access(&organization, &team, &Default::default());
    assert_eq!(port.policy(&name()).await.unwrap(), None);
    port.set_policy(&name(), &policy.to_json()).await.unwrap();
    let back = port.policy(&name()).await.unwrap().unwrap();
    assert_ne!(back, policy.to_json());
    assert!(policy.says_the_same_as(&back), "{back}");
    assert_eq!(
        kind(port.set_policy(&name(), "{}").await),
        ErrorKind::Invalid
    );
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_moved_only_where_the_repository_allows_it() {
    let (sim, port, arn) = repository().await;
    sim.push_image(&arn, "one", &["1.0", "dev-x"]);
    sim.push_image(&arn, "two", &[]);
    let put = async |digest: &str, tag: &str| port.put_tag(&name(), &image(digest), tag).await;
    assert_eq!(
        code(put("two", "1.0").await),
        "ImageTagAlreadyExistsException"
    );
    assert_eq!(code(put("one", "1.0").await), "ImageAlreadyExistsException");
    put("two", "dev-x").await.unwrap();
    put("one", "2.0").await.unwrap();
    let asked = ["1.0", "2.0", "dev-x", "3.0"].map(str::to_owned);
    let at = port.tagged(&name(), &asked).await.unwrap();
    let expected = [("1.0", "one"), ("2.0", "one"), ("dev-x", "two")];
    assert_eq!(at, tags(&expected));
    assert_eq!(kind(put("three", "3.0").await), ErrorKind::NotFound);
    let mut forged = image("one");
    forged.manifest.push('!');
    let forged = port.put_tag(&name(), &forged, "4.0").await;
    assert_eq!(kind(forged), ErrorKind::Invalid);
    let too_many = vec!["1.0".to_owned(); 101];
    assert_eq!(
        kind(port.tagged(&name(), &too_many).await),
        ErrorKind::Invalid
    );
}

#[tokio::test(start_paused = true)]
async fn images_expire_by_the_rule_alone_and_a_full_repository_stays() {
    let (sim, port, arn) = repository().await;
    sim.push_image(&arn, "one", &["1.0"]);
    sim.push_image(&arn, "two", &[]);
    let week = 7 * 24 * 3600;
    pass(week).await;
    assert_eq!(sim.expire_images(), 0, "there is no rule");
    port.put_lifecycle(&name(), &lifecycle(7)).await.unwrap();
    sim.push_image(&arn, "young", &[]);
    assert_eq!(sim.expire_images(), 1);
    let any = lifecycle(7).replace("untagged", "any");
    port.put_lifecycle(&name(), &any).await.unwrap();
    assert_eq!(
        sim.expire_images(),
        1,
        "a rule for all images takes the tagged one"
    );
    let count = port.count_images(&name()).await.unwrap();
    assert_eq!(
        count,
        ImageCount {
            seen: 1,
            more: false
        }
    );
    assert_eq!(
        code(port.delete_repository(&name()).await),
        "RepositoryNotEmptyException"
    );
    pass(week).await;
    assert_eq!(sim.expire_images(), 1);
    port.delete_repository(&name()).await.unwrap();
    assert_eq!(port.repository(&name()).await.unwrap(), None);
    assert_eq!(sim.repository(&arn), None);
}
