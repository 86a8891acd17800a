//! Templates for names, and durations as people write them.

use std::time::Duration;

/// A template that cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A placeholder that nothing is known for.
    #[error("{{{{{0}}}}} is not a placeholder here; there are: {1}")]
    Unknown(String, String),
    /// A `{{` without its `}}`.
    #[error("a {{{{ is not closed by }}}}")]
    Open,
}

/// Fills in a template: `{{name}}` is replaced by the value of that name.
///
/// # Errors
/// Names the placeholder that is unknown, and those that are known.
pub fn render(template: &str, values: &[(&str, &str)]) -> Result<String, TemplateError> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or(TemplateError::Open)?;
        let name = name.trim();
        let value = values
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| {
                let known: Vec<&str> = values.iter().map(|(known, _)| *known).collect();
                TemplateError::Unknown(name.to_owned(), known.join(", "))
            })?;
        text.push_str(before);
        text.push_str(value.1);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

/// `30d`, `12h` or `90m` as a duration; `None` if it is none of these.
pub fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number: u64 = text.get(..text.len() - unit.len_utf8())?.parse().ok()?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_and_unknown_ones_named() {
        let values = [("team", "payments"), ("account", "test")];
        assert_eq!(
            render("aws+{{team}}-{{ account }}@x.org", &values).unwrap(),
            "aws+payments-test@x.org"
        );
        let error = render("{{tema}}", &values).unwrap_err().to_string();
        assert_eq!(
            error,
            "{{tema}} is not a placeholder here; there are: team, account"
        );
        assert_eq!(render("{{team", &values), Err(TemplateError::Open));
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(duration("30d"), Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(duration("12h"), Some(Duration::from_secs(12 * 3_600)));
        for bad in ["", "d", "3", "3w", "-1d", "ä", "99999999999999999999d"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
