//! One connection's bytes: heads and bodies in turn.

use super::chunks::Chunks;
use super::field::trailers;
use super::judge::{Framing, Limits, judge, overlong};
use super::refusal::Refusal;
use super::scan::Scan;

/// Longest trailer section; the engine's own bound is twice that.
const TRAILERS_MAX: usize = 8 * 1024;

/// Reads requests off a stream of bytes, one at a time.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    limits: Limits,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Head(Scan),
    Length(u64),
    Chunks(Chunks),
    Trailers(Scan),
    Over,
}

/// What the bytes at hand are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many from the front are good, at least one: take them off.
    Pass(usize),
    /// Nothing can be said before more come: keep them.
    More,
    /// A fault. No byte of this connection is to be read any more.
    Refuse(Refusal),
}

impl Flow {
    /// Before the first request.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, stage: Stage::Head(Scan::head()) }
    }

    /// Looks at `bytes`: those that were kept, and more. A head or a trailer section passes whole or
    /// not at all; nothing passes once the request is over.
    pub fn advance(&mut self, bytes: &[u8]) -> Step {
        if bytes.is_empty() {
            return Step::More;
        }
        match self.step(bytes) {
            Ok(0) => Step::More,
            Ok(length) => Step::Pass(length),
            Err(refusal) => Step::Refuse(refusal),
        }
    }

    fn step(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        match &mut self.stage {
            Stage::Head(scan) => {
                let Some(length) = scan.find(bytes, self.limits.head)? else {
                    return if bytes.len() < self.limits.head {
                        Ok(0)
                    } else {
                        Err(overlong(bytes.get(..self.limits.head).unwrap_or(bytes), &self.limits))
                    };
                };
                let head = bytes.get(..length).unwrap_or(bytes);
                self.stage = match judge(head, &self.limits)? {
                    Framing::Length(0) => Stage::Over,
                    Framing::Length(left) => Stage::Length(left),
                    Framing::Chunked => Stage::Chunks(Chunks::default()),
                };
                Ok(length)
            }
            Stage::Length(left) => {
                let here = u64::try_from(bytes.len()).unwrap_or(u64::MAX).min(*left);
                *left -= here;
                if *left == 0 {
                    self.stage = Stage::Over;
                }
                Ok(usize::try_from(here).unwrap_or(usize::MAX))
            }
            Stage::Chunks(chunks) => {
                let length = chunks.advance(bytes)?;
                if chunks.at_trailers() {
                    self.stage = Stage::Trailers(Scan::trailers());
                }
                Ok(length)
            }
            Stage::Trailers(scan) => {
                let found = scan.find(bytes, TRAILERS_MAX).map_err(|_| Refusal::Trailer)?;
                let Some(length) = found else {
                    return if bytes.len() < TRAILERS_MAX { Ok(0) } else { Err(Refusal::Trailer) };
                };
                trailers(bytes.get(..length).unwrap_or(bytes), self.limits.fields)?;
                self.stage = Stage::Over;
                Ok(length)
            }
            Stage::Over => Ok(0),
        }
    }

    /// A head is under way, or awaited.
    #[must_use]
    pub fn at_head(&self) -> bool {
        matches!(self.stage, Stage::Head(_))
    }

    /// The request has been read whole.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Bytes of a body whose length was declared that are still to come.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        if let Stage::Length(left) = self.stage { Some(left) } else { None }
    }

    /// Goes on to the next request.
    pub fn next(&mut self) {
        debug_assert!(self.is_over(), "a request was left in the middle");
        self.stage = Stage::Head(Scan::head());
    }
}

/// What a whole stream of bytes holds: the length of each head and of its body on the wire, and the
/// fault that ends it, if one does.
#[must_use]
pub fn verdicts(mut bytes: &[u8], limits: Limits) -> (Vec<(usize, usize)>, Option<Refusal>) {
    let (mut flow, mut requests) = (Flow::new(limits), Vec::new());
    loop {
        let head = flow.at_head();
        match flow.advance(bytes) {
            Step::Pass(length) => {
                if head {
                    requests.push((length, 0));
                } else if let Some((_, body)) = requests.last_mut() {
                    *body += length;
                }
                bytes = bytes.get(length..).unwrap_or_default();
            }
            Step::More => return (requests, None),
            Step::Refuse(refusal) => return (requests, Some(refusal)),
        }
        if flow.is_over() {
            flow.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { head: 256, target: 64, fields: 8 };

    /// The same bytes, handed over in pieces.
    fn in_pieces(pieces: &[&[u8]]) -> (Vec<(usize, usize)>, Option<Refusal>) {
        let (mut flow, mut requests, mut kept) = (Flow::new(LIMITS), Vec::new(), Vec::new());
        for piece in pieces {
            kept.extend_from_slice(piece);
            loop {
                let head = flow.at_head();
                match flow.advance(&kept) {
                    Step::Pass(length) if head => {
                        requests.push((length, 0));
                        kept.drain(..length);
                    }
                    Step::Pass(length) => {
                        requests.last_mut().unwrap().1 += length;
                        kept.drain(..length);
                    }
                    Step::More => break,
                    Step::Refuse(refusal) => return (requests, Some(refusal)),
                }
                if flow.is_over() {
                    flow.next();
                }
            }
        }
        (requests, None)
    }

    /// Requests, good and bad, and scraps of them.
    fn scraps() -> impl Strategy<Value = Vec<u8>> {
        let scrap = prop::sample::select(vec![
            "GET / HTTP/1.1\r\n",
            "POST /a?b HTTP/1.1\r\n",
            "Host: a\r\n",
            "Host: a\r\n",
            "Content-Length: 5\r\n",
            "Content-Length: +5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "X: y\r\n",
            "\r\n",
            "\r\n",
            "hello",
            "5\r\nhello\r\n",
            "0\r\n\r\n",
            "0\r\nX: y\r\n\r\n",
            "5;x=y\r\nhello\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            "\n",
            "\r",
            "\0",
            " ",
            ":",
        ]);
        let noise = prop::collection::vec(any::<u8>(), 1..4);
        let piece = prop_oneof![12 => scrap.prop_map(|text| text.as_bytes().to_vec()), 1 => noise];
        prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
    }

    /// How the engine frames a body, by its own parser.
    fn engine_head(bytes: &[u8]) -> Option<usize> {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        match httparse::Request::new(&mut fields).parse(bytes) {
            Ok(httparse::Status::Complete(length)) => Some(length),
            _ => None,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_verdict_does_not_depend_on_how_the_bytes_come(
            bytes in scraps(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let whole = verdicts(&bytes, LIMITS);
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(&in_pieces(&pieces), &whole);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&in_pieces(&single), &whole);
        }

        #[test]
        fn the_engine_reads_each_passed_head_as_one_of_the_same_length(bytes in scraps()) {
            let (requests, _) = verdicts(&bytes, LIMITS);
            let mut at = 0;
            for (head, body) in requests {
                prop_assert_eq!(engine_head(&bytes[at..]), Some(head));
                at += head + body;
            }
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = verdicts(&bytes, LIMITS);
            let _ = verdicts(&[b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", &bytes[..]].concat(), LIMITS);
        }
    }

    #[test]
    fn requests_follow_each_other() {
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\r\n\
            POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\nGET /\n";
        let (requests, refusal) = verdicts(bytes, LIMITS);
        assert_eq!(requests, [(27, 0), (47, 2), (58, 17)]);
        assert_eq!(refusal, Some(Refusal::BareLf));
    }

    #[test]
    fn a_head_may_be_as_long_as_the_limit_and_no_longer() {
        let padded = |length: usize| {
            let fixed = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(length - fixed))
        };
        for (length, refusal) in [(255, None), (256, None), (257, Some(Refusal::HeadTooLong))] {
            assert_eq!(verdicts(padded(length).as_bytes(), LIMITS).1, refusal, "{length}");
        }
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(300));
        assert_eq!(verdicts(long.as_bytes(), LIMITS).1, Some(Refusal::TargetTooLong));
    }
}
