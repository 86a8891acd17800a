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

/// The memory that a process has in RAM, in MiB.
pub fn resident(pid: u32) -> Result<f64, Problem> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .ok_or("/proc tells no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}
