//! Whether anything is gained by looking more often than one is told to.

use tornello::admission::Moment;

use crate::dice::Dice;
use crate::plain;
use crate::world::World;

const PEOPLE: u64 = 500;
/// Places. Four people go in a second, and who is next in line is told to look every second and takes up to three
/// to come: whoever looks more often hears of the turn sooner by as much, and no more can be gained.
const GAIN_MAX: f64 = 16.0;

/// By how many places who looks `eager` times as often went in before who did as told, on average, against their
/// numbers; and how many of each went in.
fn gain(eager: f64, no_show: f64, seed: u64) -> (f64, [usize; 2]) {
    let mut setting = plain(PEOPLE, no_show);
    setting.eager = eager;
    let mut world = World::new(setting, Dice::new(seed));
    world.run_until(Moment(220 * 1_000_000_000)).unwrap();
    let seated: Vec<_> = (world.seated.iter().copied())
        .filter(|(who, number)| *number > 0 && (*who as u64) < PEOPLE)
        .collect();
    let mut numbers: Vec<u64> = seated.iter().map(|(_, number)| *number).collect();
    numbers.sort_unstable();
    let (mut sums, mut counts) = ([0.0; 2], [0; 2]);
    for (order, (who, number)) in seated.iter().enumerate() {
        let by_number = numbers.binary_search(number).unwrap();
        sums[who % 2] += by_number as f64 - order as f64;
        counts[who % 2] += 1;
    }
    let [eager, told] = [0, 1].map(|kind| sums[kind] / counts[kind] as f64);
    (eager - told, counts)
}

#[test]
fn nothing_is_gained_by_looking_more_often() {
    for (eager, no_show, seed) in [(1.0, 0.0, 1), (10.0, 0.0, 2), (100.0, 0.0, 3), (100.0, 0.5, 4)] {
        let (gain, counts) = gain(eager, no_show, seed);
        println!(
            "{eager} times as often, {no_show} do not come: {gain:+.1} places, {counts:?} of {PEOPLE} went in"
        );
        let most = if eager > 1.0 { GAIN_MAX } else { 1.0 };
        assert!(gain.abs() <= most, "{eager} times as often: {gain:+.1} places");
        let all: usize = counts.iter().sum();
        let apart = (counts[0] as f64 - counts[1] as f64).abs();
        assert!(all > 100 && apart <= 4.0 * (all as f64).sqrt(), "{eager} times as often: {counts:?}");
    }
}
