//! Report: which of the team's accounts are not Ready, and why.

use kube::ResourceExt;

use super::reasons;
use crate::api::{Team, TeamAccount, TeamAccountSummary};
use crate::engine::conditions::{self, Truth};
use crate::engine::record::Record;
use crate::few::few;

/// The condition that sums the accounts up. No part of Ready, which speaks of the team itself.
const ACCOUNTS_READY: &str = "AccountsReady";
/// How much of an account's message stands in its team's status, in characters.
const LONGEST: usize = 300;
/// How many accounts the condition names; all are in the status.
const NAMED: usize = 5;
/// How many accounts say in their team's status more than the reason: it must not grow without bound.
const EXPLAINED: usize = 20;

/// Sums up the accounts of the team.
pub fn accounts(record: &mut Record<Team>, accounts: Vec<TeamAccountSummary>) {
    let list = in_order(accounts);
    if list.is_empty() {
        conditions::remove(&mut record.status.conditions, ACCOUNTS_READY);
        record.status.accounts_ready = None;
    } else {
        let (truth, reason, message) = summary(&list);
        record.set(ACCOUNTS_READY, truth, reason, &message);
        let ready = list.iter().filter(|account| account.ready).count();
        record.status.accounts_ready = Some(format!("{ready}/{}", list.len()));
    }
    record.status.accounts = list;
}

fn in_order(mut list: Vec<TeamAccountSummary>) -> Vec<TeamAccountSummary> {
    list.sort_by(|a, b| a.name.cmp(&b.name));
    let unready = list.iter_mut().filter(|account| !account.ready);
    for account in unready.skip(EXPLAINED) {
        account.message = None;
    }
    list
}

/// What its team tells of an account.
pub fn summary_of(account: &TeamAccount) -> TeamAccountSummary {
    let status = account.status.as_ref();
    let found = status.and_then(|status| conditions::find(&status.conditions, conditions::READY));
    let (ready, why) = match found {
        Some(condition) if condition.status == "True" => (true, None),
        found => (false, found),
    };
    // What goes on by itself changes often, and each change would be a write to the team.
    let stalled =
        status.is_some_and(|status| conditions::is_true(&status.conditions, conditions::STALLED));
    let short = |text: &String| text.chars().take(LONGEST).collect();
    TeamAccountSummary {
        name: account.name_any(),
        id: status.and_then(|status| status.account_id.clone()),
        ready,
        reason: why.map(|condition| condition.reason.clone()),
        message: why
            .filter(|_| stalled)
            .map(|condition| short(&condition.message)),
    }
}

fn summary(list: &[TeamAccountSummary]) -> (Truth, &'static str, String) {
    let unready: Vec<String> = list
        .iter()
        .filter(|account| !account.ready)
        .map(|account| {
            let reason = account.reason.as_deref().unwrap_or("not looked at yet");
            format!("{} ({reason})", account.name)
        })
        .collect();
    if unready.is_empty() {
        let message = format!("all accounts of the team are Ready: {}", list.len());
        return (Truth::True, reasons::ALL_READY, message);
    }
    let message = format!(
        "{} of {} accounts are not Ready: {}; status.accounts says why",
        unready.len(),
        list.len(),
        few(&unready, NAMED)
    );
    (Truth::False, reasons::SOME_NOT_READY, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, ready: bool, reason: Option<&str>) -> TeamAccountSummary {
        TeamAccountSummary {
            name: name.to_owned(),
            id: None,
            ready,
            reason: reason.map(str::to_owned),
            message: None,
        }
    }

    #[test]
    fn the_summary_names_who_is_not_ready_and_why() {
        let live = account("live", true, None);
        let (truth, reason, _) = summary(std::slice::from_ref(&live));
        assert_eq!((truth, reason), (Truth::True, "AllReady"));
        let test = account("test", false, Some("Queued"));
        let fresh = account("fresh", false, None);
        let (truth, reason, message) = summary(&[live, test, fresh]);
        assert_eq!((truth, reason), (Truth::False, "SomeNotReady"));
        assert_eq!(
            message,
            "2 of 3 accounts are not Ready: test (Queued), fresh (not looked at yet); status.accounts says why"
        );
        let many: Vec<_> = (0..7)
            .map(|n| account(&format!("n{n}"), false, Some("Queued")))
            .collect();
        assert!(summary(&many).2.contains("n4 (Queued) and 2 more;"));
    }

    #[test]
    fn an_account_says_why_only_while_it_is_not_ready() {
        let account = |name: &str, ready: &str, also: &str| -> TeamAccount {
            let condition = |type_: &str, status: &str| {
                serde_json::json!({
                    "type": type_, "status": status, "reason": "Because", "message": "m".repeat(999),
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                })
            };
            serde_json::from_value(serde_json::json!({
                "apiVersion": "bailiwick.dev/v1alpha1", "kind": "TeamAccount",
                "metadata": { "name": name }, "spec": { "className": "test" },
                "status": { "accountId": "123456789012",
                    "conditions": [condition("Ready", ready), condition(also, "True")]},
            }))
            .unwrap()
        };
        let ready = summary_of(&account("live", "True", "InSync"));
        assert_eq!(
            (ready.ready, ready.reason, ready.message),
            (true, None, None)
        );
        let unready = summary_of(&account("live", "False", "Stalled"));
        assert_eq!(unready.reason.as_deref(), Some("Because"));
        assert_eq!(unready.message.unwrap().len(), LONGEST);
        let working = summary_of(&account("live", "False", "Reconciling"));
        assert_eq!(working.reason.as_deref(), Some("Because"));
        assert_eq!(working.message, None, "it changes too often");
        let many: Vec<_> = (0..30)
            .map(|n| account(&format!("n{n:02}"), "False", "Stalled"))
            .collect();
        let list = in_order(many.iter().map(summary_of).collect());
        assert!(list.iter().all(|account| account.reason.is_some()));
        let explained = list.iter().filter(|account| account.message.is_some());
        assert_eq!(explained.count(), EXPLAINED);
    }
}
