//! Sockets towards the crowd: listening, caps, PROXY protocol, TLS, frame guard, deadlines, drain.

pub mod ahead;
pub mod caps;
pub mod frames;
pub mod guard;
pub mod head;
pub mod http1;
pub mod http2;
pub mod idle;
pub mod key_files;
pub mod linger;
pub mod listen;
pub mod pace;
pub mod proxy_header;
pub mod serve;
pub mod tls;
pub mod turn;
pub mod turn_away;

pub use caps::{Caps, RESERVED_FILES, open_files, open_files_max, raise_open_files};
pub use listen::{ListenError, bind};
pub use serve::{Crowd, accept, stopped};
