//! Whose turn it is, who is turned away, and that nothing is lost, idle or over.
#![allow(clippy::cast_possible_truncation, reason = "numbers here are small")]

use std::time::Duration;

use super::*;
use proptest::prelude::*;

const WAIT: Duration = Duration::from_secs(1);

fn asking(class: Class, user: u64) -> Asking {
    Asking { class, user: Some(UserKey(user)), personal: true, route: 0, share: 1.0, optional: false }
}

/// A queue with its policy, a limit, and what is under way.
struct World {
    policy: QueuePolicy,
    queue: FairQueue<u64>,
    limit: u32,
    now: Moment,
    held: Vec<Held>,
}

impl World {
    fn new(limit: u32) -> Self {
        Self {
            policy: QueuePolicy::default(),
            queue: FairQueue::default(),
            limit,
            now: Moment(0),
            held: Vec::new(),
        }
    }

    fn wait(&mut self, asking: Asking, name: u64) -> Place {
        let deadline = self.now.after(WAIT);
        self.queue.push(&self.policy, &asking, deadline, self.now, name).expect("there is a place").0
    }

    fn has_room(&self) -> bool {
        self.held.len() < self.limit as usize
    }

    /// Hands out what is free; who got it.
    fn grant(&mut self) -> Vec<u64> {
        let mut granted = Vec::new();
        while self.has_room()
            && let Some((held, name)) = self.queue.pop(&self.policy, self.limit, self.now)
        {
            self.held.push(held);
            granted.push(name);
        }
        granted
    }

    /// The oldest permit is free again; who got it.
    fn finish(&mut self) -> Vec<u64> {
        let held = self.held.remove(0);
        self.queue.done(held);
        self.grant()
    }
}

#[test]
fn users_take_turns_however_much_each_asks() {
    let mut world = World::new(1);
    // The first asks eight times before the others ask at all.
    for request in 0..8 {
        world.wait(asking(Class::Entry, 1), 10 + request);
    }
    for request in 0..2 {
        world.wait(asking(Class::Entry, 2), 20 + request);
        world.wait(asking(Class::Entry, 3), 30 + request);
    }
    let mut order = world.grant();
    while !world.held.is_empty() {
        order.extend(world.finish());
    }
    assert_eq!(order, [10, 20, 30, 11, 21, 31, 12, 13, 14, 15, 16, 17]);
}

#[test]
fn who_comes_back_stands_behind_those_who_have_not_had_their_turn() {
    let mut world = World::new(1);
    for user in 1..=3 {
        world.wait(asking(Class::Entry, user), user);
    }
    assert_eq!(world.grant(), [1]);
    world.wait(asking(Class::Entry, 1), 11);
    world.wait(asking(Class::Entry, 4), 4);
    let order: Vec<_> = (0..4).flat_map(|_| world.finish()).collect();
    assert_eq!(order, [2, 3, 4, 11], "the fourth is new, the first is not");
}

/// Ten users keep eight requests waiting each; one asks for one at a time, whenever the last was answered,
/// and one for one in a while.
#[test]
fn who_asks_for_little_goes_before_those_who_ask_for_much_but_not_time_and_again() {
    let mut world = World::new(1);
    for user in 0..10 {
        (0..8).for_each(|_| _ = world.wait(asking(Class::Entry, user), user));
    }
    world.grant();
    // Once each of them was new.
    (0..12).for_each(|_| _ = world.finish());
    let (mut eager, mut served) = (0, Vec::new());
    world.wait(asking(Class::Entry, 100), 100);
    for step in 0..66 {
        if step % 22 == 5 {
            world.wait(asking(Class::Entry, 200), 200);
            assert_eq!(world.finish(), [200], "new again, for the ring has come round");
            continue;
        }
        let got = world.finish();
        if got == [100] {
            eager += 1;
            world.wait(asking(Class::Entry, 100), 100);
        }
        served.extend(got);
    }
    assert!(served.iter().take(2).any(|name| *name == 100), "{served:?}");
    assert!((6..=7).contains(&eager), "one in eleven, as everybody: {eager}");
}

/// However many come anew, those who wait in the ring get on.
#[test]
fn newcomers_without_end_keep_nobody_out() {
    let mut world = World::new(1);
    (0..3).for_each(|_| _ = world.wait(asking(Class::Entry, 1), 1));
    let mut order = world.grant();
    for user in 100..140 {
        world.wait(asking(Class::Entry, user), user);
        world.wait(asking(Class::Entry, user + 100), user + 100);
        order.extend(world.finish());
    }
    assert_eq!(order.iter().filter(|name| **name == 1).count(), 3, "{order:?}");
}

/// What nobody known asks for is never new: else it would pay to be nobody.
#[test]
fn it_does_not_pay_to_be_nobody() {
    let mut world = World::new(1);
    (0..5).for_each(|user| _ = world.wait(asking(Class::Entry, user), user));
    world.grant();
    (0..3).for_each(|_| _ = world.wait(Asking { user: None, ..asking(Class::Entry, 0) }, 99));
    world.wait(asking(Class::Entry, 7), 7);
    let order: Vec<_> = (0..8).flat_map(|_| world.finish()).collect();
    assert_eq!(order, [1, 2, 3, 99, 4, 7, 99, 99], "one of five turns");
}

/// Everybody wants everything: each class gets its part, and a class that stops lends its own.
#[test]
fn shares_are_kept_under_load_and_lent_when_idle() {
    let mut world = World::new(20);
    let mut served = [0_u32; 4];
    let mut name = 0;
    for round in 0..4_000 {
        for class in Class::ALL {
            let idle = class == Class::Admitted && round >= 2_000;
            while !idle && world.queue.line(class).waiting() < 5 {
                name += 1;
                let _ = world.wait(asking(class, name), class as u64);
            }
        }
        if round == 2_000 {
            assert_eq!(world.queue.holds(), [4, 12, 3, 1], "20 : 60 : 15 : 5 of 20");
            served = [0; 4];
        }
        let granted = if world.has_room() { world.grant() } else { world.finish() };
        granted.iter().for_each(|class| served[*class as usize] += 1);
        assert_eq!(world.held.len(), 20, "nothing is left idle while somebody waits");
    }
    // The last of the second class are served out of the queue; the rest is lent by 20 : 15 : 5.
    let [finish, _, entry, bulk] = served;
    assert!(finish > 900 && entry > 650 && bulk > 200, "{served:?}");
}

/// Shares of one permit are shares of turns: nobody starves.
#[test]
fn a_limit_of_one_is_shared_in_turns() {
    let mut world = World::new(1);
    let mut served = [0_u32; 4];
    for name in 0..2_000 {
        for class in Class::ALL {
            while world.queue.line(class).waiting() < 2 {
                world.wait(asking(class, name * 10 + class as u64), class as u64);
            }
        }
        let granted = if world.has_room() { world.grant() } else { world.finish() };
        granted.iter().for_each(|class| served[*class as usize] += 1);
    }
    for (served, share) in served.into_iter().zip([400, 1_200, 300, 100]) {
        assert!(served.abs_diff(share) <= 4, "{served} of {share}");
    }
}

/// What was lent comes back at the next permits that are free, not when it suits the borrower.
#[test]
fn a_class_below_its_part_gets_the_next_permits() {
    let mut world = World::new(20);
    for user in 0..60 {
        world.wait(asking(Class::Entry, user), 2);
    }
    assert_eq!(world.grant().len(), 20);
    for user in 100..103 {
        world.wait(asking(Class::Finish, user), 0);
    }
    let next: Vec<_> = (0..4).flat_map(|_| world.finish()).collect();
    assert_eq!(next, [0, 0, 0, 2]);
}

#[test]
fn a_user_at_its_cap_waits_for_its_own_and_holds_up_nobody() {
    let mut world = World::new(10);
    world.policy.per_user = Some(2);
    for request in 0..5 {
        world.wait(asking(Class::Admitted, 1), 10 + request);
    }
    world.wait(asking(Class::Admitted, 2), 20);
    assert_eq!(world.grant(), [10, 20, 11]);
    assert!(world.queue.go(&world.policy, &asking(Class::Entry, 1)).is_none(), "whatever the class");
    let shared = Asking { personal: false, ..asking(Class::Entry, 1) };
    let held = world.queue.go(&world.policy, &shared).expect("an address is not one user");
    world.queue.done(held);
    assert_eq!(world.queue.len(), 3);
    assert_eq!(world.finish(), [12]);
    assert!(world.finish().is_empty(), "user 2 is done");
    assert_eq!(world.finish(), [13]);
}

#[test]
fn a_route_over_its_share_lets_others_of_its_class_go_first() {
    let mut world = World::new(10);
    let hog = Asking { share: 0.6, route: 1, ..asking(Class::Admitted, 1) };
    for user in 0..20 {
        world.wait(Asking { user: Some(UserKey(user)), ..hog }, 1);
    }
    assert_eq!(world.grant().len(), 10, "nothing is reserved");
    for user in 30..36 {
        world.wait(Asking { route: 2, ..asking(Class::Admitted, user) }, 2);
    }
    let next: Vec<_> = (0..6).flat_map(|_| world.finish()).collect();
    assert_eq!(next, [2, 2, 2, 2, 1, 1], "until it holds less than six of ten; then turns decide");
}

#[test]
fn one_user_cannot_fill_the_queue_and_the_higher_push_out_the_lowest() {
    let mut world = World::new(1);
    world.policy.length = 16;
    let deadline = Moment(0).after(WAIT);
    let try_wait = |world: &mut World, class, user, name| {
        world.queue.push(&world.policy, &asking(class, user), deadline, Moment(0), name)
    };
    let greedy = (0..100).filter(|name| try_wait(&mut world, Class::Entry, 1, *name).is_ok()).count();
    assert_eq!(greedy, 8, "half of what is free, each time");
    for user in 2..10 {
        try_wait(&mut world, Class::Entry, user, 100 + user).unwrap();
    }
    assert_eq!(try_wait(&mut world, Class::Entry, 99, 0).unwrap_err(), (Turned::Full, 0));
    assert_eq!(try_wait(&mut world, Class::Bulk, 99, 0).unwrap_err(), (Turned::Full, 0));
    let (_, pushed_out) = try_wait(&mut world, Class::Finish, 99, 0).unwrap();
    assert_eq!(pushed_out, Some(109), "the last in turn");
    assert_eq!(world.queue.waiting(), [1, 0, 15, 0]);
}

#[test]
fn a_standing_queue_sheds_who_came_in_and_what_is_optional_but_not_who_has_a_pass() {
    let mut world = World::new(1);
    let pace = Pace::default();
    for class in Class::ALL {
        for user in 0..3 {
            world.wait(asking(class, user), class as u64);
        }
    }
    let optional = Asking { optional: true, ..asking(Class::Bulk, 7) };
    world.wait(optional, 7);
    assert!(world.queue.tick(pace, world.now).is_empty(), "it has just formed");
    world.now = world.now.after(pace.interval);
    let fresh = asking(Class::Entry, 8);
    world.wait(fresh, 8);
    let mut turned = world.queue.tick(pace, world.now);
    turned.sort_unstable();
    let shed = |name| (Turned::Shed, name);
    let expected = [shed(2), shed(2), shed(2), shed(3), shed(3), shed(3), (Turned::Optional, 7)];
    assert_eq!(turned, expected);
    assert_eq!(world.queue.waiting(), [3, 3, 1, 0], "who has just come stays");
    let again = world.queue.push(&world.policy, &optional, world.now.after(WAIT), world.now, 7);
    assert_eq!(again.unwrap_err(), (Turned::Optional, 7));
}

proptest! {
    /// Whatever happens: permits never exceed the limit, nothing is idle while somebody waits who may go,
    /// no user exceeds its cap, nothing is lost or doubled, and all counts end at zero.
    #[test]
    fn nothing_is_lost_idle_or_over(
        steps in prop::collection::vec((0u8..8, 0u64..6, 0usize..4, 0u8..3, 0u64..300), 1..600),
        length in 1usize..40, cap in prop::option::of(1u32..4),
    ) {
        let mut world = World::new(4);
        world.policy = QueuePolicy { length, per_user: cap, ..QueuePolicy::default() };
        let (mut waiting, mut names) = (BTreeMap::<u64, (Place, Moment, u64)>::new(), 0_u64);
        let mut users = BTreeMap::<u64, u32>::new();
        let mut owners: Vec<u64> = Vec::new();
        for (action, user, class, route, millis) in steps {
            world.now = world.now.after(Duration::from_millis(millis));
            let class = Class::ALL[class];
            let ask = Asking { route, share: 0.5, optional: user == 5, ..asking(class, user) };
            match action {
                0..=3 => {
                    names += 1;
                    if world.has_room() && let Some(held) = world.queue.go(&world.policy, &ask) {
                        world.held.push(held);
                        owners.push(user);
                        *users.entry(user).or_default() += 1;
                    } else {
                        let deadline = world.now.after(WAIT);
                        match world.queue.push(&world.policy, &ask, deadline, world.now, names) {
                            Ok((place, pushed_out)) => {
                                waiting.insert(names, (place, deadline, user));
                                if let Some(name) = pushed_out {
                                    prop_assert!(waiting.remove(&name).is_some());
                                }
                            }
                            Err((_, back)) => prop_assert_eq!(back, names),
                        }
                    }
                }
                4 | 5 if !world.held.is_empty() => {
                    let at = millis as usize % world.held.len();
                    let held = world.held.swap_remove(at);
                    *users.entry(owners.swap_remove(at)).or_default() -= 1;
                    world.queue.done(held);
                }
                6 => if let Some((name, (place, deadline, _))) = waiting.iter().next().map(|(name, it)| (*name, *it)) {
                    let removed = world.queue.remove(place);
                    prop_assert!(removed == Some(name) || removed.is_none() && deadline < world.now);
                    waiting.remove(&name);
                    prop_assert_eq!(world.queue.remove(place), None);
                },
                7 => for (_, name) in world.queue.tick(Pace::default(), world.now) {
                    prop_assert!(waiting.remove(&name).is_some());
                },
                _ => {}
            }
            for name in world.grant() {
                let (_, deadline, user) = waiting.remove(&name).expect("granted once");
                prop_assert!(world.now <= deadline);
                owners.push(user);
                *users.entry(user).or_default() += 1;
            }
            prop_assert!(world.held.len() <= 4);
            prop_assert!(users.values().all(|holds| cap.is_none_or(|cap| *holds <= cap)));
            if world.has_room() {
                let capped = |user: &u64| cap.is_some_and(|cap| users[user] >= cap);
                let late = |deadline: &Moment| *deadline < world.now;
                prop_assert!(waiting.values().all(|(_, deadline, user)| late(deadline) || capped(user)));
            }
            prop_assert!(world.queue.len() <= length);
            prop_assert_eq!(world.queue.holds().iter().sum::<u32>() as usize, world.held.len());
        }
        for (place, ..) in waiting.into_values() {
            world.queue.remove(place);
        }
        world.held.drain(..).for_each(|held| world.queue.done(held));
        prop_assert!(world.queue.is_empty());
        prop_assert!(world.queue.users.is_empty() && world.queue.holds() == [0; 4]);
        prop_assert!(world.queue.routes.iter().all(|held| *held == 0));
    }
}
