//! Teams and accounts, declared; and settled ones, made after a sample that the operator itself has settled.

use bailiwick::model::{TAG_OWNER, TAG_UID, Tags};
use serde_json::{Value, json};

/// Where the class puts its accounts.
pub const UNIT: &str = "/Workloads/Test";

/// The class of all accounts.
pub fn class() -> Value {
    json!({
        "apiVersion": "bailiwick.dev/v1alpha1", "kind": "AccountClass", "metadata": {"name": "test"},
        "spec": {
            "organizationalUnitPath": UNIT,
            "emailTemplate": "aws+{{team}}-{{account}}@example.com",
            "aliasTemplate": "acme-{{team}}-{{account}}",
            "regions": ["eu-central-1", "eu-west-1"],
            "tags": {"stage": "test"},
            "passwordPolicy": {"minimumLength": 16, "requireNumbers": true},
            "alternateContacts": {
                "security": {"name": "Security", "title": "On call", "email": "security@example.com", "phone": "1"},
            },
        },
    })
}

/// A team.
pub fn team(name: &str) -> Value {
    json!({
        "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Team", "metadata": {"name": name},
        "spec": {"displayName": name, "members": [{"user": "dev@example.com"}]},
    })
}

/// One account of a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The team.
    pub team: String,
    /// The object's name.
    pub name: String,
}

impl Place {
    /// The `number`th account where each team has `each`.
    pub fn number(number: usize, each: usize) -> Self {
        Self {
            team: format!("team{:03}", number / each),
            name: format!("acc{:03}", number % each),
        }
    }

    /// Its namespace.
    pub fn namespace(&self) -> String {
        format!("team-{}", self.team)
    }

    /// Its e-mail address, as the class's template has it.
    pub fn email(&self) -> String {
        format!("aws+{}-{}@example.com", self.team, self.name)
    }

    /// Its alias, as the class's template has it.
    pub fn alias(&self) -> String {
        format!("acme-{}-{}", self.team, self.name)
    }

    /// An account id of its own.
    pub fn account_id(&self) -> String {
        let digits = |text: &str| {
            text.chars()
                .filter(char::is_ascii_digit)
                .collect::<String>()
        };
        format!("200000{}{}", digits(&self.team), digits(&self.name))
    }

    /// The object.
    pub fn object(&self) -> Value {
        json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "TeamAccount",
            "metadata": {"name": self.name, "namespace": self.namespace(), "finalizers": [bailiwick::api::FINALIZER]},
            "spec": {"className": "test"},
        })
    }
}

/// A settled account: where it is, its uid, its id, and its status.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Where.
    pub place: Place,
    /// The object's uid.
    pub uid: String,
    /// The account's id.
    pub id: String,
    /// The whole status.
    pub status: Value,
    /// The account's tags.
    pub tags: Tags,
}

impl Sample {
    /// What the operator has made of `object`, whose account bears `tags`. `None`: it has no account yet.
    pub fn of(place: Place, object: &Value, tags: Tags) -> Option<Self> {
        Some(Self {
            place,
            uid: object["metadata"]["uid"].as_str()?.to_owned(),
            id: object["status"]["accountId"].as_str()?.to_owned(),
            status: object["status"].clone(),
            tags,
        })
    }

    /// The status that another object would have, had it gone the same way.
    pub fn status_of(&self, place: &Place, uid: &str, id: &str) -> Value {
        let mut status = self.status.clone();
        self.adapt(&mut status, place, uid, id);
        status
    }

    /// The tags of that object's account.
    pub fn tags_of(&self, place: &Place, uid: &str) -> Tags {
        let mut tags = self.tags.clone();
        let owner = format!("TeamAccount/{}/{}", place.namespace(), place.name);
        tags.insert(TAG_OWNER.to_owned(), owner);
        tags.insert(TAG_UID.to_owned(), uid.to_owned());
        tags
    }

    fn adapt(&self, value: &mut Value, place: &Place, uid: &str, id: &str) {
        match value {
            Value::String(text) => {
                let mine = format!("{}-{}", self.place.team, self.place.name);
                *text = text
                    .replace(&self.uid, uid)
                    .replace(&self.id, id)
                    .replace(&mine, &format!("{}-{}", place.team, place.name));
            }
            Value::Array(items) => {
                for item in items {
                    self.adapt(item, place, uid, id);
                }
            }
            Value::Object(fields) => {
                for field in fields.values_mut() {
                    self.adapt(field, place, uid, id);
                }
            }
            _ => {}
        }
    }
}

/// Whether the object says Ready of its generation.
pub fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| {
        condition["type"] == "Ready"
            && condition["status"] == "True"
            && condition["observedGeneration"] == object["metadata"]["generation"]
    })
}
