//! Sockets towards the crowd: listening, caps, deadlines, drain.

pub mod caps;
pub mod guard;
pub mod head;
pub mod http1;
pub mod listen;
pub mod serve;
pub mod stall;
pub mod turn;

pub use caps::{Caps, open_files_max, raise_open_files};
pub use listen::{ListenError, bind};
pub use serve::{Crowd, accept, stopped};
