//! What is read from the system about a process.

use std::time::Duration;

use crate::Problem;

/// The kernel counts a process's time for us in ticks of a hundredth of a second, on every machine.
const TICK: Duration = Duration::from_millis(10);

/// The processor's time that a process has taken, in all its threads.
pub fn processor_time(pid: u32) -> Result<Duration, Problem> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, may hold anything; the fields after it are numbers.
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc has no such line")?;
    let ticks: u32 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u32>())
        .sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}

/// The processor's time that this thread has taken, finer than by ticks.
pub fn thread_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(spent.tv_sec), u32::try_from(spent.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

/// What a process has in RAM, in MiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// All of it.
    pub resident: f64,
    /// Of that, what is its own and in no file: heap and stacks. The rest is pages of the binary and its libraries,
    /// which the kernel drops when it needs room, and shares between processes.
    pub own: f64,
}

/// Reads it.
pub fn memory(pid: u32) -> Result<Memory, Problem> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<f64, Problem> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let line = line.ok_or_else(|| format!("/proc tells no {name}"))?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    };
    Ok(Memory {
        resident: field("VmRSS:")?,
        own: field("RssAnon:")?,
    })
}
