//! Whether the draw is fair: many draws, judged by statistics that a shuffle without favour passes and
//! shuffles with one do not. Everything is seeded, so a verdict is the same each time.

use super::shuffle::all_in;
use super::*;
use shuffle::ROUNDS;

/// Parts into which both indices and numbers are cut.
const PARTS: usize = 16;
/// A statistic beyond this happens by chance once in 10,000 times to either side: p within [1e-4, 1 - 1e-4].
const BEYOND: f64 = 3.719;

/// What is counted over the draws.
#[derive(Default)]
struct Judge {
    draws: u32,
    /// How often an index of one part was given a number of another.
    table: Vec<u64>,
    /// Numbers of the first and of the last to arrive, as z of their mean.
    first: f64,
    last: f64,
    /// Sum over the draws of the rank correlation of arrival and number, as z.
    correlation: f64,
    /// Of those who stay where they came.
    fixed: u64,
    /// Of those who stand next to whom they came next to.
    neighbours: u64,
}

impl Judge {
    fn see(&mut self, places: &[u32]) {
        let count = places.len();
        let n = count as f64;
        self.draws += 1;
        self.table.resize(PARTS * PARTS, 0);
        let (mut along, mut before) = (0.0, None::<u32>);
        for (index, place) in places.iter().enumerate() {
            let place_at = *place as usize;
            self.table[index * PARTS / count * PARTS + place_at * PARTS / count] += 1;
            self.fixed += u64::from(place_at == index);
            self.neighbours += u64::from(before.is_some_and(|before| before.abs_diff(*place) == 1));
            before = Some(*place);
            along += (index as f64 - (n - 1.0) / 2.0) * (f64::from(*place) - (n - 1.0) / 2.0);
        }
        let deviation = ((n * n - 1.0) / 12.0).sqrt();
        self.correlation += along / (n * deviation * deviation) * (n - 1.0).sqrt();
        self.first += (f64::from(places[0]) - (n - 1.0) / 2.0) / deviation;
        self.last += (f64::from(places[count - 1]) - (n - 1.0) / 2.0) / deviation;
    }

    fn and(mut self, other: Self) -> Self {
        self.draws += other.draws;
        self.table.resize(PARTS * PARTS, 0);
        self.table.iter_mut().zip(&other.table).for_each(|(mine, seen)| *mine += seen);
        self.first += other.first;
        self.last += other.last;
        self.correlation += other.correlation;
        self.fixed += other.fixed;
        self.neighbours += other.neighbours;
        self
    }

    /// The statistics, each as a standard normal deviate.
    fn verdict(&self, count: u32) -> [(&'static str, f64); 6] {
        let draws = f64::from(self.draws);
        let cell = draws * f64::from(count) / (PARTS * PARTS) as f64;
        let squares: f64 = self.table.iter().map(|seen| (*seen as f64 - cell).powi(2) / cell).sum();
        // Margins are fixed: (parts - 1)² degrees of freedom, and a factor for what is drawn without
        // putting back. Wilson and Hilferty's cube root makes it a normal deviate.
        let (squares, freedom) =
            (squares * f64::from(count - 1) / f64::from(count), ((PARTS - 1) * (PARTS - 1)) as f64);
        let spread = 2.0 / (9.0 * freedom);
        let table = ((squares / freedom).cbrt() - (1.0 - spread)) / spread.sqrt();
        let poisson = |seen: u64, expected: f64| (seen as f64 - expected) / expected.sqrt();
        [
            ("where people of each part of the line come to stand", table),
            ("the first to arrive", self.first / draws.sqrt()),
            ("the last to arrive", self.last / draws.sqrt()),
            ("arrival against number", self.correlation / draws.sqrt()),
            ("who stays in place", poisson(self.fixed, draws)),
            ("who keeps a neighbour", poisson(self.neighbours, 2.0 * draws)),
        ]
    }

    fn is_fair(&self, count: u32) -> bool {
        self.verdict(count).iter().all(|(_, z)| z.abs() < BEYOND)
    }
}

/// Sees so many draws, on all cores.
fn judge(draws: u32, places: impl Fn(u32) -> Vec<u32> + Sync) -> Judge {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let some = |thread: usize| {
        let mut judge = Judge::default();
        (0..draws).skip(thread).step_by(threads).for_each(|nth| judge.see(&places(nth)));
        judge
    };
    std::thread::scope(|scope| {
        let some = &some;
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || some(thread))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).fold(Judge::default(), Judge::and)
    })
}

/// The part of standard normal deviates below `z` (Abramowitz and Stegun, 7.1.26: right to seven digits).
fn below(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let terms = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let beyond = terms.iter().fold(0.0, |sum, term| (sum + term) * t) * (-x * x).exp() / 2.0;
    if z > 0.0 { 1.0 - beyond } else { beyond }
}

fn seed(nth: u32) -> [u8; 32] {
    Fixed { rules: [0; 32], count: nth, root: [0; 32] }.draw(&[0; 32]).seed
}

fn assert_fair(draws: u32, count: u32) {
    let judged = judge(draws, |nth| all_in(count, &seed(nth), ROUNDS));
    for (what, z) in judged.verdict(count) {
        println!("{draws} draws of {count}: {what}: z = {z:+.2}, p = {:.4}", below(z));
    }
    assert!(judged.is_fair(count), "{:?}", judged.verdict(count));
}

#[test]
fn two_hundred_draws_of_ten_thousand_favour_nobody() {
    assert_fair(200, 10_000);
}

#[test]
#[ignore = "minutes; part of `make torture`"]
fn a_thousand_draws_of_a_million_favour_nobody() {
    let draws = std::env::var("TORNELLO_DRAWS").map_or(1_000, |draws| draws.parse().unwrap());
    assert_fair(draws, 1_000_000);
}

#[test]
fn the_bound_is_one_in_ten_thousand_to_either_side() {
    assert!((below(-BEYOND) - 1e-4).abs() < 1e-6 && (below(BEYOND) - (1.0 - 1e-4)).abs() < 1e-6);
    assert!((below(0.0) - 0.5).abs() < 1e-7);
}

#[test]
fn draws_with_a_favour_are_found_out() {
    let count = 10_000_u32;
    let turned = |nth: u32| (0..count).map(|index| (index + nth * 37) % count).collect();
    let half_sorted = |nth: u32| {
        // The first hundred are drawn among the first half.
        let mut places = all_in(count, &seed(nth), ROUNDS);
        for index in 0..100 {
            let other =
                (100..places.len()).find(|other| places[*other] < count / 2 && places[index] >= count / 2);
            if let Some(other) = other {
                places.swap(index, other);
            }
        }
        places
    };
    let few_rounds = |nth| all_in(count, &seed(nth), 4);
    let first_wins = |nth| {
        let mut places = all_in(count, &seed(nth), ROUNDS);
        let best = places.iter().position(|place| *place == nth % 4_000).unwrap_or_default();
        places.swap(0, best);
        places
    };
    assert!(!judge(200, turned).is_fair(count), "turned");
    assert!(!judge(200, half_sorted).is_fair(count), "the first hundred");
    assert!(!judge(200, few_rounds).is_fair(count), "few rounds");
    assert!(!judge(200, first_wins).is_fair(count), "the first");
}
