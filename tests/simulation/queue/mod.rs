//! The fair queue in virtual time, before an upstream of fixed capacity; and what a permit costs.

mod cost;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tornello::admission::policy::QueuePolicy;
use tornello::admission::queue::{Asking, FairQueue, Held, Pace};
use tornello::admission::{Class, Moment, UserKey};

use crate::dice::Dice;

const LIMIT: u32 = 40;
/// On average; so 800 requests a second are served.
const SERVICE_MS: u64 = 50;
const WAIT: Duration = Duration::from_millis(400);
const SECONDS: u64 = 60;

/// A kind of user: how many, and how often each asks in a second.
#[derive(Clone, Copy, Debug)]
struct Kind {
    class: Class,
    users: usize,
    rate: f64,
    route: u8,
    share: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Asks {
        kind: usize,
        user: usize,
    },
    Done {
        place: usize,
    },
    Tick,
    /// It leaves before it is served, if it still waits.
    Leaves {
        request: usize,
    },
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    asked: u32,
    served: u32,
}

/// Plays a minute; requests asked and served, by kind and user.
fn play(seed: u64, policy: &QueuePolicy, kinds: &[Kind], leavers: f64) -> Vec<Vec<Count>> {
    let mut dice = Dice::new(seed);
    let mut queue = FairQueue::<(usize, usize)>::default();
    let mut counts: Vec<Vec<Count>> = kinds.iter().map(|kind| vec![Count::default(); kind.users]).collect();
    let mut events = BinaryHeap::new();
    let gap = |dice: &mut Dice, rate: f64| Duration::from_secs_f64(-(1.0 - dice.part()).ln() / rate);
    for (kind, it) in kinds.iter().enumerate() {
        for user in 0..it.users {
            events.push(Reverse((Moment(0).after(gap(&mut dice, it.rate)), Event::Asks { kind, user })));
        }
    }
    events.push(Reverse((Moment(0), Event::Tick)));
    let mut held: Vec<Option<Held>> = vec![None; LIMIT as usize];
    let mut places = Vec::new();
    let end = Moment(0).after(Duration::from_secs(SECONDS));
    while let Some(Reverse((now, event))) = events.pop().filter(|Reverse((now, _))| *now < end) {
        let mut begun = Vec::new();
        match event {
            Event::Asks { kind, user } => {
                let it = kinds[kind];
                events.push(Reverse((now.after(gap(&mut dice, it.rate)), event)));
                counts[kind][user].asked += 1;
                let asking = Asking {
                    class: it.class,
                    user: Some(UserKey((kind * 1_000_000 + user) as u64)),
                    personal: true,
                    route: it.route,
                    share: it.share,
                    optional: false,
                };
                let room = held.iter().any(Option::is_none);
                if let Some(permit) = room.then(|| queue.go(policy, &asking)).flatten() {
                    begun.push((permit, (kind, user)));
                } else if let Ok((place, _)) = queue.push(policy, &asking, now.after(WAIT), now, (kind, user))
                {
                    places.push(place);
                    if dice.chance(leavers) {
                        let leaves = Event::Leaves { request: places.len() - 1 };
                        events.push(Reverse((now.after(dice.millis(1, 300)), leaves)));
                    }
                }
            }
            Event::Done { place } => queue.done(held[place].take().unwrap()),
            Event::Tick => {
                queue.tick(Pace::of(Duration::from_millis(SERVICE_MS), WAIT), now);
                events.push(Reverse((now.after(Duration::from_millis(50)), Event::Tick)));
            }
            Event::Leaves { request } => {
                queue.remove(places[request]);
            }
        }
        while held.iter().filter(|it| it.is_none()).count() > begun.len()
            && let Some(next) = queue.pop(policy, LIMIT, now)
        {
            begun.push(next);
        }
        for (permit, (kind, user)) in begun {
            let place = held.iter().position(Option::is_none).expect("never over the limit");
            held[place] = Some(permit);
            counts[kind][user].served += 1;
            events.push(Reverse((now.after(dice.millis(1, 2 * SERVICE_MS - 1)), Event::Done { place })));
        }
        let idle = held.iter().any(Option::is_none);
        assert!(!idle || queue.is_empty() || policy.per_user.is_some(), "idle while somebody waits");
    }
    held.into_iter().flatten().for_each(|permit| queue.done(permit));
    assert_eq!(queue.holds(), [0; 4], "no permit is lost");
    counts
}

fn sum(counts: &[Count]) -> Count {
    let add = |a: Count, b: &Count| Count { asked: a.asked + b.asked, served: a.served + b.served };
    counts.iter().fold(Count::default(), add)
}

/// The part of what was asked for that was served.
fn part(counts: &[Count]) -> f64 {
    let all = sum(counts);
    f64::from(all.served) / f64::from(all.asked)
}

/// Jain's index of what each got over what is fair: 1 if all have their fair part, 1/n if one has all.
fn jain(parts: &[f64]) -> f64 {
    let (sum, squares) = parts.iter().fold((0.0, 0.0), |(sum, squares), it| (sum + it, squares + it * it));
    sum * sum / (parts.len() as f64 * squares)
}

const fn kind(class: Class, users: usize, rate: f64) -> Kind {
    Kind { class, users, rate, route: 0, share: 1.0 }
}

/// Scenario 11 of the comparison matrix: ten greedy users ask 100 times a second among six hundred who
/// ask once; the capacity of 800 a second leaves each greedy one 20.
#[test]
fn the_greedy_get_what_the_others_leave() {
    for seed in 1..=5 {
        let kinds = [kind(Class::Admitted, 600, 1.0), kind(Class::Admitted, 10, 100.0)];
        let counts = play(seed, &QueuePolicy::default(), &kinds, 0.02);
        let polite = part(&counts[0]);
        let mut parts: Vec<f64> =
            counts[0].iter().map(|it| f64::from(it.served) / f64::from(it.asked.max(1))).collect();
        let fair = 20.0 * SECONDS as f64;
        parts.extend(counts[1].iter().map(|it| f64::from(it.served) / fair));
        let index = jain(&parts);
        println!("seed {seed}: {:.2} % of the polite served, Jain's index {index:.4}", polite * 100.0);
        assert!(polite >= 0.99 && index >= 0.95, "seed {seed}: {polite} {index}");
        let used = f64::from(sum(&counts[0]).served + sum(&counts[1]).served);
        assert!(used >= 0.97 * 800.0 * SECONDS as f64, "seed {seed}: only {used} served");
    }
}

/// Three times what can be served, a tenth of it payments: these do not notice.
#[test]
fn what_finishes_something_is_served_at_three_times_the_capacity() {
    for seed in 1..=5 {
        let kinds = [
            kind(Class::Finish, 80, 1.0),
            kind(Class::Admitted, 1_000, 1.0),
            kind(Class::Entry, 1_000, 1.0),
            kind(Class::Bulk, 320, 1.0),
        ];
        let counts = play(seed, &QueuePolicy::default(), &kinds, 0.0);
        let parts: Vec<f64> = counts.iter().map(|it| part(it)).collect();
        println!("seed {seed}: served of P0 to P3: {parts:.3?}");
        assert!(parts[0] >= 0.999, "seed {seed}: {parts:?}");
        let served: Vec<f64> = counts.iter().map(|it| f64::from(sum(it).served)).collect();
        let all: f64 = served.iter().sum();
        // Nobody starves, and nobody has less than its part: P0 wants half of its own.
        for (got, own) in served.iter().skip(1).zip([0.60, 0.15, 0.05]) {
            assert!(got / all >= 0.95 * own, "seed {seed}: {served:?}");
        }
        assert!(all >= 0.97 * 800.0 * SECONDS as f64, "seed {seed}: only {all} served");
    }
}

/// One route of two asks for all that there is: it gets what the other leaves.
#[test]
fn a_route_that_takes_all_leaves_the_others_theirs() {
    for seed in 1..=5 {
        let hog = Kind { route: 1, share: 0.6, ..kind(Class::Admitted, 1_600, 1.0) };
        let other = Kind { route: 2, share: 0.6, ..kind(Class::Admitted, 240, 1.0) };
        let counts = play(seed, &QueuePolicy::default(), &[hog, other], 0.0);
        println!("seed {seed}: {:.3} of the hog's, {:.3} of the other's", part(&counts[0]), part(&counts[1]));
        assert!(part(&counts[1]) >= 0.99, "seed {seed}");
    }
}

/// Nobody has more than two at a time, and although one in five leaves no permit is lost.
#[test]
fn a_cap_for_each_user_loses_nothing() {
    for seed in 1..=5 {
        let policy = QueuePolicy { per_user: Some(2), ..QueuePolicy::default() };
        let kinds = [kind(Class::Admitted, 30, 1.0), kind(Class::Entry, 5, 200.0)];
        let counts = play(seed, &policy, &kinds, 0.2);
        assert!(part(&counts[0]) >= 0.99, "seed {seed}: {}", part(&counts[0]));
        // Two permits of 50 ms: forty a second, of two hundred.
        let most = 41.5 * SECONDS as f64;
        assert!(counts[1].iter().all(|it| f64::from(it.served) <= most), "seed {seed}: {:?}", counts[1]);
    }
}

#[test]
fn the_same_seed_plays_the_same_minute() {
    let kinds = [kind(Class::Admitted, 300, 2.0), kind(Class::Entry, 300, 2.0), kind(Class::Bulk, 30, 10.0)];
    let served = |seed| {
        let counts = play(seed, &QueuePolicy::default(), &kinds, 0.1);
        counts.iter().map(|it| it.iter().map(|count| count.served).collect()).collect::<Vec<Vec<u32>>>()
    };
    assert_eq!(served(7), served(7));
    assert_ne!(served(7), served(8));
}
