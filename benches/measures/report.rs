//! What a measure says: a figure, its goal, and whether it is met; for people one line, for programs JSON, for the
//! documentation a row of a table.

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

/// The head of a table of figures.
pub const TABLE: &str = "| measure | figure | goal | | what |\n|---|---|---|---|---|";

/// A figure in words.
struct Shown {
    figure: String,
    goal: Option<String>,
    verdict: &'static str,
    what: String,
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

    /// The line for people: the id, the figure, its unit, the goal, whether it is met, what it is. A figure is rounded
    /// away from its goal's good side, so that it never looks better than it is.
    pub fn line(&self) -> String {
        let Shown {
            figure,
            goal,
            verdict,
            what,
        } = self.shown();
        let goal = match goal {
            Some(goal) => format!("goal {goal}"),
            None => "no goal".to_owned(),
        };
        let id = self.id;
        format!("{id:<14} {figure:<16} {goal:<20} {verdict:<7} {what}")
    }

    /// The same as a row of [`TABLE`].
    pub fn row(&self) -> String {
        let shown = self.shown();
        let cells = [
            format!("`{}`", self.id),
            shown.figure,
            shown.goal.unwrap_or_default(),
            shown.verdict.trim_matches('-').to_owned(),
            shown.what,
        ];
        format!(
            "| {} |",
            cells.map(|cell| cell.replace('|', "\\|")).join(" | ")
        )
    }

    fn shown(&self) -> Shown {
        let goal = |sign: &str, goal: f64| Some(format!("{sign} {goal} {}", self.unit));
        let (goal, towards) = match self.goal {
            Goal::AtLeast(value) => (goal("≥", value), Towards::Less),
            Goal::AtMost(value) => (goal("≤", value), Towards::More),
            Goal::Known => (None, Towards::Nearest),
        };
        let (verdict, note) = match self.is_met() {
            Some(true) => ("met", None),
            Some(false) => ("missed", self.note.as_ref()),
            None => ("-", self.note.as_ref()),
        };
        let note = note.map(|note| format!(" ({note})")).unwrap_or_default();
        Shown {
            figure: format!("{} {}", short(self.value, towards), self.unit),
            goal,
            verdict,
            what: format!("{}{note}", self.what),
        }
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

/// How a figure is rounded.
#[derive(Debug, Clone, Copy)]
enum Towards {
    Nearest,
    Less,
    More,
}

/// Three digits that matter, no more behind the point than needed.
fn short(value: f64, towards: Towards) -> String {
    let decimals: i32 = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let scaled = value * 10f64.powi(decimals);
    // A whole number stays what it is, although its product with a power of ten may not be one.
    let near = (scaled - scaled.round()).abs() < 1e-9;
    let rounded = match towards {
        _ if near => scaled.round(),
        Towards::Nearest => scaled.round(),
        Towards::Less => scaled.floor(),
        Towards::More => scaled.ceil(),
    };
    let number = rounded / 10f64.powi(decimals);
    let text = format!("{number:.0$}", usize::try_from(decimals).unwrap_or(0));
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}
