//! Lists in pages of twenty.

use super::refusal::invalid_input;
use crate::cloud::{Page, Result};

/// The most items of one page (botocore's model of Organizations: `MaxResults` of 1 to 20).
pub(super) const PAGE: usize = 20;

const PREFIX: &str = "after:";

/// Where a page starts: behind this key, or at the very start.
pub(super) fn start<'a>(operation: &'static str, page: Option<&'a str>) -> Result<Option<&'a str>> {
    match page {
        None => Ok(None),
        Some(token) => match token.strip_prefix(PREFIX) {
            Some("") => Ok(None),
            Some(key) => Ok(Some(key)),
            None => Err(invalid_input(operation, "INVALID_PAGINATION_TOKEN")),
        },
    }
}

/// An empty page that says there is more: "Always check NextToken; these operations can occasionally return an
/// empty set of results even when there are more results available" (Organizations API Reference).
pub(super) fn empty<T>(start: Option<&str>) -> Page<T> {
    Page {
        items: Vec::new(),
        next: Some(format!("{PREFIX}{}", start.unwrap_or_default())),
    }
}

/// One page of `items`, which start behind the page before.
pub(super) fn fill<T>(items: impl Iterator<Item = (String, T)>) -> Page<T> {
    let mut items = items.peekable();
    let mut page = Page {
        items: Vec::with_capacity(PAGE),
        next: None,
    };
    let mut last = String::new();
    for (key, item) in items.by_ref().take(PAGE) {
        last = key;
        page.items.push(item);
    }
    if items.peek().is_some() {
        page.next = Some(format!("{PREFIX}{last}"));
    }
    page
}
