//! Lists in a sentence: bounded, since there can be thousands and nobody reads them.

/// The first `most` of the names, and how many more there are: `a, b and 3 more`. Empty for none.
pub fn few<'n>(names: impl IntoIterator<Item = &'n String>, most: usize) -> String {
    let mut names = names.into_iter();
    let first: Vec<&str> = names.by_ref().take(most).map(String::as_str).collect();
    first.join(", ") + &and_more(names.count())
}

/// What follows a list that leaves out so many.
pub fn and_more(left_out: usize) -> String {
    match left_out {
        0 => String::new(),
        more => format!(" and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::few;

    #[test]
    fn the_first_are_named_and_the_rest_counted() {
        let names = ["a", "b", "c"].map(str::to_owned);
        for (most, told) in [
            (1, "a and 2 more"),
            (2, "a, b and 1 more"),
            (3, "a, b, c"),
            (4, "a, b, c"),
        ] {
            assert_eq!(few(&names, most), told);
        }
        assert_eq!(few(&[], 3), "");
    }
}
