//! What becomes of an application's credentials next: the machine behind `OAuthClient`.
//!
//! | module | what |
//! |---|---|
//! | this one | the step that comes next, and what each step makes of what is known |
//! | [`schedule`] | when credentials are replaced if nobody asks for it |
//! | [`turns`] | which of its moments a client takes, so that they are even |
//!
//! Everything that must survive a kill is in [`Known`], which is written down before the step that it announces. Never are
//! more than two versions alive: a rotation begins when there is one at most, and one that is open is resumed or
//! abandoned, never overtaken. The version in use stays in use until another one has been made, tried, delivered to every
//! place, and tried again.

pub mod schedule;
#[cfg(test)]
mod tests;
pub mod turns;

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

pub use schedule::Window;

/// How long two versions are valid beside each other if nobody says, and at most where a scope was taken back: how long is
/// then not for whoever holds it to say.
pub const OVERLAP: Duration = Duration::from_secs(3600);

/// How long the server must refuse the version in use before it is given up for the sake of the one before it: another of
/// the server's replicas, or its clock, may be late.
const CERTAIN: Duration = Duration::from_secs(180);

/// How much longer than the overlap the older of two secrets must live: the overlap begins when the new one has been
/// delivered and tried, and the older one's end is counted from when that was made.
const UNTIL_PROMOTED: Duration = Duration::from_secs(900);

/// Whether the older of two secrets of a client lives until the end of the overlap. `None`: until we end it.
pub fn outlasts(older_lives: Option<Duration>, overlap: Duration) -> bool {
    older_lives.is_none_or(|lives| lives >= overlap + UNTIL_PROMOTED)
}

/// How a client authenticates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// By the identity of a workload, without credentials.
    Workload,
    /// By a key.
    Key,
    /// By a secret, in the header.
    SecretBasic,
    /// By a secret, in the body.
    SecretPost,
    /// Not at all.
    Public,
}

impl Auth {
    /// Whether there is something that grows old.
    pub fn ages(self) -> bool {
        !matches!(self, Self::Workload | Self::Public)
    }
}

/// What a version is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is being made and delivered.
    Pending,
    /// It is the one to use.
    Current,
    /// It was the one to use, and is valid until the end of the overlap.
    Previous,
    /// It is being removed.
    Retiring,
}

/// How a version comes beside the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By another client.
    Client,
    /// By a second secret of the same client.
    Secret,
    /// By a second key of the same client.
    Key,
}

/// Why a rotation is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// There were no credentials.
    Initial,
    /// Their time has come.
    Due,
    /// Somebody asked for it.
    Requested,
    /// What is registered is not what is declared, and cannot be changed in place.
    Changed,
    /// The same, and a scope that it holds was taken back by its owner.
    Withdrawn,
    /// All were revoked.
    Revoked,
    /// The server does not take the current ones any more.
    Lost,
}

/// The step that a rotation is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The new version is made at the server, and tried there.
    Create,
    /// It is delivered to all places.
    Deliver,
    /// It is tried again.
    Test,
}

/// One version of the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub number: i64,
    /// What it is for.
    pub state: State,
    /// How it came beside the one before it.
    pub way: Way,
    /// How it authenticates.
    pub auth: Auth,
    /// Whether a user belongs to it, for the grant type `password`.
    pub user: bool,
    /// The ServiceAccount whose identity that is.
    pub service_account: Option<String>,
    /// The client's id, once it is known.
    pub client_id: Option<String>,
    /// The revision of what was registered.
    pub revision: String,
    /// The scopes that it is registered with.
    pub scopes: Vec<String>,
    /// Since when it exists.
    pub created: Option<Timestamp>,
    /// Until when it is valid, or should be.
    pub expires: Option<Timestamp>,
    /// When it is removed, if it is the previous one.
    pub retires: Option<Timestamp>,
}

/// A rotation that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The number of the version that it brings.
    pub version: i64,
    /// Why it was begun.
    pub cause: Cause,
    /// The step that it is at; what is before it is durable.
    pub step: Step,
    /// When it was begun.
    pub started: Timestamp,
}

/// What is known and durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The versions that there are.
    pub versions: Vec<Version>,
    /// The rotation that is under way.
    pub open: Option<Open>,
    /// The number of the newest version that was ever begun.
    pub newest: i64,
    /// The last request to renew that was acted upon.
    pub renewed: Option<String>,
    /// The last request to revoke that was acted upon.
    pub revoked: Option<String>,
    /// Which of the series of moments that follow from its uid the client has taken; none: the first.
    pub turn: Option<u8>,
}

/// What was seen in this pass alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Since when the server does not take the current version, as far as was noticed.
    pub lost: Option<Timestamp>,
    /// The versions that could not be removed in this pass.
    pub stuck: BTreeSet<i64>,
}

/// What is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The object's uid: each has moments of its own.
    pub uid: String,
    /// How the client shall authenticate.
    pub auth: Auth,
    /// Whether a user shall belong to it, for the grant type `password`.
    pub user: bool,
    /// The ServiceAccount whose identity that shall be. Two versions never have the same: a server would take neither.
    pub service_account: Option<String>,
    /// The revision of what shall be registered.
    pub revision: String,
    /// The scopes in it.
    pub scopes: Vec<String>,
    /// The scopes that are held, by any version, and were taken back by whoever grants them: then it is the holder that must
    /// not have its way.
    pub withdrawn: BTreeSet<String>,
    /// When credentials may be replaced.
    pub window: Option<Window>,
    /// The request to renew, if there is one.
    pub renew: Option<String>,
    /// The request to revoke, if there is one.
    pub revoke: Option<String>,
}

/// What the server can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// A client can have two secrets for a while.
    pub secrets_in_place: bool,
    /// What a client is registered with can be changed.
    pub updates: bool,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// All versions are given up at once.
    Revoke,
    /// This version is removed at the server.
    Remove(i64),
    /// This version is given up: one that was never finished, or that is of no use any more.
    Abandon(i64),
    /// The rotation that is open goes on at its step.
    Continue(Step),
    /// A rotation begins: all places are asked first whether they take it.
    Begin(Cause, Way),
    /// The current version's registration is changed in place.
    Update(i64),
    /// This version, the one before the current one, is removed sooner than its overlap says.
    Shorten(i64),
    /// A rotation must wait until then: until there is one version alone.
    Wait(Cause, Timestamp),
    /// A rotation must wait until somebody has removed this version, which cannot be removed from here.
    Stuck(Cause, i64),
    /// Nothing is to be done before then.
    Rest(Option<Timestamp>),
}

impl Known {
    /// The version of that number.
    pub fn version(&self, number: i64) -> Option<&Version> {
        self.versions
            .iter()
            .find(|version| version.number == number)
    }

    /// The version in use.
    pub fn current(&self) -> Option<&Version> {
        self.in_state(State::Current)
    }

    /// The version that is being made.
    pub fn pending(&self) -> Option<&Version> {
        self.in_state(State::Pending)
    }

    fn in_state(&self, state: State) -> Option<&Version> {
        self.versions.iter().find(|version| version.state == state)
    }

    fn retires(&self) -> Option<Timestamp> {
        self.in_state(State::Previous)
            .and_then(|previous| previous.retires)
    }

    /// All are given up at once, whatever was under way.
    pub fn revoke(&mut self, request: Option<String>) {
        for version in &mut self.versions {
            version.state = State::Retiring;
        }
        (self.open, self.revoked) = (None, request);
    }

    /// One is given up, and the rotation that would have brought it.
    pub fn abandon(&mut self, number: i64) {
        let given_up = |version: &&mut Version| version.number == number;
        if let Some(version) = self.versions.iter_mut().find(given_up) {
            version.state = State::Retiring;
        }
        self.open = self.open.take().filter(|open| open.version != number);
    }

    /// One is gone at the server and in the vault.
    pub fn removed(&mut self, number: i64) {
        self.versions.retain(|version| version.number != number);
    }

    /// The intent: a version under a number that was never used. What was asked for until now is answered by it.
    pub fn begin(&mut self, wanted: &Wanted, cause: Cause, way: Way, now: Timestamp) -> i64 {
        self.newest += 1;
        self.versions.push(Version {
            number: self.newest,
            state: State::Pending,
            way,
            auth: wanted.auth,
            user: wanted.user,
            service_account: wanted.service_account.clone(),
            client_id: None,
            revision: wanted.revision.clone(),
            scopes: wanted.scopes.clone(),
            created: None,
            expires: None,
            retires: None,
        });
        self.open = Some(Open {
            version: self.newest,
            cause,
            step: Step::Create,
            started: now,
        });
        self.renewed.clone_from(&wanted.renew);
        self.revoked.clone_from(&wanted.revoke);
        self.newest
    }

    /// The overlap of one ends with the longest that there is where a scope was taken back.
    pub fn shorten(&mut self, number: i64, now: Timestamp) {
        let shortened = |version: &&mut Version| version.number == number;
        if let Some(version) = self.versions.iter_mut().find(shortened) {
            version.retires = now.checked_add(OVERLAP).ok();
        }
    }

    /// The new version is the one to use, and the one before it is valid for the overlap.
    pub fn promote(&mut self, overlap: Duration, now: Timestamp) {
        let overlap = match &self.open {
            Some(open) if open.cause == Cause::Withdrawn => overlap.min(OVERLAP),
            _ => overlap,
        };
        for version in &mut self.versions {
            match version.state {
                State::Current => {
                    version.state = State::Previous;
                    version.retires = now.checked_add(overlap).ok();
                }
                State::Pending => version.state = State::Current,
                State::Previous | State::Retiring => {}
            }
        }
        self.open = None;
    }
}

/// What comes next.
pub fn next(wanted: &Wanted, known: &Known, seen: &Seen, able: Abilities, now: Timestamp) -> Next {
    if wanted.revoke.is_some() && wanted.revoke != known.revoked && !known.versions.is_empty() {
        return Next::Revoke;
    }
    let over = |version: &&Version| match version.state {
        State::Retiring => true,
        // It may be all that there is: then it stays until there is another one to use.
        State::Previous => {
            let is_needed = known.current().is_none() && !is_taken(wanted, known);
            !is_needed && version.retires.is_none_or(|at| at <= now)
        }
        State::Pending | State::Current => false,
    };
    let mut removable = known.versions.iter().filter(over);
    if let Some(gone) = removable.find(|version| !seen.stuck.contains(&version.number)) {
        return Next::Remove(gone.number);
    }
    let holds = |version: &&Version| {
        let mut scopes = version.scopes.iter();
        scopes.any(|scope| wanted.withdrawn.contains(scope))
    };
    if let Some(long) = too_long(known, now).filter(holds) {
        return Next::Shorten(long.number);
    }
    if let Some(open) = &known.open {
        let other = |pending: &Version| {
            pending.revision != wanted.revision || is_of_another_kind(pending, wanted)
        };
        return match known.version(open.version) {
            Some(pending) if open.step == Step::Create && other(pending) => {
                Next::Abandon(open.version)
            }
            Some(_) => Next::Continue(open.step),
            None => Next::Abandon(open.version),
        };
    }
    let Some(current) = known.current() else {
        let cause = match known.revoked {
            _ if known.retires().is_some() => Cause::Lost,
            Some(_) => Cause::Revoked,
            None => Cause::Initial,
        };
        return begin(wanted, known, seen, cause, Way::Client, now);
    };
    if let Some(since) = seen.lost {
        let certain = since.checked_add(CERTAIN).unwrap_or(now);
        // The one before it may still work, and must not go for its sake.
        return match known.versions.len() {
            1 => Next::Begin(Cause::Lost, Way::Client),
            _ if certain <= now => Next::Abandon(current.number),
            _ => Next::Rest(Some(certain)),
        };
    }
    for_current(wanted, (known, seen), current, able, now)
}

/// Whether it authenticates otherwise: then no change in place makes it what is wanted, since other files are delivered.
fn is_of_another_kind(version: &Version, wanted: &Wanted) -> bool {
    version.auth != wanted.auth
        || version.user != wanted.user
        || version.service_account != wanted.service_account
}

/// What comes next where there is a version that works.
fn for_current(
    wanted: &Wanted,
    (known, seen): (&Known, &Seen),
    current: &Version,
    able: Abilities,
    now: Timestamp,
) -> Next {
    let changed = match wanted.withdrawn.is_empty() {
        true => Cause::Changed,
        false => Cause::Withdrawn,
    };
    if is_of_another_kind(current, wanted) {
        return begin(wanted, known, seen, changed, Way::Client, now);
    }
    if current.revision != wanted.revision {
        // Never another client for the same workload; a server that takes workloads can update.
        return match able.updates || current.auth == Auth::Workload {
            true => Next::Update(current.number),
            false => begin(wanted, known, seen, changed, Way::Client, now),
        };
    }
    let way = match current.auth {
        Auth::Key if able.updates => Way::Key,
        Auth::SecretBasic | Auth::SecretPost if able.secrets_in_place => Way::Secret,
        _ => Way::Client,
    };
    if current.auth.ages() && wanted.renew.is_some() && wanted.renew != known.renewed {
        return begin(wanted, known, seen, Cause::Requested, way, now);
    }
    let due = due_at(wanted, current, known.turn);
    match due {
        Some(at) if at <= now => {
            let life = (current.created, current.expires);
            if let (Some(created), Some(expires)) = life
                && let Err(then) = schedule::may_begin(
                    &turns::series(&wanted.uid, known.turn),
                    now,
                    (created, expires),
                    wanted.window.as_ref(),
                )
            {
                return Next::Rest(earlier(Some(then), known.retires()));
            }
            begin(wanted, known, seen, Cause::Due, way, now)
        }
        due => Next::Rest(earlier(due, known.retires())),
    }
}

/// When the version is replaced, if nobody asks for it.
pub fn due_at(wanted: &Wanted, current: &Version, turn: Option<u8>) -> Option<Timestamp> {
    if !current.auth.ages() {
        return None;
    }
    let (created, expires) = (current.created?, current.expires?);
    let window = wanted.window.as_ref();
    let series = turns::series(&wanted.uid, turn);
    Some(schedule::due_at(&series, created, expires, window))
}

/// Whether one that is still valid is the same workload's as what is wanted: a server takes its tokens for one client only,
/// so that it must go first.
fn is_taken(wanted: &Wanted, known: &Known) -> bool {
    known.in_state(State::Previous).is_some_and(|previous| {
        previous.service_account.is_some() && previous.service_account == wanted.service_account
    })
}

/// A rotation begins when one version is alive at most, and none that is still valid is the same workload's.
fn begin(
    wanted: &Wanted,
    known: &Known,
    seen: &Seen,
    cause: Cause,
    way: Way,
    now: Timestamp,
) -> Next {
    if known.versions.len() <= 1 && !is_taken(wanted, known) {
        return Next::Begin(cause, way);
    }
    let mut alive = known.versions.iter();
    match alive.find(|version| seen.stuck.contains(&version.number)) {
        Some(stuck) => Next::Stuck(cause, stuck.number),
        None => match too_long(known, now).filter(|_| cause == Cause::Withdrawn) {
            Some(long) => Next::Shorten(long.number),
            None => Next::Wait(cause, known.retires().unwrap_or(now)),
        },
    }
}

/// The version before the current one, if it is valid for longer than may be where a scope was taken back.
fn too_long(known: &Known, now: Timestamp) -> Option<&Version> {
    let limit = now.checked_add(OVERLAP).ok()?;
    let previous = known.in_state(State::Previous)?;
    (previous.retires? > limit).then_some(previous)
}

/// Whether less than a sixth of a life is left.
pub fn is_near_its_end(created: Timestamp, ends: Timestamp, now: Timestamp) -> bool {
    let whole = ends.as_second() - created.as_second();
    ends.as_second() - now.as_second() < whole / 6
}

/// Whether places that refuse must not keep the others from a new version: where the one in use is of no use any more, or
/// soon will be since the server ends it.
pub fn is_urgent(
    cause: Cause,
    current: Option<&Version>,
    ends: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    let created = current.and_then(|current| current.created);
    let soon = |(created, ends)| is_near_its_end(created, ends, now);
    waits_for_no_place(cause) || created.zip(ends).is_some_and(soon)
}

/// Whether a version may be put into use although a place does not hold it: if whoever reads there has nothing to lose, or
/// would keep by that what was taken back.
pub fn may_pass_over(
    cause: Cause,
    current: Option<&Version>,
    ends: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    let is_over = current.is_some() && ends.is_some_and(|ends| ends <= now);
    waits_for_no_place(cause) || is_over
}

/// Whether one place that takes a new version is enough: what is in use is of no use, or is more than its holder may have,
/// who must not keep it by a place that refuses.
fn waits_for_no_place(cause: Cause) -> bool {
    matches!(cause, Cause::Revoked | Cause::Lost | Cause::Withdrawn)
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
