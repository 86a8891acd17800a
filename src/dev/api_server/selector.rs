//! Label and field selectors.

use serde_json::Value;

use super::{
    kinds::ResourceKind,
    status::{Answer, bad_request},
};

/// Which objects of a collection a request is about.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(Vec<String>, bool, String)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selector {
    /// Reads the two query parameters; a kind supports `metadata.name`, `metadata.namespace` and what it lists.
    pub fn parse(kind: &ResourceKind, labels: &str, fields: &str) -> Answer<Self> {
        let labels = split_outside_parentheses(labels)
            .into_iter()
            .map(|text| {
                requirement(text)
                    .ok_or_else(|| bad_request(format!("unable to parse requirement: {text}")))
            })
            .collect::<Answer<_>>()?;
        let fields = fields
            .split(',')
            .filter(|term| !term.is_empty())
            .map(|term| {
                let (path, wanted, value) = comparison(term)
                    .ok_or_else(|| bad_request(format!("invalid field selector: {term}")))?;
                let known = ["metadata.name", "metadata.namespace"].contains(&path)
                    || kind.selectable_fields.iter().any(|field| field == path);
                if !known {
                    return Err(bad_request(format!("field label not supported: {path}")));
                }
                let path = path.split('.').map(str::to_owned).collect();
                Ok((path, wanted, value.to_owned()))
            })
            .collect::<Answer<_>>()?;
        Ok(Self { labels, fields })
    }

    /// Whether everything is selected.
    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        let label = |key: &String| labels[key.as_str()].as_str();
        self.labels.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Missing(key) => label(key).is_none(),
            Requirement::In(key, values) => {
                label(key).is_some_and(|value| values.iter().any(|one| one == value))
            }
            Requirement::NotIn(key, values) => {
                label(key).is_none_or(|value| values.iter().all(|one| one != value))
            }
        }) && self.fields.iter().all(|(path, wanted, value)| {
            let found = path.iter().fold(object, |at, step| &at[step.as_str()]);
            let found = found.as_str().map_or_else(
                || {
                    if found.is_null() {
                        String::new()
                    } else {
                        found.to_string()
                    }
                },
                str::to_owned,
            );
            (found == *value) == *wanted
        })
    }
}

fn comparison(term: &str) -> Option<(&str, bool, &str)> {
    if let Some((key, value)) = term.split_once("!=") {
        return Some((key.trim(), false, value.trim()));
    }
    let (key, value) = term.split_once("==").or_else(|| term.split_once('='))?;
    Some((key.trim(), true, value.trim()))
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut terms) = (0, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                terms.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    terms.push(text[from..].trim());
    terms.retain(|term| !term.is_empty());
    terms
}

fn requirement(text: &str) -> Option<Requirement> {
    if let Some((head, list)) = text.split_once('(') {
        let values = list
            .strip_suffix(')')?
            .split(',')
            .map(|v| v.trim().to_owned())
            .collect();
        let mut words = head.split_whitespace();
        let (key, operator) = (words.next()?.to_owned(), words.next()?);
        return match operator {
            "in" => Some(Requirement::In(key, values)),
            "notin" => Some(Requirement::NotIn(key, values)),
            _ => None,
        };
    }
    if let Some((key, wanted, value)) = comparison(text) {
        let (key, values) = (key.to_owned(), vec![value.to_owned()]);
        return Some(if wanted {
            Requirement::In(key, values)
        } else {
            Requirement::NotIn(key, values)
        });
    }
    if let Some(key) = text.strip_prefix('!') {
        return Some(Requirement::Missing(key.trim().to_owned()));
    }
    (!text.contains(char::is_whitespace)).then(|| Requirement::Exists(text.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kind() -> ResourceKind {
        ResourceKind::builtin("", "v1", "ConfigMap", "configmaps")
    }

    #[test]
    fn labels_are_selected_as_kubectl_would() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "front"}}});
        for (selector, matches) in [
            ("", true),
            ("app", true),
            ("!app", false),
            ("!other", true),
            ("app=web", true),
            ("app==web,tier=front", true),
            ("app!=web", false),
            ("other!=x", true),
            ("app in (web, api)", true),
            ("app in (api),tier", false),
            ("app notin (api,db)", true),
            ("other notin (api)", true),
            ("other in (api)", false),
        ] {
            let parsed = Selector::parse(&kind(), selector, "").unwrap();
            assert_eq!(parsed.matches(&object), matches, "{selector}");
        }
        assert!(Selector::parse(&kind(), "app near (x)", "").is_err());
        assert!(Selector::parse(&kind(), "two words", "").is_err());
    }

    #[test]
    fn fields_are_those_the_kind_offers() {
        let object = json!({"metadata": {"name": "a", "namespace": "n"}, "spec": {"size": 3}});
        let mut kind = kind();
        kind.selectable_fields = vec!["spec.size".into(), "spec.absent".into()];
        for (selector, matches) in [
            ("metadata.name=a", true),
            ("metadata.name=a,metadata.namespace!=n", false),
            ("spec.size=3", true),
            ("spec.absent=", true),
        ] {
            let parsed = Selector::parse(&kind, "", selector).unwrap();
            assert_eq!(parsed.matches(&object), matches, "{selector}");
        }
        assert_eq!(
            Selector::parse(&kind, "", "spec.other=1").unwrap_err().code,
            400
        );
    }
}
