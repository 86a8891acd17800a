//! R5: the memory in which a layer of 10 GB is searched. Each way to pack one has a process of its own, so that what is
//! measured is its own.

use std::process::{Command, Stdio};
use std::time::Instant;

use bailiwick::registry::InLayer;
use serde_json::{Value, json};

use crate::large::{PACKINGS, PIECE, PIECES, PLENTY, Packing, peak, search, serve};
use crate::report::{Figure, Goal};
use crate::{Arguments, Limit, Problem};

const MIB: f64 = 1_048_576.0;

/// Measures.
pub fn measure(_: &Arguments, limit: Limit) -> Result<Vec<Figure>, Problem> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(limit.keep(async {
            let mut worst = (0.0, 0.0, "");
            for packing in &PACKINGS {
                let (whole, grown) = apart(packing).await?;
                if grown > worst.1 {
                    worst = (whole, grown, packing.name);
                }
            }
            let (whole, grown, packing) = worst;
            Ok(vec![
                Figure::new(
                    "R5",
                    grown,
                    "MiB",
                    Goal::AtMost(48.0),
                    &format!(
                        "by how much the memory grows at most while a layer of 10 GiB is searched; the most takes {packing}"
                    ),
                ),
                Figure::new(
                    "R5.whole",
                    whole,
                    "MiB",
                    Goal::Known,
                    "all that the process then has, the sender of the layer included",
                ),
            ])
        }))
}

/// Searches in a process of its own. How much memory that had at most, and how much of it the search brought.
async fn apart(packing: &Packing) -> Result<(f64, f64), Problem> {
    let began = Instant::now();
    let child = tokio::process::Command::from(Command::new(std::env::current_exe()?))
        .args(["--search-layer", packing.name])
        // As the image has it.
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = child.await?;
    if !output.status.success() {
        return Err(format!("{}: the search failed: {}", packing.name, output.status).into());
    }
    let said: Value = serde_json::from_slice(&output.stdout)?;
    let mib = |field: &str| Ok::<_, Problem>(said[field].as_f64().ok_or("no figure")? / MIB);
    let (before, peak) = (mib("before")?, mib("peak")?);
    eprintln!(
        "bench:   {}: {:.1} MiB, {:.1} of them for the search; {} bytes unpacked, {} s",
        packing.name,
        peak,
        peak - before,
        said["unpacked"],
        began.elapsed().as_secs()
    );
    Ok((peak, peak - before))
}

/// What that process does.
pub fn child(name: &str) -> Result<(), Problem> {
    let packing = PACKINGS.iter().find(|packing| packing.name == name);
    let packing = packing.ok_or_else(|| format!("there is no packing {name:?}"))?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let (_server, image, images) = serve(packing, PIECES).await;
            let before = peak();
            let searched = search(&images, &image, PLENTY).await;
            let whole = PIECE as u64 * PIECES + 512 + 512 + 2;
            if searched.found != InLayer::File(b"{}".to_vec()) || searched.read != whole {
                return Err(format!("{name}: the file behind 10 GiB was not found").into());
            }
            println!(
                "{}",
                json!({ "before": before, "peak": peak(), "unpacked": searched.read })
            );
            Ok(())
        })
}
