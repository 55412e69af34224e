//! The gateway as a process and as a library, over real sockets.

mod browser;
