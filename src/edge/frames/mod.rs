//! The frame guard below the HTTP/2 parser: counts what floods a connection, before and beside what the
//! parser itself refuses. Pure core (`split`, `judge`), and the stream around it (`guard`).

mod guard;
mod judge;
mod split;

pub use guard::Guard;
pub use judge::{Abuse, Judge};
pub use split::{Frame, Split};
