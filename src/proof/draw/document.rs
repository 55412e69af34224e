//! A whole draw in one text, a statement a line, and all that must hold of it.

use std::collections::HashMap;
use std::fmt;

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

use super::ceremony::Ceremony;
use super::commitment::Commitment;
use super::rules::{self, OneLotPer, Rules};
use super::{DrawError, Signed};
use crate::admission::draw::log::{JoinLog, Leaf};
use crate::admission::draw::{Draw, Fixed};
use crate::proof::receipt::Receipt;
use crate::proof::{from_hex, hex};

/// How the line of one who came begins.
const TICKET: &str = r#"{"ticket":"#;

/// So much is shown of what the rules say people are known by, characters.
const NAMED_MAX: usize = 200;

/// One who came, as a line tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    /// Index in the log.
    pub ticket: u32,
    /// The leaf, in hex: the hash that receipts name a ticket by.
    pub leaf: String,
    /// The number that was drawn.
    pub number: u64,
}

/// What somebody kept from before, and the draw must agree with.
#[derive(Clone, Debug, Default)]
pub struct Kept<'a> {
    /// The rules of the draw.
    pub rules: Option<&'a str>,
    /// A commitment.
    pub commitment: Option<&'a str>,
}

/// A draw in which everything holds.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Its rules.
    pub rules: Signed<Rules>,
    /// What was committed to.
    pub commitment: Commitment,
    /// How it was decided.
    pub draw: Draw,
    /// Those who came, by leaf.
    indices: HashMap<Leaf, u32>,
}

impl Verified {
    /// Index and number of the ticket that a receipt is about.
    ///
    /// # Errors
    /// [`DrawError`]: it is about another room, it is not among those drawn, or it tells another number.
    pub fn place_of(&self, receipt: &Receipt) -> Result<(u32, u64), DrawError> {
        let unreadable = |why: &str| DrawError::Unreadable { what: "receipt", why: why.to_owned() };
        if (receipt.room.as_str(), receipt.epoch) != (self.rules.said.room.as_str(), self.rules.said.epoch) {
            return Err(unreadable("it is about another room or epoch"));
        }
        let leaf = from_hex(&receipt.leaf).ok_or_else(|| unreadable("its leaf is not 32 bytes of hex"))?;
        let index = self.indices.get(&leaf).copied().ok_or(DrawError::NotDrawn)?;
        let drawn = self.draw.number(index).ok_or(DrawError::NotDrawn)?;
        match receipt.number {
            0 => Ok((index, drawn)),
            told if told == drawn => Ok((index, drawn)),
            told => Err(DrawError::Number { index, told, drawn }),
        }
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Commitment { room, count, root, round, .. } = &self.commitment;
        write!(f, "{count} tickets of room {room} (epoch {}), ", self.rules.said.epoch)?;
        if self.rules.said.one_lot_per == OneLotPer::Person {
            let by: String = self.rules.said.identified_by.join(" or ").chars().take(NAMED_MAX).collect();
            // Who is one person is known to the gateway alone: a commitment shows leaves.
            let by = by.escape_debug();
            write!(f, "by the signer's word, not checked, one for each person by \"{by}\", ")?;
        }
        match round {
            Some(round) => write!(f, "drawn by round {round} of drand")?,
            None => f.write_str("drawn by the secrets of all parties")?,
        }
        write!(f, "; rules {}, root {root}, seed {}", hex(&self.rules.hash), hex(&self.draw.seed))
    }
}

/// Checks a whole draw by the key that its gateway published, and by what somebody `kept`.
///
/// # Errors
/// [`DrawError`]: the first thing that does not hold.
pub fn verify(text: &str, key: &VerifyingKey, kept: &Kept<'_>) -> Result<Verified, DrawError> {
    let mut lines = text.lines().peekable();
    let mut ceremony = Ceremony::open(lines.next().unwrap_or_default(), key)?;
    if let Some(kept) = kept.rules
        && rules::verify(kept, key)?.hash != ceremony.rules().hash
    {
        return Err(DrawError::ChangedRules);
    }
    while let Some(statement) = lines.next_if(|line| !line.starts_with(TICKET)) {
        ceremony.take(statement, key)?;
    }
    if let Some(kept) = kept.commitment {
        ceremony.is_the_one(kept, key)?;
    }
    let (commitment, draw) = ceremony.decided()?;
    let (rules, commitment) = (ceremony.rules().clone(), commitment.clone());
    let tickets = tickets(lines)?;
    let indices = check_log(&tickets, &commitment.fixed(rules.hash)?)?;
    for ((_, told), (index, drawn)) in tickets.iter().zip((0..).zip(draw.numbers())) {
        if *told != drawn {
            return Err(DrawError::Number { index, told: *told, drawn });
        }
    }
    Ok(Verified { rules, commitment, draw, indices })
}

/// Those who came: leaf and number, by index.
fn tickets<'t>(lines: impl Iterator<Item = &'t str>) -> Result<Vec<(Leaf, u64)>, DrawError> {
    let unreadable = |why: String| DrawError::Unreadable { what: "tickets", why };
    let mut tickets = Vec::new();
    for (line, index) in lines.zip(0_u32..) {
        let Drawn { ticket, leaf, number } =
            serde_json::from_str(line).map_err(|error| unreadable(format!("ticket {index}: {error}")))?;
        match ticket.cmp(&index) {
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Less => return Err(DrawError::Doubled(ticket)),
            std::cmp::Ordering::Greater => return Err(DrawError::Dropped(index)),
        }
        let leaf = from_hex(&leaf)
            .ok_or_else(|| unreadable(format!("ticket {index}: its leaf is not 32 bytes of hex")))?;
        tickets.push((leaf, number));
    }
    Ok(tickets)
}

/// Whether these are those who were committed to; returns their indices, by leaf.
fn check_log(tickets: &[(Leaf, u64)], fixed: &Fixed) -> Result<HashMap<Leaf, u32>, DrawError> {
    let mut indices = HashMap::with_capacity(tickets.len());
    let mut log = JoinLog::default();
    for ((leaf, _), index) in tickets.iter().zip(0..) {
        if indices.insert(*leaf, index).is_some() {
            return Err(DrawError::Doubled(index));
        }
        if log.append(*leaf).is_err() {
            break;
        }
    }
    if log.count() != fixed.count {
        return Err(DrawError::Count { listed: log.count(), committed: fixed.count });
    }
    if log.root() == fixed.root { Ok(indices) } else { Err(DrawError::Root) }
}

/// The lines of those who came.
pub fn lines<'a>(log: &'a JoinLog, draw: &Draw) -> impl Iterator<Item = String> + use<'a> {
    log.leaves()
        .iter()
        .zip(draw.numbers())
        .zip(0_u32..)
        .map(|((leaf, number), ticket)| line(ticket, leaf, number))
}

/// The line of one of those who came.
#[must_use]
pub fn line(ticket: u32, leaf: &Leaf, number: u64) -> String {
    format!(r#"{TICKET}{ticket},"leaf":"{}","number":{number}}}"#, hex(leaf))
}

#[cfg(test)]
mod tests;
