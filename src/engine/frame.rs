//! The one frame around every pass of every controller.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use kube::core::object::HasStatus;
use kube::core::{DeserializeGuard, error_boundary::InvalidObject};
use kube::runtime::Controller;
use kube::runtime::controller::{Action, Config};
use kube::runtime::events::Reporter;
use kube::{Client, Resource, ResourceExt};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::backoff::{Attempts, Backoff, jitter};
use super::cache::Watched;
use super::clock::Clock;
use super::conditions;
use super::events::ParentOf;
use super::leader::Leadership;
use super::metrics::Metrics;
use super::outcome::{Failure, FailureKind, Outcome};
use super::reasons::{self, Reason};
use super::record::{Kind, Note, Record};
use super::trace::{TraceId, TraceOf};
use super::witness::Witness;
use crate::api::{FINALIZER, Status};

/// How soon something that a person must mend is looked at again: they may have mended it outside.
const BLOCKED_AGAIN: Duration = Duration::from_secs(600);
/// How soon after a conflict the object, by then read anew as a rule, is looked at again; twice as long after each further
/// one, for the cache may lag behind for minutes.
const CONFLICT_AGAIN: Backoff = Backoff {
    base: Duration::from_millis(300),
    max: Duration::from_secs(10),
};

/// How soon the witness of a departure is asked again.
const WITNESS_AGAIN: Duration = Duration::from_secs(30);

/// What a kind's controller does; the frame does the rest.
#[async_trait]
pub trait Reconcile: Send + Sync + 'static {
    /// The kind.
    type Kind: Kind;

    /// The kind's name, for logs, events and metrics.
    const KIND: &'static str;

    /// Whether something outside of the object is owed when it is deleted: then it has the finalizer, and is not gone
    /// before a pass says `Released`. Others have it where admission gives it to whatever is made, so that nothing goes
    /// unseen by the journal; they cost no write for it, and no pass of theirs is asked before they go.
    const FINALIZES: bool = true;

    /// The reasons in this kind's conditions and events, besides the engine's own: a closed set.
    const REASONS: &'static [Reason];

    /// One pass: gather, validate, decide, act, report into `record.status`. Called with the finalizer in place, and
    /// also for an object that is being deleted.
    async fn pass(
        &self,
        object: &Self::Kind,
        record: &mut Record<Self::Kind>,
    ) -> Result<Outcome, Failure>;
}

/// What all controllers share.
#[derive(Clone)]
pub struct Engine {
    /// The API server.
    pub client: Client,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether this replica may write.
    pub leadership: Leadership,
    /// What is counted.
    pub metrics: Metrics,
    /// Who speaks in events.
    pub reporter: Reporter,
    /// Who hears of an object whose namespace is being deleted.
    pub parent_of: ParentOf,
    /// How many objects of a kind are worked on at once.
    pub concurrency: u16,
    /// How long one pass may take.
    pub pass_timeout: Duration,
    /// Which trace a pass belongs to, if its span is sent anywhere.
    pub trace_of: TraceOf,
    /// Who must have heard of an object before it goes; nobody, if there is no journal.
    pub witness: Option<Arc<dyn Witness>>,
    /// Cancelled when no new pass shall begin.
    pub shutdown: CancellationToken,
}

struct Frame<R> {
    reconciler: R,
    engine: Engine,
    attempts: Attempts,
    conflicts: Attempts,
    backoff: Backoff,
    passes: AtomicU64,
}

/// Runs a kind's controller until the engine shuts down; passes in flight are finished.
pub async fn run<R: Reconcile>(reconciler: R, watched: Watched<R::Kind>, engine: Engine) {
    let (concurrency, shutdown) = (engine.concurrency, engine.shutdown.clone());
    let frame = Arc::new(Frame {
        reconciler,
        engine,
        attempts: Attempts::default(),
        conflicts: Attempts::default(),
        backoff: Backoff::default(),
        passes: AtomicU64::new(0),
    });
    let filled = watched.filled();
    let (store, stream, wake) = watched.start();
    let wake = futures::stream::unfold(wake, |mut wake| async move {
        let next = wake.recv().await?;
        Some((next, wake))
    });
    let ending = shutdown.clone();
    let working = Controller::for_stream(stream, store)
        .with_config(Config::default().concurrency(concurrency))
        .reconcile_on(wake)
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(
            reconcile::<R>,
            |_, _: &std::convert::Infallible, _| Action::await_change(),
            frame,
        )
        .for_each(|_| futures::future::ready(()));
    // A controller whose cache was never filled waits for that even when it shall end.
    let idle = async {
        ending.cancelled().await;
        if *filled.borrow() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = working => {}
        () = idle => {}
    }
}

async fn reconcile<R: Reconcile>(
    object: Arc<DeserializeGuard<R::Kind>>,
    frame: Arc<Frame<R>>,
) -> Result<Action, std::convert::Infallible> {
    let span = frame.span(&*object);
    let pass = async {
        match &object.0 {
            Ok(object) => frame.pass(Arc::new(object.clone())).await,
            Err(invalid) => {
                frame.set_aside(&*object, invalid).await;
                Action::await_change()
            }
        }
    };
    Ok(pass.instrument(span).await)
}

impl<R: Reconcile> Frame<R> {
    /// What every log line of a pass carries. Of the highest level, so that no filter for lines takes it off them.
    fn span(&self, object: &impl ResourceExt) -> tracing::Span {
        let uid = object.uid();
        let span = tracing::error_span!(
            "pass",
            kind = R::KIND,
            namespace = object.namespace(),
            object = object.name_any(),
            uid,
            trace_id = tracing::field::Empty,
        );
        let number = self.passes.fetch_add(1, Ordering::Relaxed);
        let derived = || {
            let uid = uid.as_deref().unwrap_or_default();
            TraceId::derived(uid, self.engine.clock.now(), number)
        };
        let id = (self.engine.trace_of)(&span).unwrap_or_else(derived);
        span.record("trace_id", tracing::field::display(id));
        span
    }

    /// An object that cannot be read is left alone, its status too. It is told so by an event: what else it has, its name
    /// and its uid, can be read.
    async fn set_aside(&self, object: &DeserializeGuard<R::Kind>, invalid: &InvalidObject) {
        tracing::error!(error = %invalid.error, "the object cannot be read and is left alone");
        let metrics = &self.engine.metrics;
        metrics.reconciled(R::KIND, "undecodable", Duration::ZERO);
        if self.engine.leadership.guard().is_ok() {
            let message = format!(
                "the operator cannot read this object and leaves it alone ({}): correct what is declared, or install the \
                 CustomResourceDefinitions of the operator's version",
                invalid.error
            );
            let reference = object.object_ref(&());
            self.engine
                .publish(&reference, true, reasons::UNDECODABLE, &message)
                .await;
        }
    }

    async fn pass(&self, object: Arc<R::Kind>) -> Action {
        let started = Instant::now();
        let deleting = object.meta().deletion_timestamp.is_some();
        let finalizing = object.finalizers().iter().any(|name| name == FINALIZER);
        if (deleting && !finalizing) || self.engine.leadership.guard().is_err() {
            return Action::await_change();
        }
        let opened = Record::open(
            self.engine.client.clone(),
            self.engine.leadership.clone(),
            R::REASONS,
            object.clone(),
            self.engine.clock.now(),
        );
        let (end, label) = match opened {
            Ok(mut record) => {
                let begun = record.begun();
                let whole = async {
                    let end = self.work(&object, &mut record, finalizing).await;
                    let label = end
                        .as_ref()
                        .map_or_else(|failure| failure.label, Outcome::label);
                    (Some(self.finish(&object, record, end).await), label)
                };
                tokio::select! {
                    biased;
                    done = whole => done,
                    () = self.cut(&begun) => (None, "interrupted"),
                }
            }
            Err(failure) => {
                let label = failure.label;
                (Some(Err(failure)), label)
            }
        };
        self.engine
            .metrics
            .reconciled(R::KIND, label, started.elapsed());
        end.map_or_else(Action::await_change, |end| self.again(&object, end))
    }

    /// Comes when the process shall end and the pass has written nothing outside: nothing is lost by ending it. A pass
    /// that has is never cut here; it is given the grace period to record what came of it.
    async fn cut(&self, begun: &AtomicBool) {
        self.engine.shutdown.cancelled().await;
        if begun.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    /// The pass itself, with its limits: a finalizer first, a time limit, and a panic that stops nothing else.
    async fn work(
        &self,
        object: &R::Kind,
        record: &mut Record<R::Kind>,
        finalizing: bool,
    ) -> Result<Outcome, Failure> {
        if !finalizing && R::FINALIZES {
            record.add_finalizer(FINALIZER).await?;
        }
        if !R::FINALIZES && object.meta().deletion_timestamp.is_some() {
            return self.depart(object).await;
        }
        let pass = AssertUnwindSafe(self.reconciler.pass(object, record)).catch_unwind();
        match tokio::time::timeout(self.engine.pass_timeout, pass).await {
            Ok(Ok(Ok(Outcome::Released))) => self.depart(object).await,
            Ok(Ok(end)) => end,
            Ok(Err(_)) => Err(Failure::new(
                FailureKind::Bug,
                reasons::INTERNAL_ERROR,
                "a defect of the operator: its log has the details; please report it",
            )),
            Err(_) => Err(Failure::new(
                FailureKind::Transient,
                reasons::TIMED_OUT,
                format!(
                    "the pass took longer than {} s",
                    self.engine.pass_timeout.as_secs()
                ),
            )),
        }
    }

    /// Nothing outside is owed any more: the object may go as soon as its departure is recorded.
    async fn depart(&self, object: &R::Kind) -> Result<Outcome, Failure> {
        let Some(witness) = &self.engine.witness else {
            return Ok(Outcome::Released);
        };
        let mut whole = serde_json::to_value(object).map_err(|error| {
            Failure::new(FailureKind::Bug, reasons::INTERNAL_ERROR, error.to_string())
        })?;
        let spec = whole["spec"].take();
        match witness.departs(R::KIND, object.meta(), spec).await {
            Ok(()) => Ok(Outcome::Released),
            Err(message) => Ok(Outcome::waiting(
                reasons::JOURNAL_BEHIND,
                message,
                WITNESS_AGAIN,
            )),
        }
    }

    /// Derives the summary, writes the status if it differs, publishes events on transition.
    async fn finish(
        &self,
        object: &R::Kind,
        mut record: Record<R::Kind>,
        end: Result<Outcome, Failure>,
    ) -> Result<Outcome, Failure> {
        if let Err(failure) = &end {
            tracing::warn!(reason = failure.label, error = %failure.message, "pass failed");
        }
        if matches!(&end, Err(failure) if failure.kind == FailureKind::Conflict) {
            return end;
        }
        let uid = object.uid().unwrap_or_default();
        let failures = if end.is_err() {
            self.attempts.failed(&uid)
        } else {
            0
        };
        let generation = record.generation;
        let before = conditions::find(
            object
                .status()
                .map(Status::conditions_ref)
                .unwrap_or_default(),
            conditions::READY,
        )
        .map(|ready| (ready.status.clone(), ready.reason.clone()));
        let at = (generation, record.now);
        conditions::summarise(record.status.conditions(), &end, failures, at);
        let has_begun = matches!(end, Ok(Outcome::Begun { .. }));
        let observed = record.status.observed_generation();
        let is_new = *observed != Some(generation);
        // A status that says nothing of this generation yet does not say that it has seen it either (kstatus).
        if !has_begun {
            *observed = Some(generation);
        }
        record.check();
        // What a new object was found to be by now, the pass that has the answer finds as well, and writes once.
        let written = match has_begun && is_new {
            true => Ok(false),
            false => record.save().await,
        };
        let mut notes = std::mem::take(&mut record.notes);
        let reference = object.object_ref(&());
        let ready = conditions::find(record.status.conditions_ref(), conditions::READY).cloned();
        if let Some(ready) = ready
            && before != Some((ready.status.clone(), ready.reason.clone()))
            && written.is_ok()
        {
            let warning =
                !matches!(end, Ok(ref outcome) if !matches!(outcome, Outcome::Blocked { .. }));
            self.engine
                .publish(&reference, warning, &ready.reason, &ready.message)
                .await;
        }
        for Note {
            warning,
            reason,
            message,
        } in notes.drain(..)
        {
            self.engine
                .publish(&reference, warning, reason, &message)
                .await;
        }
        written?;
        if end == Ok(Outcome::Released) {
            record.remove_finalizer(FINALIZER).await?;
        }
        end
    }

    /// When to look again: one function for all kinds.
    fn again(&self, object: &R::Kind, end: Result<Outcome, Failure>) -> Action {
        let uid = object.uid().unwrap_or_default();
        if end.is_ok() {
            self.attempts.succeeded(&uid);
        }
        if !matches!(&end, Err(failure) if failure.kind == FailureKind::Conflict) {
            self.conflicts.succeeded(&uid);
        }
        match end {
            Ok(Outcome::Settled { resync: None } | Outcome::Released) => Action::await_change(),
            Ok(Outcome::Settled {
                resync: Some(after),
            }) => Action::requeue(after),
            Ok(Outcome::Waiting { after, .. } | Outcome::Begun { after }) => Action::requeue(after),
            Ok(Outcome::Blocked { .. }) => Action::requeue(BLOCKED_AGAIN),
            Err(failure) => match failure.kind {
                FailureKind::Conflict => {
                    let conflict = self.conflicts.failed(&uid);
                    Action::requeue(CONFLICT_AGAIN.delay(conflict, jitter(&uid, conflict)))
                }
                FailureKind::Transient => {
                    let attempt = self.attempts.count(&uid);
                    Action::requeue(self.backoff.delay(attempt, jitter(&uid, attempt)))
                }
                FailureKind::Terminal | FailureKind::Bug => Action::requeue(BLOCKED_AGAIN),
            },
        }
    }
}
