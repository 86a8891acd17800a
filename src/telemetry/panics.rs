//! What is told of a panic: where it was, and no value.
//!
//! Its words are told only if they stand in the code as they are. Others are made of what the code had in hand (those of a wrong
//! cut through a text have the text), which may be a secret. With `RUST_BACKTRACE=1` the calls that led there are told too.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

/// What stands for the words of a panic that may hold values.
const LEFT_OUT: &str = "its words are left out, since values may be among them";

/// From now on a panic of this process is an error in its log, in the span in which it happened.
pub fn log() {
    std::panic::set_hook(Box::new(|panic| {
        let (place, words, calls) = told(panic);
        tracing::error!(
            place,
            calls,
            "a defect of bailiwick, please report it: {words}"
        );
    }));
}

/// The place of a panic, its words if they are a literal, and the calls if they are asked for.
pub fn told(panic: &PanicHookInfo<'_>) -> (String, &'static str, Option<String>) {
    let place = panic.location().map(ToString::to_string);
    let words = panic.payload().downcast_ref::<&'static str>().copied();
    let calls = Backtrace::capture();
    let is_asked = calls.status() == BacktraceStatus::Captured;
    (
        place.unwrap_or_default(),
        words.unwrap_or(LEFT_OUT),
        is_asked.then(|| calls.to_string()),
    )
}
