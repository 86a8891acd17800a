//! Printing for people and for the next command of a pipe, the only place that writes to standard output and error.
//!
//! A reader that has gone away (`bailiwick crds | head`) is no error: what is left is not printed, and what a command
//! has begun it finishes.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use clap::ValueEnum;
use serde::Serialize;

/// How something is printed for a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

/// Prints a line.
///
/// # Errors
/// If it cannot be written, though somebody reads: a full disk, for example.
pub fn line(what: impl Display) -> io::Result<()> {
    text(format_args!("{what}\n"))
}

/// Prints text that ends its own lines.
///
/// # Errors
/// As [`line`].
pub fn text(what: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    heard(write!(out, "{what}").and_then(|()| out.flush()))
}

/// Prints a complaint to standard error; if nobody hears it, there is nobody to tell.
pub fn complaint(what: impl Display) {
    let _ = writeln!(io::stderr().lock(), "bailiwick: {what}");
}

/// From now on a panic of this process is told on standard error: for the commands that have no log.
pub fn panics() {
    std::panic::set_hook(Box::new(|panic| {
        let (place, words, calls) = crate::telemetry::panics::told(panic);
        let calls = calls.unwrap_or_default();
        complaint(format!(
            "{place}: a defect of bailiwick, please report it: {words}\n{calls}"
        ));
    }));
}

/// Prints an object.
///
/// # Errors
/// As [`line`], or if the object cannot be written in that form.
pub fn object(what: &impl Serialize, output: Output) -> io::Result<()> {
    match output {
        Output::Json => line(serde_json::to_string_pretty(what)?),
        Output::Yaml => text(super::yaml(what).map_err(io::Error::other)?),
    }
}

fn heard(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_no_error_and_a_full_disk_is() {
        assert!(heard(Err(ErrorKind::BrokenPipe.into())).is_ok());
        assert!(heard(Err(ErrorKind::StorageFull.into())).is_err());
    }
}
