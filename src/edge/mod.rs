//! Sockets towards the crowd: listening, caps, deadlines, drain.

pub mod caps;
pub mod http1;
pub mod idle;
pub mod listen;
pub mod serve;
pub mod stall;
pub mod turn_away;

pub use caps::{Caps, RESERVED_FILES, open_files, open_files_max, raise_open_files};
pub use listen::{ListenError, bind};
pub use serve::{Crowd, accept, stopped};
