//! The lives of the kill table, from creation to the end.

use bailiwick::cloud::RegionState;
use bailiwick::model::{AccountId, AccountState, ContactKind, TAG_OWNER, TAG_UID, Tags};
use serde_json::json;

use crate::kills::{Life, table};
use crate::world::{HOUR, MINUTE, Run, World};

fn empty() -> World {
    World::with_one(false)
}

fn declared() -> World {
    World::with_one(true)
}

const FINALIZER: &str = "Patch teamaccounts/acc0 ";
const STATUS: &str = "Patch teamaccounts/acc0 status";

/// One account, whose class wants a credentials bucket.
pub fn declared_with_bucket() -> World {
    let world = declared();
    let mut class = world.server.get("accountclasses", "", "test").unwrap();
    class["spec"]["credentialsBucket"] = json!({"nameTemplate": "acme-{{account.id}}-{{region}}"});
    world.server.put(&class).unwrap();
    world
}

#[tokio::test(start_paused = true)]
async fn creation() {
    let life = Life {
        name: "creation",
        world: declared_with_bucket,
        begin: |_, _| Box::pin(async {}),
        live: |world, run, _| {
            Box::pin(async move {
                world.must_be_ready(run).await;
            })
        },
        end: |world, _, context| {
            Box::pin(async move {
                world.check(1, context);
                let id = &world.cloud.accounts()[0].id;
                let buckets = world.cloud.credentials_buckets();
                let name = format!("acme-{id}-eu-central-1");
                let names: Vec<_> = buckets.keys().collect();
                assert_eq!(names, [&name], "{context}");
                let made = &buckets[&name];
                assert!(made.state.private && made.state.owner_enforced, "{context}");
                assert!(made.state.encryption.is_some(), "{context}");
                let policy = made.state.policy.as_deref().expect(context);
                assert!(
                    policy.contains("aws:PrincipalTag/bailiwick.dev/application"),
                    "{context}"
                );
                let object = world.object("acc0").expect(context);
                let told = json!({"bucket": name, "region": "eu-central-1"});
                assert_eq!(object["status"]["credentialsBucket"], told, "{context}");
            })
        },
    };
    let expected = [
        "s3.CreateBucket",
        "s3.PutBucketTagging",
        "s3.PutPublicAccessBlock",
        "s3.PutBucketEncryption",
        "s3.PutBucketPolicy",
        "organizations.CreateAccount",
        "organizations.CreateOrganizationalUnit",
        "organizations.MoveAccount",
        "account.PutAlternateContact",
        "iam.CreateAccountAlias",
        "iam.UpdateAccountPasswordPolicy",
        "Create namespaces/team-team0",
        FINALIZER,
        STATUS,
    ];
    table(life, &expected).await;
}

/// An account that somebody made by hand.
fn with_member() -> World {
    let world = empty();
    let tags = Tags::from([("cost".to_owned(), "1".to_owned())]);
    world.cloud.add_member("hand@example.com", "By hand", tags);
    world
}

#[tokio::test(start_paused = true)]
async fn adoption() {
    let life = Life {
        name: "adoption",
        world: with_member,
        begin: |_, _| Box::pin(async {}),
        live: |world, run, _| {
            Box::pin(async move {
                let before = &world.cloud.accounts()[0];
                world.account("acc0", json!({"accountId": before.id.as_str()}));
                world.must_be_ready(run).await;
            })
        },
        end: |world, _, context| {
            Box::pin(async move {
                let members = world.cloud.accounts();
                assert_eq!(members.len(), 1, "{context}");
                let (member, object) = (&members[0], world.object("acc0").unwrap());
                assert_eq!(member.path.as_str(), "/Workloads/Test", "{context}");
                assert_eq!(member.name, "By hand", "{context}");
                assert_eq!(member.email, "hand@example.com", "{context}");
                assert_eq!(member.tags["cost"], "1", "{context}");
                assert_eq!(object["metadata"]["uid"], member.tags[TAG_UID].as_str());
                assert!(world.cloud.requests().is_empty(), "{context}");
            })
        },
    };
    let expected = [
        "organizations.MoveAccount",
        "organizations.TagResource",
        "iam.CreateAccountAlias",
        FINALIZER,
        STATUS,
    ];
    table(life, &expected).await;
}

/// An account that is Ready.
async fn ready(world: &World, run: &mut Run) {
    world.must_be_ready(run).await;
    // Until the team and the class have noticed, too.
    world.pass_time(run, MINUTE).await;
}

async fn gone(world: &World, run: &mut Run) {
    world
        .must(run, "the object is gone", || world.object("acc0").is_none())
        .await;
}

#[tokio::test(start_paused = true)]
async fn letting_go() {
    let life = Life {
        name: "letting go",
        world: declared,
        begin: |world, run| Box::pin(ready(world, run)),
        live: |world, run, _| {
            Box::pin(async move {
                world.delete("acc0");
                gone(world, run).await;
            })
        },
        end: |world, run, context| {
            Box::pin(async move {
                world.rest(run, HOUR).await;
                let members = world.cloud.accounts();
                assert_eq!(members.len(), 1, "{context}");
                assert_eq!(members[0].state, AccountState::Active, "{context}");
                assert_eq!(members[0].path.as_str(), "/Workloads/Test", "{context}");
                let left: Vec<_> = members[0].tags.keys().collect();
                assert_eq!(left, ["stage"], "{context}");
            })
        },
    };
    table(life, &["organizations.UntagResource", FINALIZER, STATUS]).await;
}

/// An account that is Ready and whose object has another deletion policy.
async fn with_policy(world: &World, run: &mut Run, policy: &str) {
    ready(world, run).await;
    world.edit("acc0", |object| {
        object["spec"]["deletionPolicy"] = json!(policy);
    });
    world
        .must(run, "Ready again", || world.is_ready("acc0"))
        .await;
    world.pass_time(run, MINUTE).await;
}

#[tokio::test(start_paused = true)]
async fn quarantine() {
    let life = Life {
        name: "quarantine",
        world: declared,
        begin: |world, run| Box::pin(with_policy(world, run, "Quarantine")),
        live: |world, run, _| {
            Box::pin(async move {
                world.delete("acc0");
                gone(world, run).await;
            })
        },
        end: |world, run, context| {
            Box::pin(async move {
                world.rest(run, 5 * HOUR).await;
                let members = world.cloud.accounts();
                assert_eq!(members.len(), 1, "{context}");
                assert_eq!(members[0].state, AccountState::Active, "{context}");
                assert_eq!(members[0].path.as_str(), "/Quarantine", "{context}");
                assert!(members[0].tags.contains_key(TAG_OWNER), "{context}");
            })
        },
    };
    let expected = [
        "organizations.TagResource",
        "organizations.CreateOrganizationalUnit",
        "organizations.MoveAccount",
        FINALIZER,
        STATUS,
    ];
    table(life, &expected).await;
}

/// One account, which may be closed after forty minutes in quarantine.
fn declared_and_soon_closed() -> World {
    let world = declared();
    let mut class = world.server.get("accountclasses", "", "test").unwrap();
    class["spec"]["quarantine"]["closeAfter"] = json!("40m");
    world.server.put(&class).unwrap();
    world
}

#[tokio::test(start_paused = true)]
async fn closing() {
    let life = Life {
        name: "closing",
        world: declared_and_soon_closed,
        begin: |world, run| Box::pin(with_policy(world, run, "Close")),
        live: |world, run, context| {
            Box::pin(async move {
                let id = world.cloud.accounts()[0].id.clone();
                let began = tokio::time::Instant::now();
                world.delete("acc0");
                world.must_say(run, "AwaitingConfirmation").await;
                world.rest(run, 10 * MINUTE).await;
                world.must_say(run, "AwaitingConfirmation").await;
                world.annotate("acc0", "confirm-close", id.as_str());
                world.must_say(run, "AwaitingClosure").await;
                world.rest(run, 20 * MINUTE).await;
                gone(world, run).await;
                let closed = world.journal.times_of("organizations.CloseAccount");
                let early = closed.iter().find(|at| **at - began < 40 * MINUTE);
                assert!(
                    early.is_none(),
                    "{context}: closed {:?}",
                    early.map(|at| *at - began)
                );
            })
        },
        end: |world, run, context| {
            Box::pin(async move {
                world.rest(run, HOUR / 2).await;
                let members = world.cloud.accounts();
                assert_eq!(members.len(), 1, "{context}");
                assert_eq!(members[0].state, AccountState::Closed, "{context}");
            })
        },
    };
    let expected = [
        "organizations.TagResource",
        "organizations.MoveAccount",
        "organizations.CloseAccount",
        FINALIZER,
        STATUS,
    ];
    table(life, &expected).await;
}

#[tokio::test(start_paused = true)]
async fn changes_in_place() {
    let life = Life {
        name: "changes in place",
        world: declared,
        begin: |world, run| Box::pin(ready(world, run)),
        live: |world, run, _| {
            Box::pin(async move {
                let contact =
                    json!({"name": "O", "title": "T", "email": "o@example.com", "phone": "2"});
                world.edit("acc0", |object| {
                    object["spec"]["accountName"] = json!("another name");
                    object["spec"]["overrides"] = json!({
                        "organizationalUnitPath": "/Workloads/Special",
                        "tags": {"stage": "special", "more": "1"},
                        "alias": "acme-special",
                        "alternateContacts": {"operations": contact},
                        "passwordPolicy": {"minimumLength": 20},
                    });
                });
                world
                    .must(run, "Ready again", || world.is_ready("acc0"))
                    .await;
                world.must_be_ready(run).await;
            })
        },
        end: |world, _, context| {
            Box::pin(async move {
                let members = world.cloud.accounts();
                assert_eq!(members.len(), 1, "{context}");
                let member = &members[0];
                assert_eq!(member.name, "another name", "{context}");
                assert_eq!(member.path.as_str(), "/Workloads/Special", "{context}");
                assert_eq!(
                    (member.tags["stage"].as_str(), member.tags["more"].as_str()),
                    ("special", "1")
                );
                assert_eq!(member.alias.as_deref(), Some("acme-special"), "{context}");
                assert_eq!(
                    member.contacts[&ContactKind::Operations].email,
                    "o@example.com"
                );
                assert_eq!(
                    member.contacts[&ContactKind::Security].email,
                    "s@example.com"
                );
                let length = member
                    .password_policy
                    .as_ref()
                    .map(|policy| policy.minimum_length);
                assert_eq!(length, Some(20), "{context}");
            })
        },
    };
    let expected = [
        "organizations.MoveAccount",
        "organizations.TagResource",
        "account.PutAccountName",
        "account.PutAlternateContact",
        "iam.CreateAccountAlias",
        "iam.UpdateAccountPasswordPolicy",
        STATUS,
    ];
    table(life, &expected).await;
}

const NEW: &str = "new@example.com";
const CODE: &str = "bailiwick.dev/email-confirmation-code";

/// A person who does what the condition says: gives the code if a mail has come, asks for another one if not.
async fn confirm(world: &World, run: &mut Run, id: &AccountId) {
    for _ in 0..12 {
        if world.is_ready("acc0") {
            return;
        }
        world.pass_time(run, MINUTE).await;
        let waits = world
            .ready("acc0")
            .is_some_and(|(_, reason, _)| reason == "EmailConfirmationPending");
        let asked = world
            .object("acc0")
            .is_some_and(|object| object["metadata"]["annotations"][CODE].is_string());
        if waits && !asked {
            let code = world.cloud.email_code(id);
            let word = code.unwrap_or_else(|| "resend".to_owned());
            world.annotate("acc0", "email-confirmation-code", &word);
        }
    }
    world
        .must(run, "Ready again", || world.is_ready("acc0"))
        .await;
}

#[tokio::test(start_paused = true)]
async fn root_email() {
    let life = Life {
        name: "root e-mail",
        world: declared,
        begin: |world, run| Box::pin(ready(world, run)),
        live: |world, run, _| {
            Box::pin(async move {
                let id = world.cloud.accounts()[0].id.clone();
                world.edit("acc0", |object| object["spec"]["email"] = json!(NEW));
                world.must_say(run, "EmailConfirmationPending").await;
                world.annotate("acc0", "email-confirmation-code", "resend");
                world.pass_time(run, MINUTE).await;
                confirm(world, run, &id).await;
                world.must_be_ready(run).await;
            })
        },
        end: |world, _, context| {
            Box::pin(async move {
                let id = world.cloud.accounts()[0].id.clone();
                let member = world.cloud.account(&id).unwrap();
                assert_eq!(member.email, NEW, "{context}");
                assert_eq!(world.cloud.account_count(), 1, "{context}");
                let sent = world.cloud.email_codes_sent(&id);
                assert!((1..=3).contains(&sent), "{context}: {sent} mails");
                let object = world.object("acc0").unwrap();
                assert!(
                    object["metadata"]["annotations"][CODE].is_null(),
                    "{context}: {object:#}"
                );
                assert!(object["status"]["emailUpdate"].is_null(), "{context}");
                assert_eq!(object["status"]["email"], NEW, "{context}");
            })
        },
    };
    let expected = [
        "account.StartPrimaryEmailUpdate",
        "account.AcceptPrimaryEmailUpdate",
        FINALIZER,
        STATUS,
    ];
    table(life, &expected).await;
}

#[tokio::test(start_paused = true)]
async fn region() {
    let life = Life {
        name: "region",
        world: declared,
        begin: |world, run| Box::pin(ready(world, run)),
        live: |world, run, _| {
            Box::pin(async move {
                world.edit("acc0", |object| {
                    object["spec"]["regions"] = json!(["eu-central-1", "eu-south-1"]);
                });
                world
                    .must(run, "Ready again", || world.is_ready("acc0"))
                    .await;
            })
        },
        end: |world, _, context| {
            Box::pin(async move {
                let member = world.member("acc0").unwrap();
                let region = "eu-south-1".parse().unwrap();
                assert_eq!(
                    member.regions.get(&region),
                    Some(&RegionState::Enabled),
                    "{context}"
                );
                assert_eq!(world.cloud.account_count(), 1, "{context}");
            })
        },
    };
    table(life, &["account.EnableRegion", STATUS]).await;
}
