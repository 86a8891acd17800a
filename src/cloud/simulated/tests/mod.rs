//! Each behaviour of the simulation, by subject.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
mod closing;
mod creation;
mod faults;
mod lag;
mod member;
mod repositories;
mod scale;
mod settings;
mod units;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::{Options, SimulatedCloud, tokio_clock};
use crate::cloud::{Cloud, CloudError, CreateRequest, ErrorKind, NewAccount, Page, RequestState};
use crate::model::{AccountId, Tags, UnitPath};

/// An organization whose time is tokio's, and a caller.
fn organization(options: Options) -> (SimulatedCloud, Cloud) {
    let start: Timestamp = "2026-01-05T08:00:00Z".parse().unwrap();
    let sim = SimulatedCloud::new(options, 7, tokio_clock(start));
    let cloud = sim.cloud();
    (sim, cloud)
}

/// Creation takes exactly a minute.
fn punctual() -> Options {
    Options {
        creation_jitter: Duration::ZERO,
        ..Options::default()
    }
}

fn new_account(name: &str) -> NewAccount {
    NewAccount {
        email: format!("{name}@example.com").parse().unwrap(),
        name: name.parse().unwrap(),
        access_role: "Access".parse().unwrap(),
        tags: tags(&[("bailiwick.dev/uid", name)]),
    }
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn path(text: &str) -> UnitPath {
    text.parse().unwrap()
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

/// Creates an account and waits until it is usable.
async fn created(cloud: &Cloud, name: &str) -> AccountId {
    let request = cloud
        .accounts
        .create_account(&new_account(name))
        .await
        .unwrap();
    pass(60 + 20).await;
    match cloud
        .accounts
        .create_request(&request.id)
        .await
        .unwrap()
        .state
    {
        RequestState::Succeeded(id) => id,
        other => panic!("{other:?}"),
    }
}

async fn state_of(cloud: &Cloud, request: &CreateRequest) -> RequestState {
    cloud
        .accounts
        .create_request(&request.id)
        .await
        .unwrap()
        .state
}

fn code<T: std::fmt::Debug>(answer: Result<T, CloudError>) -> String {
    answer.unwrap_err().code
}

fn kind<T: std::fmt::Debug>(answer: Result<T, CloudError>) -> ErrorKind {
    answer.unwrap_err().kind
}

fn reason<T: std::fmt::Debug>(answer: Result<T, CloudError>) -> String {
    answer.unwrap_err().reason.unwrap()
}

/// Reads a list to its end: the items, and how many pages they took.
async fn all<T, F>(mut read: impl FnMut(Option<String>) -> F) -> (Vec<T>, usize)
where
    F: Future<Output = Result<Page<T>, CloudError>>,
{
    let mut items = Vec::new();
    let mut pages = 0;
    let mut token = None;
    loop {
        let page = read(token).await.unwrap();
        pages += 1;
        assert!(page.items.len() <= 20);
        items.extend(page.items);
        token = page.next;
        if token.is_none() {
            return (items, pages);
        }
    }
}
