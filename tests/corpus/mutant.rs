//! Mutants: cases crossed, spliced and sprinkled with what parsers disagree on.

use crate::case::{Case, Then, heads};
use crate::client::Wait;

/// One connection's bytes, and when a client has heard enough.
pub(crate) struct Mutant {
    pub(crate) bytes: Vec<u8>,
    pub(crate) heads: Vec<bool>,
    pub(crate) wait: Wait,
}

/// What parsers disagree on.
const SEEDS: [&[u8]; 26] = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b"\x0b",
    b"\x85",
    b"\xa0",
    b",",
    b";",
    b":",
    b"+",
    b"0",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: x\r\n",
    b"Host: b\r\n",
    b" folded\r\n",
    b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"HTTP/1.0",
];

/// Xorshift: the same mutants each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }
}

pub(crate) fn mutants(cases: &[Case], count: usize) -> impl Iterator<Item = Mutant> {
    let mut dice = Dice(0x5eed_0f70_74e1_1000);
    // Long ones test limits, which mutation only blurs. A good one first, so that some stay good.
    let bytes = |good: bool| -> Vec<Vec<u8>> {
        let short = cases.iter().filter(|case| case.bytes.len() < 600);
        let wanted = short.filter(|case| !good || case.want.then == Then::Nothing);
        wanted.map(|case| case.bytes.clone()).collect()
    };
    let (good, pool) = (bytes(true), bytes(false));
    (0..count).map(move |_| mutant(&mut dice, &good, &pool))
}

fn mutant(dice: &mut Dice, good: &[Vec<u8>], pool: &[Vec<u8>]) -> Mutant {
    let mut bytes = good[dice.below(good.len())].clone();
    if dice.below(3) == 0 {
        bytes.extend_from_slice(&pool[dice.below(pool.len())]);
    }
    for _ in 0..dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(5) {
            0 | 1 => {
                bytes.splice(at..at, SEEDS[dice.below(SEEDS.len())].iter().copied());
            }
            2 => {
                let end = (at + 1 + dice.below(3)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            3 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u8::try_from(dice.below(256)).unwrap();
                }
            }
            _ => {
                // A line of another request.
                let other = &pool[dice.below(pool.len())];
                let lines: Vec<&[u8]> = other.split_inclusive(|byte| *byte == b'\n').collect();
                let line = lines[dice.below(lines.len())].to_vec();
                let at = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |feed| feed + 1);
                bytes.splice(at..at, line);
            }
        }
    }
    let (heads, whole, refused) = heads(&bytes);
    Mutant { bytes, heads, wait: Wait { answers: whole, close: refused } }
}
