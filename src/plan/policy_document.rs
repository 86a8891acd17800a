//! Policy documents of AWS: written deterministically, and compared by what they mean.
//!
//! AWS does not give back what it was given: it reorders, writes a list of one as a string, and turns the id of an
//! account into the ARN of its root. A comparison by text would write the same policy again for ever.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyDocument {
    /// The statements, in the order in which they are written.
    pub statements: Vec<Statement>,
}

/// Who may, or may not, do what, if all conditions hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its name, for people.
    pub sid: &'static str,
    /// Whether they may, or may not.
    pub effect: Effect,
    /// Who.
    pub principal: Principal,
    /// What.
    pub actions: Actions,
    /// To what.
    pub resources: Resources,
    /// The conditions.
    pub conditions: Vec<Condition>,
}

/// Who a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Everybody for whom the conditions hold.
    Everybody,
    /// These, by their ARNs.
    Aws(BTreeSet<String>),
}

/// What is done, `ecr:PutImage` for example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actions {
    /// These.
    These(BTreeSet<&'static str>),
    /// All but these, AWS's future ones too.
    AllBut(BTreeSet<&'static str>),
}

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It lets.
    Allow,
    /// It forbids, whatever lets.
    Deny,
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resources {
    /// That which bears the policy: where AWS has no other way of saying it.
    Bearer,
    /// These, by their ARNs.
    These(BTreeSet<String>),
    /// All but these.
    AllBut(BTreeSet<String>),
}

/// That a key of the request's context has one of these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `StringEquals`, `ArnLike`.
    pub operator: &'static str,
    /// `aws:PrincipalOrgID`.
    pub key: &'static str,
    /// The values, of which one must fit.
    pub values: BTreeSet<String>,
}

impl PolicyDocument {
    /// The document as AWS takes it: the same document, the same text.
    pub fn to_json(&self) -> String {
        let statements: Vec<Value> = self.statements.iter().map(Statement::to_value).collect();
        json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
    }

    /// Whether this text says the same.
    pub fn says_the_same_as(&self, text: &str) -> bool {
        let ours = canonical(&self.to_json());
        ours.is_some() && ours == canonical(text)
    }
}

impl Statement {
    fn to_value(&self) -> Value {
        let principal = match &self.principal {
            Principal::Everybody => json!("*"),
            Principal::Aws(arns) => json!({ "AWS": arns }),
        };
        let mut conditions: BTreeMap<&str, BTreeMap<&str, &BTreeSet<String>>> = BTreeMap::new();
        for Condition {
            operator,
            key,
            values,
        } in &self.conditions
        {
            conditions.entry(operator).or_default().insert(key, values);
        }
        let effect = match self.effect {
            Effect::Allow => "Allow",
            Effect::Deny => "Deny",
        };
        let mut statement = json!({
            "Sid": self.sid,
            "Effect": effect,
            "Principal": principal,
            "Condition": conditions,
        });
        match &self.actions {
            Actions::These(actions) => statement["Action"] = json!(actions),
            Actions::AllBut(actions) => statement["NotAction"] = json!(actions),
        }
        match &self.resources {
            Resources::Bearer => {}
            Resources::These(arns) => statement["Resource"] = json!(arns),
            Resources::AllBut(arns) => statement["NotResource"] = json!(arns),
        }
        // S3 takes no empty one.
        if self.conditions.is_empty()
            && let Some(fields) = statement.as_object_mut()
            && !matches!(self.resources, Resources::Bearer)
        {
            fields.remove("Condition");
        }
        statement
    }
}

/// One way of writing what a policy says; `None` if the text is no policy.
fn canonical(text: &str) -> Option<Value> {
    let Value::Object(mut policy) = serde_json::from_str(text).ok()? else {
        return None;
    };
    let statements = match policy.remove("Statement")? {
        Value::Array(statements) => statements,
        one => vec![one],
    };
    let statements = statements.into_iter().map(canonical_statement);
    let mut statements: Vec<Value> = statements.collect::<Option<_>>()?;
    // Statements only add to each other: their order means nothing.
    statements.sort_by_key(Value::to_string);
    statements.dedup();
    policy.insert("Statement".to_owned(), Value::Array(statements));
    Some(Value::Object(policy))
}

fn canonical_statement(statement: Value) -> Option<Value> {
    let Value::Object(statement) = statement else {
        return None;
    };
    let mut canonical = Map::new();
    for (field, value) in statement {
        let value = match field.as_str() {
            "Sid" if value == "" => continue,
            "Condition" if value == json!({}) => continue,
            "Action" | "NotAction" => list(&value, |action| action.to_ascii_lowercase()),
            "Resource" | "NotResource" => list(&value, str::to_owned),
            "Principal" | "NotPrincipal" => principals(&value)?,
            "Condition" => conditions(&value)?,
            _ => value,
        };
        canonical.insert(field, value);
    }
    Some(Value::Object(canonical))
}

/// A sorted list of text, whether it was a list or not.
fn list(value: &Value, write: impl Fn(&str) -> String) -> Value {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let items: BTreeSet<String> = items
        .iter()
        .map(|item| match item {
            Value::String(text) => write(text),
            other => write(&other.to_string()),
        })
        .collect();
    json!(items)
}

fn principals(value: &Value) -> Option<Value> {
    let Value::Object(kinds) = value else {
        return (value == "*").then(|| value.clone());
    };
    if kinds.len() == 1
        && kinds
            .get("AWS")
            .is_some_and(|aws| *aws == "*" || *aws == json!(["*"]))
    {
        return Some(json!("*"));
    }
    let kinds = kinds
        .iter()
        .map(|(kind, ids)| (kind.clone(), list(ids, principal)));
    Some(Value::Object(kinds.collect()))
}

/// The id of an account stands for the ARN of its root.
fn principal(id: &str) -> String {
    if id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit()) {
        format!("arn:aws:iam::{id}:root")
    } else {
        id.to_owned()
    }
}

fn conditions(value: &Value) -> Option<Value> {
    let mut canonical = Map::new();
    for (operator, keys) in value.as_object()? {
        // Keys are the same whatever their case.
        let keys = keys
            .as_object()?
            .iter()
            .map(|(key, values)| (key.to_ascii_lowercase(), list(values, str::to_owned)));
        canonical.insert(operator.clone(), Value::Object(keys.collect()));
    }
    Some(Value::Object(canonical))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> PolicyDocument {
        PolicyDocument {
            statements: vec![
                Statement {
                    sid: "Pull",
                    effect: Effect::Allow,
                    principal: Principal::Everybody,
                    actions: Actions::These(BTreeSet::from(["ecr:BatchGetImage"])),
                    resources: Resources::Bearer,
                    conditions: vec![Condition {
                        operator: "StringEquals",
                        key: "aws:PrincipalOrgID",
                        values: BTreeSet::from(["o-aa111bb222".to_owned()]),
                    }],
                },
                Statement {
                    sid: "Push",
                    effect: Effect::Allow,
                    principal: Principal::Aws(BTreeSet::from([
                        "arn:aws:iam::111122223333:root".to_owned(),
                        "arn:aws:iam::444455556666:root".to_owned(),
                    ])),
                    actions: Actions::These(BTreeSet::from([
                        "ecr:PutImage",
                        "ecr:UploadLayerPart",
                    ])),
                    resources: Resources::Bearer,
                    conditions: Vec::new(),
                },
            ],
        }
    }

    #[test]
    fn the_same_document_is_the_same_text() {
        insta::assert_snapshot!(document().to_json(), @r#"{"Statement":[{"Action":["ecr:BatchGetImage"],"Condition":{"StringEquals":{"aws:PrincipalOrgID":["o-aa111bb222"]}},"Effect":"Allow","Principal":"*","Sid":"Pull"},{"Action":["ecr:PutImage","ecr:UploadLayerPart"],"Condition":{},"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root","arn:aws:iam::444455556666:root"]},"Sid":"Push"}],"Version":"2012-10-17"}"#);
        assert!(document().says_the_same_as(&document().to_json()));
    }

    #[test]
    fn what_aws_makes_of_it_says_the_same() {
        let back = r#"{
            "Version" : "2012-10-17",
            "Statement" : [ {
                "Sid" : "Push",
                "Effect" : "Allow",
                "Principal" : { "AWS" : [ "444455556666", "arn:aws:iam::111122223333:root" ] },
                "Action" : [ "ecr:UploadLayerPart", "ecr:putimage" ]
            }, {
                "Action" : "ecr:BatchGetImage",
                "Sid" : "Pull",
                "Effect" : "Allow",
                "Principal" : { "AWS" : "*" },
                "Condition" : { "StringEquals" : { "aws:principalorgid" : "o-aa111bb222" } }
            } ]
        }"#;
        assert!(document().says_the_same_as(back));
    }

    #[test]
    fn every_difference_in_meaning_is_seen() {
        let text = document().to_json();
        for (what, with) in [
            ("2012-10-17", "2008-10-17"),
            ("ecr:PutImage", "ecr:*"),
            ("Allow", "Deny"),
            ("o-aa111bb222", "o-cc333dd444"),
            ("StringEquals", "StringLike"),
            ("aws:PrincipalOrgID", "aws:SourceAccount"),
            (
                r#""Principal":"*""#,
                r#""Principal":{"AWS":"444455556666"}"#,
            ),
            ("444455556666", "777788889999"),
            (
                r#"["ecr:PutImage","#,
                r#"["ecr:BatchDeleteImage","ecr:PutImage","#,
            ),
        ] {
            let other = text.replacen(what, with, 1);
            assert_ne!(other, text, "{what} is not in it");
            assert!(!document().says_the_same_as(&other), "{what} → {with}");
        }
        let mut less = document();
        less.statements.pop();
        assert!(!less.says_the_same_as(&text));
        for rubbish in ["", "[]", "{}", r#"{"Statement":[1]}"#] {
            assert!(!document().says_the_same_as(rubbish), "{rubbish}");
        }
    }
}
