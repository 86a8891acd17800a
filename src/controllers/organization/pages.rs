//! Reads in bulk: what is many calls must not be lost with one of them.

use std::time::Duration;

use crate::cloud::{Page, Result};

/// How often one call of a bulk read is made before the whole read is given up.
const ATTEMPTS: u32 = 4;
/// How long after the first refusal it is made again; twice as long after each further one.
const PAUSE: Duration = Duration::from_secs(1);

/// Makes one call of a bulk read, and makes it again if AWS did not answer or was too busy. A sweep over ten thousand
/// accounts is a thousand calls: were it begun anew whenever one of them is lost, it might never come to its end.
///
/// # Errors
/// AWS's: the last one of several, or one that says that asking again is in vain.
pub(super) async fn patiently<T, F: Future<Output = Result<T>>>(call: impl Fn() -> F) -> Result<T> {
    for attempt in 1..ATTEMPTS {
        match call().await {
            Err(error) if error.kind.is_transient() => {
                tracing::debug!(%error, attempt, "one call of many is made again");
                tokio::time::sleep(PAUSE * 2_u32.pow(attempt - 1)).await;
            }
            answer => return answer,
        }
    }
    call().await
}

/// All pages of a list, each read [`patiently`], until `enough`.
///
/// # Errors
/// AWS's.
pub(super) async fn pages<T, F: Future<Output = Result<Page<T>>>>(
    read: impl Fn(Option<String>) -> F,
    mut enough: impl FnMut(&[T]) -> bool,
) -> Result<Vec<T>> {
    let (mut all, mut page) = (Vec::new(), None);
    loop {
        let answer = patiently(|| read(page.clone())).await?;
        all.extend(answer.items);
        page = answer.next;
        if page.is_none() || enough(&all) {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::cloud::{CloudError, ErrorKind};

    fn refuse(kind: ErrorKind) -> CloudError {
        CloudError::new(
            kind,
            "organizations.ListAccountsForParent",
            "Refused",
            "by the test",
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_is_lost_is_read_again_and_the_others_are_not() {
        let calls = AtomicU32::new(0);
        let read = |page: Option<String>| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            async move {
                let number: u32 = page.map_or(0, |page| page.parse().unwrap());
                // Every second call is lost.
                if call.is_multiple_of(2) {
                    return Err(refuse(ErrorKind::Unavailable));
                }
                Ok(Page {
                    items: vec![number],
                    next: (number < 9).then(|| (number + 1).to_string()),
                })
            }
        };
        let all = pages(read, |_| false).await.unwrap();
        assert_eq!(all, Vec::from_iter(0..10));
        assert_eq!(calls.into_inner(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_good_is_not_asked_again_and_patience_ends() {
        for (kind, expected) in [(ErrorKind::Denied, 1), (ErrorKind::Throttled, ATTEMPTS)] {
            let calls = AtomicU32::new(0);
            let answer: Result<()> = patiently(|| {
                calls.fetch_add(1, Ordering::Relaxed);
                async move { Err(refuse(kind)) }
            })
            .await;
            assert_eq!(answer.unwrap_err().kind, kind);
            assert_eq!(calls.into_inner(), expected, "{kind:?}");
        }
    }
}
