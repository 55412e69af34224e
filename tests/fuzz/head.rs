//! The guard of HTTP/1 heads: what it passes the engine's parser reads as one head of the same length,
//! and no two ways of cutting the bytes lead to two verdicts.

use tornello::edge::head::{Flow, Limits, Step, verdicts};

const LIMITS: Limits = Limits { head: 8 * 1024, target: 1024, fields: 64 };

/// All of it is a connection's bytes; the first byte also says where they are cut.
pub(crate) fn run(bytes: &[u8]) {
    let (requests, refusal) = verdicts(bytes, LIMITS);
    let mut at = 0;
    for (head, body) in &requests {
        let mut fields = [httparse::EMPTY_HEADER; 128];
        let mut request = httparse::Request::new(&mut fields);
        let read = request.parse(&bytes[at..at + head]);
        assert_eq!(read, Ok(httparse::Status::Complete(*head)), "the engine reads it otherwise");
        assert!(bytes[at..at + head].ends_with(b"\r\n\r\n") && bytes.len() >= at + head + body);
        at += head + body;
    }
    let cut = bytes.first().map_or(1, |byte| usize::from(*byte % 7) + 1);
    assert_eq!(in_pieces(bytes, cut), (requests.len(), refusal), "cut into {cut}");
}

/// The same, from bytes that come `cut` at a time: how many heads, and what ended them.
fn in_pieces(bytes: &[u8], cut: usize) -> (usize, Option<tornello::edge::head::Refusal>) {
    let (mut flow, mut heads) = (Flow::new(LIMITS), 0);
    let (mut from, mut to) = (0, 0);
    loop {
        let head = flow.at_head();
        match flow.advance(&bytes[from..to]) {
            Step::Pass(length) => {
                heads += usize::from(head);
                from += length;
                if flow.is_over() {
                    flow.next();
                }
            }
            Step::More if to == bytes.len() => return (heads, None),
            Step::More => to = (to + cut).min(bytes.len()),
            Step::Refuse(refusal) => return (heads, Some(refusal)),
        }
    }
}
