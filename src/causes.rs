//! Errors, and what caused them. Below everything else, for whoever talks to others: the outermost error alone often says
//! no more than "error".

use std::error::Error;

/// The error and what caused it, outermost first.
pub fn causes<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The same in one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Told(&'static str, #[source] Option<Box<Told>>);

    #[test]
    fn every_cause_is_told_in_its_order() {
        let refused = Told("refused", None);
        assert_eq!(chain(&refused), "refused");
        let failed = Told(
            "failed",
            Some(Box::new(Told("no way", Some(Box::new(refused))))),
        );
        assert_eq!(chain(&failed), "failed: no way: refused");
        assert_eq!(causes(&failed).count(), 3);
    }
}
