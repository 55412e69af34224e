//! Judges the raw bytes of HTTP/1 requests before the engine reads them. Bytes in, verdicts out: no
//! clock, no socket, no memory of its own.
//!
//! The engine is lenient where two readers of one stream may disagree: it takes a bare LF for a line
//! end and lets `Transfer-Encoding` win over `Content-Length`. An upstream that reads the same bytes
//! in another way sees other requests than we admitted, so whatever can be read in two ways ends the
//! connection. What is taken although RFC 9112 would allow a refusal is listed in [`LENIENCIES`].

pub mod answer;
pub mod chunks;
pub mod field;
pub mod flow;
pub mod judge;
pub mod refusal;
pub mod scan;
pub mod target;

pub use flow::{Flow, Step, verdicts};
pub use judge::{Framing, Limits};
pub use refusal::Refusal;

/// What is taken although a stricter reader might refuse it. The corpus asserts each of them.
pub const LENIENCIES: [&str; 4] = [
    // RFC 9112 §2.2: a server should ignore at least one empty line before the request line.
    "one empty line (CRLF) before a request line",
    // Browsers send these unescaped (WHATWG URL), though RFC 3986 has no place for them.
    "`[`, `]` and `|` in the path, and `{`, `}`, `\\`, `^` and a backtick in the query as well",
    // RFC 9112 §7.1.1: bad whitespace, which a recipient must parse.
    "spaces and tabs before the `;` of a chunk extension",
    // RFC 9110 §5.5: obs-text is opaque data; old clients put ISO 8859-1 into fields.
    "bytes from 0x80 in field values",
];
