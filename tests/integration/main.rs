//! The gateway over real sockets: as a library where a test looks inside, as a process where the
//! process is what is tested. Port 0 everywhere; tests wait on values, not on durations.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is its purpose"
)]

mod daemon;
mod scripted;
mod slots;
mod stage;
mod upstreams;

mod accept;
mod balancers;
mod books;
mod browser;
mod caches;
mod ceremony;
mod certificates;
mod circuit;
mod disk;
mod door;
mod draw;
mod faults;
mod forwarding;
mod framing;
mod front;
mod grpc;
mod handoff;
mod heads;
mod helpdesk;
mod hostile;
mod hostile2;
mod http2;
mod injection;
mod invitations;
mod isolation;
mod isolation_marks;
mod kills;
mod lanes;
mod limits;
mod lots;
mod nginx;
mod opening;
mod panics;
mod pass;
mod paths;
mod people;
mod permits;
mod places;
mod process;
mod proxy_protocol;
mod queue;
mod quiet;
mod reload;
mod samples;
mod stale;
mod storm;
mod streams;
mod tidy;
mod tls;
mod tunnels;
mod upstream;
mod waiting;
mod webhook;
