//! What `make bench` prints: the line for people, JSON for programs, the row for the documentation, and whether a goal is
//! met. The measures themselves take too long for every change.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../benches/measures/report.rs"]
mod report;

use proptest::prelude::*;
use report::{Figure, Goal, is_wanted};

fn figure(value: f64, goal: Goal) -> Figure {
    Figure::new("P1", value, "%", goal, "slot use").because("why")
}

#[test]
fn a_line_begins_with_the_id_and_says_figure_unit_goal_and_verdict() {
    let met = figure(97.4, Goal::AtLeast(97.0)).line();
    let words: Vec<&str> = met.split_whitespace().collect();
    assert_eq!(
        words,
        [
            "P1", "97.4", "%", "goal", "≥", "97", "%", "met", "slot", "use"
        ]
    );
    let missed = figure(96.96, Goal::AtLeast(97.0)).line();
    assert!(missed.contains(" missed "), "{missed}");
    assert!(
        missed.ends_with("slot use (why)"),
        "a missed goal has its reason: {missed}"
    );
    assert!(!met.contains("why"), "a goal that is met needs none: {met}");
    assert!(figure(1.0, Goal::Known).line().contains("no goal"));
}

#[test]
fn a_figure_is_never_rounded_over_its_goal() {
    // 96.96 to three digits would be 97, which is the goal.
    let line = figure(96.96, Goal::AtLeast(97.0)).line();
    assert!(line.contains("96.9 %"), "{line}");
    let line = figure(97.04, Goal::AtMost(97.0)).line();
    assert!(line.contains("97.1 %"), "{line}");
}

#[test]
fn a_row_says_what_the_line_says() {
    let row = figure(96.96, Goal::AtLeast(97.0)).row();
    assert_eq!(row, "| `P1` | 96.9 % | ≥ 97 % | missed | slot use (why) |");
    let known = Figure::new("P1", 1.0, "%", Goal::Known, "a|b").row();
    assert_eq!(known, "| `P1` | 1 % |  |  | a\\|b |");
    let columns = |text: &str| text.replace("\\|", "").matches('|').count();
    for line in report::TABLE.lines() {
        assert_eq!(columns(line), columns(&row), "{line}");
    }
}

#[test]
fn json_says_the_same_and_keeps_every_digit() {
    let json = figure(96.96, Goal::AtLeast(97.0)).json();
    assert_eq!(json["id"], "P1");
    assert_eq!(json["value"], 96.96);
    assert_eq!(json["goal"]["atLeast"], 97.0);
    assert!(json["goal"]["atMost"].is_null());
    assert_eq!(json["met"], false);
    assert_eq!(json["note"], "why");
    assert!(figure(1.0, Goal::Known).json()["met"].is_null());
}

#[test]
fn what_is_no_number_meets_no_goal() {
    for goal in [Goal::AtLeast(0.0), Goal::AtMost(1.0)] {
        assert_eq!(figure(f64::NAN, goal).is_met(), Some(false));
    }
}

#[test]
fn a_measure_is_wanted_by_its_name_or_one_of_its_figures() {
    let words = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    assert!(is_wanted(&[], "P8.idle"));
    assert!(is_wanted(&words("P1,p8"), "P8.idle"));
    assert!(is_wanted(&words("P8.idle"), "P8.idle"));
    assert!(!is_wanted(&words("P8.idle"), "P8.1000"));
    assert!(!is_wanted(&words("P1"), "P10.start"));
}

proptest! {
    #[test]
    fn the_line_never_contradicts_its_verdict(value in 0.0..300.0f64, goal in 0.0..300.0f64) {
        for goal in [Goal::AtLeast(goal), Goal::AtMost(goal)] {
            let figure = figure(value, goal);
            let line = figure.line();
            let words: Vec<&str> = line.split_whitespace().collect();
            let (shown, wanted): (f64, f64) = (words[1].parse().unwrap(), words[5].parse().unwrap());
            let agrees = match goal {
                Goal::AtLeast(_) => shown >= wanted,
                Goal::AtMost(_) => shown <= wanted,
                Goal::Known => true,
            };
            prop_assert!(figure.is_met() == Some(true) || !agrees, "{line}");
        }
    }
}
