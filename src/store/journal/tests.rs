//! What is written is there again, whatever the disk does in between.

mod crashes;
mod disk;

use disk::Disk;

use super::*;
use crate::admission::UnixTime;
use crate::admission::moves::Move;

const MARKS: RoomMarks = RoomMarks { epoch: 1, issued: 10, reserved: 1_000, cursor: 4 };

fn entry(marks: RoomMarks, words: &[(u64, u64)]) -> Entry {
    Entry {
        room: "main".to_owned(),
        marks,
        lanes: Vec::new(),
        ends: Ends { words: words.to_vec(), count: 0 },
        lots: LotsNews::default(),
        people: Changes::default(),
        slots: SlotNews::default(),
        moves: MoveNews::default(),
        reminders: ReminderNews::default(),
    }
}

#[test]
fn keys_marks_and_ends_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let first = {
        let journal = Journal::open(directory.path()).unwrap();
        journal.write(&[entry(MARKS, &[(0, 0b110), (7, 1)])], &[]).unwrap();
        journal.write(&[entry(MARKS, &[(0, 0b111)])], &[]).unwrap();
        journal.secrets([[1; 32], [2; 32], [3; 32]]).unwrap()
    };
    let journal = Journal::open(directory.path()).unwrap();
    assert_eq!(journal.marks("main").unwrap(), MARKS);
    assert_eq!(journal.marks("other").unwrap(), RoomMarks::default());
    assert_eq!(journal.over("main").unwrap(), NumberSet::of_words([(0, 0b111), (7, 1)]));
    assert!(journal.over("mai").unwrap().is_empty() && journal.over("main2").unwrap().is_empty());
    let again = journal.secrets([[4; 32], [5; 32], [6; 32]]).unwrap();
    assert_eq!((again.ticket, again.board, again.event), (first.ticket, first.board, first.event));
}

#[test]
fn places_of_people_survive_a_restart_and_go_with_their_room() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::open(directory.path()).unwrap();
    let (secret, people) = journal.people("main", [1; 32]).unwrap();
    assert_eq!((secret, people.len()), ([1; 32], 0));
    journal.people("mainz", [2; 32]).unwrap();
    for (room, place) in [("main", [1; 28]), ("mainz", [2; 28]), ("main", [3; 28])] {
        let people = Changes { places: vec![(u64::MAX, place), (7, place)], count: 0 };
        let entry = Entry {
            room: room.to_owned(),
            marks: MARKS,
            lanes: Vec::new(),
            ends: Ends::default(),
            lots: LotsNews::default(),
            people,
            slots: SlotNews::default(),
            moves: MoveNews::default(),
            reminders: ReminderNews::default(),
        };
        journal.write(&[entry], &[]).unwrap();
    }
    drop(journal);
    let journal = Journal::open(directory.path()).unwrap();
    let expected = ([1; 32], vec![(7, [3; 28]), (u64::MAX, [3; 28])]);
    assert_eq!(journal.people("main", [9; 32]).unwrap(), expected);
    journal.forget_people("main").unwrap();
    assert_eq!(journal.people("main", [9; 32]).unwrap(), ([9; 32], Vec::new()), "another key, nobody known");
    assert_eq!(journal.people("mainz", [9; 32]).unwrap().1.len(), 2);
    let late = Changes { places: vec![(7, [4; 28])], count: 0 };
    let (ends, lots) = (Ends::default(), LotsNews::default());
    journal.forget_people("main").unwrap();
    let reminders = ReminderNews { sealed: vec![(7, Some([5; 40].into()))], ..ReminderNews::default() };
    let entry = Entry { people: late, reminders, ..entry(MARKS, &[]) };
    journal.write(&[Entry { ends, lots, ..entry }], &[]).unwrap();
    assert_eq!(journal.people("main", [8; 32]).unwrap().1.len(), 0, "what was under way when its key went");
    assert_eq!(journal.reminders("main").unwrap(), [], "and who was to be told");
}

#[test]
fn slots_survive_a_restart_where_they_had_moved_to() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::open(directory.path()).unwrap();
    let write = |spans: &[(u64, Option<(u64, u64)>)], still_ms| {
        let slots = SlotNews { spans: spans.to_vec(), still_ms: Some(still_ms), ..SlotNews::default() };
        journal.write(&[Entry { slots, ..entry(MARKS, &[]) }], &[]).unwrap();
    };
    write(&[(7, Some((100, 200))), (9, Some((300, 400)))], 0);
    write(&[(7, None)], 60_000);
    drop(journal);
    let journal = Journal::open(directory.path()).unwrap();
    let left = journal.slots("main", UnixTime(5)).unwrap();
    assert_eq!((left.unix, left.still_ms, left.spans), (UnixTime(5), 60_000, vec![(9, (300, 400))]));
    assert_eq!(journal.slots("mainz", UnixTime(5)).unwrap().spans, []);
}

#[test]
fn a_place_that_moved_has_moved_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::open(directory.path()).unwrap();
    let moved = |moves, mark| Move { moves, ticket: [moves; 43], mark, at: UnixTime(moves.into()) };
    for one in [(7, moved(1, Some(5))), (9, moved(1, None)), (7, moved(2, None))] {
        let moves = MoveNews { moves: vec![one], count: 0 };
        journal.write(&[Entry { moves, ..entry(MARKS, &[]) }], &[]).unwrap();
    }
    drop(journal);
    let journal = Journal::open(directory.path()).unwrap();
    assert_eq!(journal.moves("main").unwrap(), [(7, moved(2, None)), (9, moved(1, None))]);
    assert_eq!(journal.moves("mainz").unwrap(), []);
}

#[test]
fn memory_keeps_marks_for_as_long_as_it_lives() {
    let journal = Journal::in_memory().unwrap();
    journal.write(&[entry(MARKS, &[])], &[]).unwrap();
    assert_eq!(journal.marks("main").unwrap(), MARKS);
    assert_eq!(Journal::in_memory().unwrap().marks("main").unwrap(), RoomMarks::default());
}

#[test]
fn two_processes_cannot_share_a_state() {
    let directory = tempfile::tempdir().unwrap();
    let _first = Journal::open(directory.path()).unwrap();
    assert!(Journal::open(directory.path()).is_err());
}

#[test]
fn a_full_disk_is_said_loses_nothing_and_is_written_again_when_there_is_room() {
    let disk = Disk::default();
    let journal = disk.journal().unwrap();
    journal.write(&[entry(MARKS, &[(1, 1)])], &[]).unwrap();
    for more in 0..12 {
        disk.plate().left = Some(more);
        let full = journal.write(&[entry(RoomMarks { cursor: 5, ..MARKS }, &[(2, 1)])], &[]);
        disk.plate().left = None;
        let found = journal.marks("main").unwrap();
        assert!(found == MARKS || found.cursor == 5, "{found:?}");
        assert!(full.is_err() || found.cursor == 5, "acknowledged and lost after {more} operations");
    }
    journal.write(&[entry(RoomMarks { cursor: 6, ..MARKS }, &[])], &[]).unwrap();
    drop(journal);
    assert_eq!(disk.journal().unwrap().marks("main").unwrap().cursor, 6);
}
