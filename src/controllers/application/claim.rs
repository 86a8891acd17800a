//! Act: claim the name, take it over, and bury it. The API server decides who is first: a name is made by a create, and
//! changes hands by a write under the version that was read.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::{Applications, reasons};
use crate::api::{
    Application, ApplicationName, ApplicationNameSpec, KeptApprovals, NameOwner, NameState,
};
use crate::controllers::Caches;
use crate::engine::record::Record;
use crate::engine::{Failure, FailureKind, Outcome};
use crate::plan::approval::Required;
use crate::plan::claim::{Claimant, Holder, Owner, Verdict, decide};

/// A reason and a sentence for whoever must act.
pub type Refusal = (&'static str, String);

/// How many types a name keeps at most. Whoever goes on renaming them makes releases wait for all of these.
const KEPT_TYPES: usize = 40;

impl Applications {
    /// Makes the name this application's, if it may have it.
    pub(super) async fn claim(
        &self,
        object: &Application,
        record: &mut Record<Application>,
        team: &str,
    ) -> Result<Result<(), Refusal>, Failure> {
        let name = object.name_any();
        let us = Claimant {
            team: team.to_owned(),
            namespace: object.namespace().unwrap_or_default(),
            uid: object.uid().unwrap_or_default(),
            offers_to: object.spec.transfer_to.clone(),
        };
        // A name that is ours by the cache costs no question. It may have been taken over since: then the cache will
        // say so in a moment, and nothing has been written meanwhile.
        let cached = self.caches.names.get(None, &name);
        let demanded = demanded(object);
        let is_entered = |found: &ApplicationName| kept(found) == floor(found, &demanded);
        if cached.is_some_and(|found| {
            verdict(&us, &found, &Owner::Gone) == Verdict::Ours && is_entered(&found)
        }) {
            return Ok(Ok(()));
        }
        let api: Api<ApplicationName> = Api::all(self.client.clone());
        let Some(found) = api.get_opt(&name).await? else {
            record.may_write_in_cluster()?;
            let mut fresh = ApplicationName::new(&name, held(&us));
            fresh.spec.required_approvals = spec_of(&demanded);
            return match api.create(&PostParams::default(), &fresh).await {
                Ok(_) => Ok(Ok(())),
                Err(kube::Error::Api(status)) if status.is_already_exists() => Err(Failure::new(
                    FailureKind::Conflict,
                    "Conflict",
                    "another application has claimed the name at the same time",
                )),
                Err(error) => Err(error.into()),
            };
        };
        // Whether the holder is still there is asked of the API server: a cache that lags behind must not give a name
        // away.
        let owner = self.owner_now(&found).await?;
        let verdict = verdict(&us, &found, &owner);
        if let Some(refusal) = refusal(verdict, &found, team) {
            return Ok(Err(refusal));
        }
        if verdict != Verdict::Ours || !is_entered(&found) {
            record.may_write_in_cluster()?;
            // Under the version that was read: whoever else takes it at the same time is refused, or refuses us.
            let mut taken = ApplicationName {
                spec: held(&us),
                ..found.clone()
            };
            // What was demanded under this name stays, whoever has it.
            taken.spec.required_approvals = spec_of(&floor(&found, &demanded));
            api.replace(&name, &PostParams::default(), &taken).await?;
        }
        if verdict == Verdict::TakeOver {
            let from = &found.spec.owner.team;
            let message = format!("the application was taken over from team {from}");
            record.note(reasons::TAKEN_OVER, message);
        }
        Ok(Ok(()))
    }

    /// What has become of the application that a name belongs to.
    async fn owner_now(&self, found: &ApplicationName) -> Result<Owner, Failure> {
        let owner = &found.spec.owner;
        let api: Api<Application> = Api::namespaced(self.client.clone(), &owner.namespace);
        let lives = api.get_opt(&found.name_any()).await?;
        Ok(lives
            .filter(|application| application.uid().as_ref() == Some(&owner.uid))
            .map_or(Owner::Gone, |application| Owner::Lives {
                offers_to: application.spec.transfer_to,
            }))
    }

    /// Leaves the name as a tombstone, if it is this application's.
    pub(super) async fn bury(
        &self,
        object: &Application,
        record: &mut Record<Application>,
    ) -> Result<Outcome, Failure> {
        let name = object.name_any();
        let api: Api<ApplicationName> = Api::all(self.client.clone());
        let Some(mut found) = api.get_opt(&name).await? else {
            return Ok(Outcome::Released);
        };
        let ours = object.uid().as_ref() == Some(&found.spec.owner.uid);
        if !ours || found.spec.state == NameState::Tombstone {
            return Ok(Outcome::Released);
        }
        record.may_write_in_cluster()?;
        found.spec.state = NameState::Tombstone;
        found.spec.retired_at = Some(Time(record.now));
        found.spec.required_approvals = spec_of(&floor(&found, &demanded(object)));
        api.replace(&name, &PostParams::default(), &found).await?;
        let message = format!(
            "the name {name} stays reserved for team {}; the platform team releases it by deleting ApplicationName {name}",
            found.spec.owner.team
        );
        record.note(reasons::NAME_KEPT, message);
        Ok(Outcome::Released)
    }
}

/// Why the team does not have the name, if it does not.
fn refusal(verdict: Verdict, found: &ApplicationName, team: &str) -> Option<Refusal> {
    let name = found.name_any();
    let (holder, namespace) = (&found.spec.owner.team, &found.spec.owner.namespace);
    match verdict {
        Verdict::Ours | Verdict::Reclaim | Verdict::TakeOver => None,
        Verdict::GivenAway => Some((
            reasons::TRANSFERRED,
            format!(
                "the application was transferred to team {holder}: delete Application {name} here; the name stays theirs"
            ),
        )),
        Verdict::Taken => Some((
            reasons::NAME_TAKEN,
            format!(
                "the name {name} is team {holder}'s (Application {namespace}/{name}): choose another name; to take the \
                 application over, team {holder} sets spec.transferTo: {team} on theirs"
            ),
        )),
        Verdict::Buried => Some((
            reasons::NAME_TAKEN,
            format!(
                "the name {name} was team {holder}'s, whose application is gone, and what was granted to it is not to \
                 fall to another team by accident: choose another name, or ask the platform team to release it by \
                 deleting ApplicationName {name}"
            ),
        )),
    }
}

fn verdict(us: &Claimant, found: &ApplicationName, owner: &Owner) -> Verdict {
    let holder = Holder {
        team: found.spec.owner.team.clone(),
        uid: found.spec.owner.uid.clone(),
        tombstone: found.spec.state == NameState::Tombstone,
    };
    decide(us, &holder, owner)
}

/// The name, held by this claimant.
fn held(us: &Claimant) -> ApplicationNameSpec {
    ApplicationNameSpec {
        owner: NameOwner {
            team: us.team.clone(),
            namespace: us.namespace.clone(),
            uid: us.uid.clone(),
        },
        state: NameState::Held,
        retired_at: None,
        required_approvals: None,
    }
}

/// What the application itself demands of its releases.
pub fn demanded(object: &Application) -> Required {
    let spec = object.spec.required_approvals.as_ref();
    spec.map_or_else(Required::default, |spec| Required {
        types: spec.types.clone(),
        people: usize::from(spec.people),
    })
}

/// What the application demands, and what was demanded under its name before. So whoever makes a release cannot make it
/// need less, be it by editing the application or by making it anew: that is the platform team's to say.
pub fn in_force(object: &Application, caches: &Caches) -> Required {
    let name = caches.names.get(None, &object.name_any());
    let before = name.as_ref().map_or_else(Required::default, kept);
    demanded(object).at_least(&before)
}

/// The same for the status, if it is more than the application demands itself.
pub(super) fn kept_besides(object: &Application, caches: &Caches) -> Option<KeptApprovals> {
    let in_force = in_force(object, caches);
    let is_more = !demanded(object).covers(&in_force);
    spec_of(&in_force).filter(|_| is_more)
}

fn kept(found: &ApplicationName) -> Required {
    let spec = found.spec.required_approvals.as_ref();
    spec.map_or_else(Required::default, |spec| Required {
        types: spec.types.clone(),
        people: usize::from(spec.people),
    })
}

/// What the name is to keep.
fn floor(found: &ApplicationName, demanded: &Required) -> Required {
    let mut floor = kept(found).at_least(demanded);
    floor.types.truncate(KEPT_TYPES);
    floor
}

fn spec_of(required: &Required) -> Option<KeptApprovals> {
    let is_any = !required.types.is_empty();
    is_any.then(|| KeptApprovals {
        types: required.types.clone(),
        people: u8::try_from(required.people).unwrap_or(u8::MAX).max(1),
    })
}
