//! What a measure says: a figure, its goal, and whether it is met; for people one line, for programs JSON.

use serde_json::{Value, json};

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// It shall be this or more.
    AtLeast(f64),
    /// It shall be this or less.
    AtMost(f64),
    /// None: it is there to be known.
    Known,
}

/// One figure of a measure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The measure, and after a dot which of its figures, if it has several: `P8.idle`.
    pub id: &'static str,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it is held against.
    pub goal: Goal,
    /// What was measured, and how.
    pub what: String,
    /// Why it is what it is; for a goal that is missed, the reason.
    pub note: Option<String>,
}

impl Figure {
    /// A figure without a note.
    pub fn new(id: &'static str, value: f64, unit: &'static str, goal: Goal, what: &str) -> Self {
        let (what, note) = (what.to_owned(), None);
        Self {
            id,
            value,
            unit,
            goal,
            what,
            note,
        }
    }

    /// The same with a reason, which is shown if the goal is missed.
    pub fn because(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Whether the goal is met; `None`: there is no goal. A figure that is no number meets none.
    pub fn is_met(&self) -> Option<bool> {
        match self.goal {
            Goal::AtLeast(goal) => Some(self.value >= goal),
            Goal::AtMost(goal) => Some(self.value <= goal),
            Goal::Known => None,
        }
    }

    /// The line for people: the id, the figure, its unit, the goal, whether it is met, what it is.
    pub fn line(&self) -> String {
        let goal = match self.goal {
            Goal::AtLeast(goal) => format!("goal ≥ {} {}", short(goal), self.unit),
            Goal::AtMost(goal) => format!("goal ≤ {} {}", short(goal), self.unit),
            Goal::Known => "no goal".to_owned(),
        };
        let (verdict, note) = match (self.is_met(), &self.note) {
            (Some(true), _) => ("met", None),
            (Some(false), note) => ("missed", note.as_ref()),
            (None, note) => ("-", note.as_ref()),
        };
        let note = note.map(|note| format!(" ({note})")).unwrap_or_default();
        let figure = format!("{} {}", short(self.value), self.unit);
        format!(
            "{:<14} {figure:<16} {goal:<20} {verdict:<7} {}{note}",
            self.id, self.what
        )
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let (at_least, at_most) = match self.goal {
            Goal::AtLeast(goal) => (Some(goal), None),
            Goal::AtMost(goal) => (None, Some(goal)),
            Goal::Known => (None, None),
        };
        json!({
            "id": self.id,
            "value": self.value,
            "unit": self.unit,
            "goal": {"atLeast": at_least, "atMost": at_most},
            "met": self.is_met(),
            "what": self.what,
            "note": self.note,
        })
    }
}

/// Whether `wanted` (as on the command line: `P1`, or `P8.idle`) means the figure or measure `id`; none wanted means all.
pub fn is_wanted(wanted: &[String], id: &str) -> bool {
    let measure = id.split('.').next();
    wanted.is_empty()
        || wanted.iter().any(|word| {
            word.eq_ignore_ascii_case(id) || measure.is_some_and(|m| word.eq_ignore_ascii_case(m))
        })
}

/// Three digits that matter, no more behind the point than needed.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}
