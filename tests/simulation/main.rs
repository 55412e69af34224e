//! Seeded simulations of the pure core: no clock, no socket, no sleep.
//!
//! A failing run prints its seed; `TORNELLO_SEED=SEED cargo test --test simulation crowds` runs it
//! again, and `TORNELLO_SEEDS=N` runs more of them.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic, and what it indexes it has made itself"
)]

mod dice;
mod person;
mod upstream;
mod witness;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use dice::Dice;
use world::{Fault, Setting, World};

const STEPS: u64 = 20_000;

/// Runs one seed; says at which step and moment something broke.
fn story(seed: u64, steps: u64, plant: Option<Fault>) -> Result<world::Tally, String> {
    let mut dice = Dice::new(seed);
    let mut setting = Setting::of(&mut dice);
    if plant.is_some() {
        setting.fault = plant;
        setting.troubles = true;
    }
    let mut world = World::new(setting, dice);
    for step in 0..steps {
        let done = catch_unwind(AssertUnwindSafe(|| world.step()));
        let said = done.unwrap_or_else(|_| Err("a panic, printed above".to_owned()));
        said.map_err(|what| format!("seed {seed}, step {step}, at {:.3} s: {what}", world.now.0 as f64 / 1e9))?;
    }
    Ok(world.tally)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn crowds() {
    let only = number("TORNELLO_SEED");
    let (first, seeds) = only.map_or((1, number("TORNELLO_SEEDS").unwrap_or(200)), |seed| (seed, 1));
    let next = AtomicU64::new(first);
    let work = || {
        let mut failed = Vec::new();
        let (mut let_in, mut kills, mut front) = (0, 0, 0);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return (failed, let_in, kills, front);
            }
            match story(seed, STEPS, None) {
                Ok(tally) => {
                    let_in += tally.let_in;
                    kills += u64::from(tally.kills);
                    front = front.max(tally.front_row);
                }
                Err(what) => failed.push(what),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let told: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let failed: Vec<&String> = told.iter().flat_map(|(failed, ..)| failed).collect();
    let let_in: u64 = told.iter().map(|(_, let_in, ..)| let_in).sum();
    let kills: u64 = told.iter().map(|(_, _, kills, _)| kills).sum();
    println!("{seeds} seeds, {STEPS} steps each: {let_in} let in, {kills} kills, {} failed", failed.len());
    for what in failed.iter().take(20) {
        println!("{what}");
    }
    assert!(failed.is_empty(), "replay with TORNELLO_SEED=SEED: {:?}", failed.first());
    assert!(only.is_some() || let_in > 50 * seeds, "a simulation in which nothing happens shows nothing");
}
