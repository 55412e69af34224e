//! Sockets towards the crowd: listening, caps, deadlines, drain.

pub mod caps;
pub mod http1;
pub mod linger;
pub mod listen;
pub mod pace;
pub mod serve;

pub use caps::{Caps, open_files_max, raise_open_files};
pub use listen::{ListenError, bind};
pub use serve::{Crowd, accept, stopped};
