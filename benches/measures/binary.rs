//! P8 and P10: the real binary on a real API server and the AWS emulator, with ten thousand settled accounts.
//!
//! The operator makes one account itself; the others are written after it, with the accounts that belong to them: at
//! AWS's rate of one creation in ten seconds they would take a day. That the copies are true is seen when the operator
//! finds nothing to write.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::edits::{self, Edit, Edited};
use crate::population::Sample;
use crate::process::Memory;
use crate::report::{Figure, Goal, is_wanted};
use crate::site::{Operator, Site, with_binary};
use crate::{Arguments, Limit, Problem, quantile, seconds};

/// Accounts in all.
pub const MANY: usize = 10_000;
/// Objects that are edited; and of them those whose accounts are changed by it.
const EDITS: usize = 200;
const CHANGES: usize = 100;

/// Measures.
pub fn measure(arguments: &Arguments, limit: Limit) -> Result<Vec<Figure>, Problem> {
    with_binary(arguments, limit, async |binary| {
        all(binary, &arguments.only).await
    })
}

/// One step after the other, as far as something wanted is still to come.
async fn all(binary: &Path, wanted: &[String]) -> Result<Vec<Figure>, Problem> {
    let wants = |ids: &[&str]| ids.iter().any(|id| is_wanted(wanted, id));
    let mut site = Site::start(binary).await?;
    let (mut figures, sample) = idle(&site).await?;
    if wants(&["P8.1000", "P8.10000", "P10"]) {
        figures.push(thousand(&site, &sample).await?);
    }
    if wants(&["P8.10000", "P10"]) {
        figures.extend(ten_thousand(&mut site, &sample).await?);
    }
    Ok(figures)
}

/// P8.idle, and the account that all others are copies of.
async fn idle(site: &Site) -> Result<(Vec<Figure>, Sample), Problem> {
    let operator = site.operator().await?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let figure = resident("P8.idle", &operator, "idle", 15.0)?;
    Ok((vec![figure], site.sample(&operator).await?))
}

async fn thousand(site: &Site, sample: &Sample) -> Result<Figure, Problem> {
    site.populate(sample, 1..1_000).await?;
    let operator = site.operator().await?;
    operator.until_settled("TeamAccount", 1_000).await?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    resident("P8.1000", &operator, "with 1,000 settled accounts", 40.0)
}

async fn ten_thousand(site: &mut Site, sample: &Sample) -> Result<Vec<Figure>, Problem> {
    site.populate(sample, 1_000..MANY).await?;
    let ready = {
        // Their accounts are given what the class wants inside of them, and the operator finds them in order.
        let operator = site.operator().await?;
        operator.until_settled("TeamAccount", MANY).await?;
        let began = Instant::now();
        let (first, places) = (Edit::PasswordLength(20), Site::places(EDITS));
        let count = edits::edit(&site.client(), places, first, 8).await?.len();
        eprintln!(
            "bench:   {count} accounts made ready for edits in {} s",
            began.elapsed().as_secs()
        );
        count
    };
    let before = site.versions().await?;
    site.flags.extend(edits::LOGGED.map(str::to_owned));
    let operator = site.operator().await?;
    let start = operator.until_settled("TeamAccount", MANY).await?;
    let mut figures = started(&operator, start)?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    figures.push(resident(
        "P8.10000",
        &operator,
        "with 10,000 settled accounts",
        160.0,
    )?);
    let written = changes(&before, &site.versions().await?);
    figures.push(Figure::new(
        "P10.writes",
        written as f64,
        "writes",
        Goal::AtMost(0.0),
        "objects written by that",
    ));
    figures.extend(edited(site, ready).await?);
    Ok(figures)
}

/// P10.edit and P10.change: how soon the status is about an edit, of accounts that are as the operator made them.
async fn edited(site: &Site, ready: usize) -> Result<Vec<Figure>, Problem> {
    let client = site.client();
    let plain = edits::edit(&client, Site::places(ready), Edit::Purpose("second"), 1).await?;
    let changed = Edit::PasswordLength(24);
    let changed = edits::edit(&client, Site::places(ready.min(CHANGES)), changed, 1).await?;
    let calls = edits::calls(&site.log())?;
    let all = |edits: &[Edited]| edits.iter().map(Edited::seconds).collect::<Vec<_>>();
    let own = |edits: &[Edited]| {
        edits
            .iter()
            .map(|edit| edit.own(&calls))
            .collect::<Vec<_>>()
    };
    let with = "with 10,000 accounts on the real API server, one after the other";
    let edit = format!("edit that demands nothing else of AWS, to Ready of its generation {with}");
    let change = format!("the same for an edit that changes the account's password policy, {with}");
    Ok(vec![
        latency("P10.edit", all(&plain), Goal::AtMost(250.0), &edit)?,
        latency(
            "P10.change",
            all(&changed),
            Goal::AtMost(250.0),
            &change,
        )?
        .because("a look and a change are eight calls, one after the other but two, and the emulator takes its time for each: P10.change.own is what is left without them"),
        latency(
            "P10.change.own",
            own(&changed),
            Goal::AtMost(250.0),
            "of that, all but waiting for AWS: its rates and its answers",
        )?,
    ])
}

fn latency(id: &'static str, values: Vec<f64>, goal: Goal, what: &str) -> Result<Figure, Problem> {
    let of = |share| quantile(values.clone(), share).ok_or("nothing was edited");
    let (middle, p99) = (of(0.5)?, of(0.99)?);
    let what = format!(
        "{what}: p99 of {}, {:.0} ms in the middle",
        values.len(),
        middle * 1e3
    );
    eprintln!(
        "bench:   {id}: {:.0} ms, {:.0} ms in the middle",
        p99 * 1e3,
        middle * 1e3
    );
    Ok(Figure::new(id, p99 * 1e3, "ms", goal, &what))
}

fn resident(
    id: &'static str,
    operator: &Operator,
    when: &str,
    goal: f64,
) -> Result<Figure, Problem> {
    let Memory { resident, own } = operator.memory()?;
    let what = format!(
        "resident memory {when}, on the real API server: {own:.1} MiB of its own, the rest pages of files"
    );
    eprintln!("bench:   {when}: {resident:.1} MiB, {own:.1} of its own");
    Ok(Figure::new(id, resident, "MiB", Goal::AtMost(goal), &what))
}

/// P10.start: how long it took until everything was verified, and what of that was whose.
fn started(operator: &Operator, start: Duration) -> Result<Vec<Figure>, Problem> {
    let (waited, answered) = operator.organizations()?;
    let processor = operator.processor_time()?;
    eprintln!(
        "bench:   10,000 accounts verified after {:.1} s",
        seconds(start)
    );
    // The pages of a sweep follow one another, so their times add up.
    let own = (seconds(start) - waited - answered).max(0.0);
    let at_rate = format!(
        "AWS lists twenty accounts a call and takes eight calls a second: 61 s at the least; here {waited:.1} s were \
         spent waiting for that rate and {answered:.1} s for the emulator's answers"
    );
    Ok(vec![
        Figure::new(
            "P10.start",
            seconds(start),
            "s",
            Goal::AtMost(15.0),
            "cold start to the verified status of 10,000 accounts",
        )
        .because(at_rate),
        Figure::new(
            "P10.own",
            own,
            "s",
            Goal::Known,
            &format!(
                "of that, all but waiting for AWS: its rate and its answers ({:.1} s of the processor)",
                seconds(processor)
            ),
        ),
    ])
}

/// How many objects are not as they were.
fn changes(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> usize {
    let differs = |(name, version): &(&String, &String)| before.get(*name) != Some(*version);
    after.iter().filter(differs).count()
}
