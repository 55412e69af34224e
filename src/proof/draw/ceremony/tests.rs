//! Draws that are held by a machine that stops at any moment and starts again from what it had written.

use proptest::prelude::*;

use super::*;
use crate::proof::draw::document::{self, Kept};
use crate::proof::draw::reveal::{self, Party, Reveal};
use crate::proof::draw::rules::{OneLotPer, Source};

const OPENS_AT: u64 = 1_800_000_000_000;
const SECRETS: [(&str, [u8; 32]); 2] = [("office", [1; 32]), ("notary", [2; 32])];

/// What is on the disk, and nothing else.
struct Disk {
    key: SigningKey,
    lines: Vec<String>,
    log: JoinLog,
}

impl Disk {
    fn new(randomness: Source) -> Self {
        let key = SigningKey::from_bytes(&[7; 32]);
        let rules = Rules {
            kind: Rules::KIND.to_owned(),
            v: 1,
            room: "main".to_owned(),
            epoch: 1,
            opens_at_ms: OPENS_AT,
            line: hex(&[0; 32]),
            key: hex(key.verifying_key().as_bytes()),
            randomness,
            one_lot_per: OneLotPer::Browser,
            identified_by: Vec::new(),
        };
        Self { lines: vec![rules.seal(&key)], key, log: JoinLog::default() }
    }

    fn by_drand() -> Self {
        let round = drand::round_from(UnixTime(OPENS_AT + 60_000));
        Self::new(Source::Drand { chain: drand::QUICKNET.to_owned(), round })
    }

    fn by_parties() -> Self {
        let party = |(name, secret): (&str, [u8; 32])| Party {
            name: name.to_owned(),
            outside: name == "notary",
            commitment: hex(&reveal::commitment("main", name, &secret)),
        };
        Self::new(Source::Reveals { parties: SECRETS.into_iter().map(party).collect() })
    }

    fn start(&self) -> Result<Ceremony, DrawError> {
        let key = self.key.verifying_key();
        let (rules, told) = self.lines.split_first().unwrap();
        let mut ceremony = Ceremony::open(rules, &key)?;
        told.iter().try_for_each(|line| ceremony.take(line, &key))?;
        Ok(ceremony)
    }

    /// One life that ends at once: starts, does what is due at `now`, and is gone.
    fn live(&mut self, now_ms: u64) -> Step {
        let mut ceremony = self.start().expect("what it wrote itself is believed");
        let step = ceremony.step(&self.log, UnixTime(now_ms));
        match &step {
            Step::Gather => {
                let index = u8::try_from(self.log.count() % 256).unwrap();
                self.log.append([index; 32]).unwrap();
            }
            Step::Say(statement) => {
                let line = statement.seal(&self.key);
                ceremony.take(&line, &self.key.verifying_key()).expect("what is due is believed");
                self.lines.push(line);
            }
            Step::Wait(_) | Step::Drawn(_) => {}
        }
        step
    }

    fn commitments(&self) -> usize {
        self.lines.iter().filter(|line| line.starts_with(r#"{"commitment":"#)).count()
    }

    fn reveal(&mut self) -> Result<(), DrawError> {
        let reveal =
            |(name, secret): (&str, [u8; 32])| Reveal { name: name.to_owned(), secret: hex(&secret) };
        let told = Randomness::Reveals(SECRETS.into_iter().map(reveal).collect());
        let line = serde_json::to_string(&told).unwrap();
        self.start()?.take(&line, &self.key.verifying_key())?;
        self.lines.push(line);
        Ok(())
    }

    fn verify(&self) -> Result<document::Verified, DrawError> {
        let mut lines = self.lines.clone();
        if let Ok((_, draw)) = self.start()?.decided() {
            lines.extend(document::lines(&self.log, &draw));
        }
        document::verify(&lines.join("\n"), &self.key.verifying_key(), &Kept::default())
    }
}

#[test]
fn a_draw_goes_from_gathering_to_numbers() {
    let mut disk = Disk::by_parties();
    for _ in 0..20 {
        assert_eq!(disk.live(OPENS_AT - 1), Step::Gather);
    }
    assert!(matches!(disk.reveal(), Err(DrawError::Held(_))), "secrets are told after the commitment only");
    let Step::Say(Statement::Commitment(commitment)) = disk.live(OPENS_AT) else { panic!("no commitment") };
    assert_eq!((commitment.count, commitment.root), (20, hex(&disk.log.root())));
    // A clock that goes back opens nothing again.
    assert_eq!(disk.live(OPENS_AT - 1), Step::Wait(None));
    assert!(matches!(disk.verify(), Err(DrawError::Held(_))));
    disk.reveal().unwrap();
    let Step::Drawn(draw) = disk.live(OPENS_AT + 5) else { panic!("no numbers") };
    assert_eq!(disk.verify().unwrap().draw, draw);
    assert!(matches!(disk.reveal(), Err(DrawError::Randomness(_))), "told twice");
}

#[test]
fn a_commitment_that_comes_too_late_is_none_and_another_round_counts() {
    let mut disk = Disk::by_drand();
    let round = disk.start().unwrap().round.unwrap();
    let UnixTime(round_at) = drand::time_of(round);
    let Step::Say(Statement::Void(void)) = disk.live(round_at - 29_999) else { panic!("not void") };
    assert_eq!(void.round, round);
    let UnixTime(next_at) = drand::time_of(void.next_round);
    assert!((round_at + 570_000..round_at + 574_000).contains(&next_at));
    let Step::Say(Statement::Commitment(commitment)) = disk.live(next_at - 30_000) else { panic!("void") };
    assert_eq!(commitment.round, Some(void.next_round));
    assert_eq!(disk.live(next_at + 86_400_000), Step::Wait(Some(void.next_round)), "as long as it takes");
    assert!(matches!(disk.verify(), Err(DrawError::Held(_))), "all before the randomness holds");
    let late = Statement::Void(Void { round: void.next_round, next_round: void.next_round + 500, ..void });
    let late = late.seal(&disk.key);
    assert!(matches!(disk.start().unwrap().take(&late, &disk.key.verifying_key()), Err(DrawError::Void(_))));
}

proptest! {
    /// Whenever it stops, and whatever its clock does.
    #[test]
    fn stopped_at_any_moment_it_commits_once_and_loses_nobody(
        drand: bool, times in prop::collection::vec(OPENS_AT - 5_000..OPENS_AT + 2_000_000, 1..60), sorted: bool,
    ) {
        let mut times = times;
        if sorted {
            times.sort_unstable();
        }
        let mut disk = if drand { Disk::by_drand() } else { Disk::by_parties() };
        let mut committed = None;
        for now in times {
            let before = disk.log.count();
            let step = disk.live(now);
            prop_assert!(disk.commitments() <= 1);
            prop_assert_eq!(disk.log.count() > before, step == Step::Gather);
            if let Step::Say(Statement::Commitment(commitment)) = step {
                committed = Some((commitment.count, commitment.root));
            }
            if let Some((count, root)) = &committed {
                prop_assert_eq!((disk.log.count(), &hex(&disk.log.root())), (*count, root));
            }
            prop_assert!(matches!(disk.verify(), Err(DrawError::Held(_))), "{:?}", disk.verify());
        }
        if !drand && committed.is_some() {
            disk.reveal().unwrap();
            let draw = disk.verify().unwrap().draw;
            prop_assert_eq!(disk.live(0), Step::Drawn(draw));
        }
    }
}
