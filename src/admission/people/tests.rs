//! Of the places of one person one is left, whatever they show and in which order.

use proptest::prelude::*;

use super::*;

const ROOM: RoomId = RoomId(7);

fn ticket(number: u64, seconds: u64) -> Claims {
    let id = [u8::try_from(number % 251).unwrap(); 16];
    Claims {
        kind: Kind::Ticket,
        room: ROOM,
        epoch: 1,
        number,
        index: None,
        time: UnixTime(seconds * 1_000),
        id,
        moves: 0,
    }
}

/// A lot that is not drawn yet.
fn lot(index: u32) -> Claims {
    Claims { index: Some(index), ..ticket(0, 9) }
}

#[test]
fn a_place_is_read_as_it_was_written() {
    let mut people = People::default();
    let straight = Claims { kind: Kind::Pass, number: 0, epoch: 0, ..ticket(0, 9) };
    let last = LaneId::new(15).unwrap().origin() + LOT - 1;
    let lots = [0, 7, u32::MAX].map(lot);
    for claims in
        [ticket(1, 1_793_318_400), ticket(last, 4_294_967_295)].into_iter().chain(lots).chain([straight])
    {
        assert!(People::can_hold(&claims));
        assert!(people.hold(3, &claims));
        assert_eq!(people.place(3, ROOM), Some(Place { claims, entered: None }));
    }
    for beyond in [ticket(PASS, 1), ticket(LOT, 1), ticket(1, 1 << 32), Claims { epoch: 256, ..lot(1) }] {
        assert!(!People::can_hold(&beyond) && !people.hold(3, &beyond));
        assert_eq!(people.place(3, ROOM).unwrap().claims, straight, "nothing changed");
    }
    people.hold(3, &ticket(5, 100));
    people.enter(3, UnixTime(165_000));
    people.enter(3, UnixTime(990_000));
    assert_eq!(people.place(3, ROOM).unwrap().entered, Some(UnixTime(170_000)), "only the first time counts");
    people.hold(4, &ticket(6, 100));
    people.enter(4, UnixTime(u64::MAX));
    assert_eq!(people.place(4, ROOM).unwrap().entered, Some(UnixTime(100_000 + 65_535 * 10_000)));
}

#[test]
fn who_changes_back_while_it_is_written_is_told_that_it_is_durable() {
    let mut people = People::default();
    people.hold(2, &ticket(11, 5));
    let writing = people.unkept();
    people.hold(2, &ticket(4, 3));
    people.hold(2, &ticket(11, 5));
    people.kept(&writing);
    let again = people.unkept();
    assert_eq!((again.places.len(), again.count), (1, people.changes()), "the last change waits");
    people.kept(&again);
    assert!(people.unkept().places.is_empty());
}

#[test]
fn what_is_kept_is_there_again_and_only_what_changed_is_written() {
    let mut people = People::default();
    people.hold(1, &ticket(10, 5));
    people.hold(2, &ticket(11, 5));
    let changes = people.unkept();
    assert_eq!((changes.places.len(), changes.count), (2, 2));
    people.hold(2, &ticket(4, 3));
    people.kept(&changes);
    assert_eq!(people.unkept().places.len(), 1, "the second is another by now");
    let again = People::restore([people.unkept().places, changes.places[..1].to_vec()].concat());
    assert_eq!((again.place(1, ROOM), again.place(2, ROOM)), (people.place(1, ROOM), people.place(2, ROOM)));
    for people in [&again, &people] {
        let is_held = [10, 4, 11, 0].map(|n| people.is_held(&ticket(n, 1), None));
        assert_eq!(is_held, [true, true, false, false]);
    }
}

#[test]
fn a_visit_without_a_number_is_its_holders_and_nobody_elses() {
    let straight = |id| Claims { kind: Kind::Pass, number: 0, id: [id; 16], ..ticket(0, 9) };
    let mut people = People::default();
    people.hold(1, &straight(7));
    let again = People::restore(people.unkept().places);
    let is_held = |people: &People, id| people.is_held(&straight(id), None);
    assert!(is_held(&people, 7) && is_held(&again, 7) && !is_held(&people, 8));
    people.hold(1, &straight(8));
    assert!(is_held(&people, 8) && !is_held(&people, 7), "it was given up for another");
    people.hold(1, &ticket(3, 9));
    assert!(!is_held(&people, 8) && people.is_held(&ticket(3, 9), None));
}

#[test]
fn a_lot_is_its_holders_before_it_has_a_number_and_after_it() {
    let mut people = People::default();
    people.hold(1, &lot(0));
    people.hold(2, &ticket(5, 9));
    let again = People::restore(people.unkept().places);
    let pass = Claims { kind: Kind::Pass, index: None, number: 5, ..lot(0) };
    for people in [&people, &again] {
        assert!(people.is_held(&lot(0), Some(0)) && !people.is_held(&lot(5), Some(5)));
        // The number of a pass is the index of a lot by the draw alone.
        assert!(people.is_held(&pass, Some(0)) && !people.is_held(&pass, Some(5)));
        assert!(people.is_held(&pass, None), "that of somebody who came later");
    }
    people.hold(1, &ticket(9, 900));
    assert!(!people.is_held(&lot(0), Some(0)) && people.is_held(&ticket(9, 1), None), "another visit");
}

#[test]
fn another_key_makes_strangers_of_all() {
    let (person, other) = (PersonKey([1; 16]), PersonKey([2; 16]));
    assert_eq!(room_key(&[5; 32], &person), room_key(&[5; 32], &person));
    assert_ne!(room_key(&[5; 32], &person), room_key(&[6; 32], &person));
    assert_ne!(room_key(&[5; 32], &person), room_key(&[5; 32], &other));
}

#[test]
fn a_later_visit_is_another_one_and_a_copy_is_not() {
    let inside = |seconds: u64| Place { claims: ticket(5, 100), entered: Some(UnixTime(seconds * 1_000)) };
    assert_eq!(keep(&inside(200), Stage::Over, &ticket(9, 150), Stage::Inside), Keep::Held, "a copy");
    assert_eq!(
        keep(&inside(200), Stage::Over, &ticket(900, 250), Stage::Inside),
        Keep::Shown,
        "another visit"
    );
    let after_a_kill = keep(&inside(200), Stage::Waits, &ticket(3, 150), Stage::Waits);
    assert_eq!(after_a_kill, Keep::Held, "nobody knows yet that it is inside still");
    let never = Place { claims: ticket(5, 100), entered: None };
    assert_eq!(
        keep(&never, Stage::Over, &ticket(9, 90), Stage::Waits),
        Keep::Shown,
        "the other was given up"
    );
}

/// A million people, their memory over nothing. By itself, since other tests take memory, too:
/// `cargo test --release --locked --lib a_million_people -- --ignored --nocapture`.
#[test]
#[ignore = "measures the memory of the process"]
fn a_million_people_take_less_than_64_bytes_each() {
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4_096.0
    };
    let (before, mut people) = (resident(), People::default());
    for number in 1..=1_000_000 {
        let key = room_key(&[1; 32], &PersonKey(u128::from(number).to_le_bytes()));
        people.hold(key, &ticket(number, 1_793_318_400));
        if number % 1_000 == 0 {
            people.kept(&people.unkept());
        }
    }
    let each = (resident() - before) / 1e6;
    println!("{each:.1} bytes a person");
    assert_eq!(people.len(), 1_000_000);
    assert!(each <= 64.0, "{each} bytes a person");
}

/// A person with places 1, 2, … in as many browsers; each step shows one of them, takes it inside, or ends it.
fn play(steps: &[(u64, u8)]) -> (People, Vec<u64>, Vec<Stage>) {
    let mut people = People::default();
    let (mut stages, mut served) = (vec![Stage::Waits; 9], Vec::new());
    for (second, (number, what)) in (1_000..).zip(steps) {
        let at = usize::try_from(*number).unwrap();
        match what {
            0 if stages[at] == Stage::Waits => stages[at] = Stage::Inside,
            1 if stages[at] == Stage::Inside => stages[at] = Stage::Over,
            _ => {}
        }
        // Whatever is done, it is done signed in.
        let shown = ticket(*number, 10);
        let stage_of = |place: &Place| stages[usize::try_from(place.claims.number).unwrap()];
        let lost = match people.place(1, ROOM) {
            None if stages[at] != Stage::Over => {
                people.hold(1, &shown);
                None
            }
            None => None,
            Some(held) if held.claims.number == *number => None,
            Some(held) => Some(match keep(&held, stage_of(&held), &shown, stages[at]) {
                Keep::Held => *number,
                Keep::Shown => {
                    people.hold(1, &shown);
                    held.claims.number
                }
            }),
        };
        if let Some(lost) = lost {
            stages[usize::try_from(lost).unwrap()] = Stage::Over;
        }
        if *what == 0 && stages[at] == Stage::Inside && !served.contains(number) {
            served.push(*number);
        }
        let held = people.place(1, ROOM);
        if held.is_some_and(|held| stages[usize::try_from(held.claims.number).unwrap()] == Stage::Inside) {
            people.enter(1, UnixTime(second * 1_000));
        }
    }
    (people, served, stages)
}

proptest! {
    /// Whoever came by several lots, and shows them in the order that suits best when the numbers are known, is
    /// left with the one that was entered first among them, as if nobody knew them.
    #[test]
    fn of_several_lots_the_numbers_decide_nothing(
        lots in prop::collection::vec((0u32..50, 1u64..50), 1..8),
        later in prop::option::of(51u64..99),
    ) {
        let drawn = |&(index, number): &(u32, u64)| Claims { number, ..lot(index) };
        let mut shown: Vec<Claims> = lots.iter().map(drawn).collect();
        shown.extend(later.map(|number| ticket(number, 9)));
        let merged = |shown: &[Claims]| {
            let (first, rest) = shown.split_first().unwrap();
            rest.iter().fold(*first, |held, shown| {
                let place = Place { claims: held, entered: None };
                match keep(&place, Stage::Waits, shown, Stage::Waits) {
                    Keep::Held => held,
                    Keep::Shown => *shown,
                }
            })
        };
        let first = lots.iter().map(|(index, _)| *index).min();
        prop_assert_eq!(merged(&shown).index, first);
        shown.sort_by_key(|claims| claims.number);
        prop_assert_eq!(merged(&shown).index, first, "the best one first");
        shown.reverse();
        prop_assert_eq!(merged(&shown).index, first, "the best one last");
    }

    #[test]
    fn of_places_that_wait_the_first_one_stays_in_whatever_order_they_are_shown(
        shown in prop::collection::vec(1u64..9, 1..30),
    ) {
        let steps: Vec<(u64, u8)> = shown.iter().map(|number| (*number, 2)).collect();
        let (people, _, stages) = play(&steps);
        let first = *shown.iter().min().unwrap();
        prop_assert_eq!(people.place(1, ROOM).unwrap().claims.number, first);
        for number in shown {
            let waits = stages[usize::try_from(number).unwrap()] == Stage::Waits;
            prop_assert_eq!(waits, number == first, "only one is left of those that were shown");
        }
    }

    #[test]
    fn nobody_is_inside_twice_and_who_was_inside_is_not_served_again_by_a_copy(
        steps in prop::collection::vec((1u64..9, 0u8..3), 1..60),
    ) {
        for length in 1..=steps.len() {
            let (_, served, stages) = play(&steps[..length]);
            let inside = stages.iter().filter(|stage| **stage == Stage::Inside).count();
            prop_assert!(inside <= 1, "{:?}", &steps[..length]);
            prop_assert!(served.len() <= 1, "{:?} {served:?}", &steps[..length]);
        }
    }
}
