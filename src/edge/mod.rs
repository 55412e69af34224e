//! Sockets towards the crowd: listening, caps, PROXY protocol, TLS, deadlines, drain.

pub mod activity;
pub mod ahead;
pub mod caps;
pub mod http1;
pub mod http2;
pub mod idle;
pub mod key_files;
pub mod listen;
pub mod proxy_header;
pub mod serve;
pub mod stall;
pub mod tls;
pub mod turn_away;

pub use caps::{Caps, RESERVED_FILES, open_files, open_files_max, raise_open_files};
pub use listen::{ListenError, bind};
pub use serve::{Crowd, accept, stopped};
