//! The upstream: so many workers behind one FIFO, as overloaded services are. Like them it goes on
//! working when the gateway before it is killed, and it can hang.

use std::collections::VecDeque;

/// One request, by its sender and by the life of the gateway that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Job {
    pub(crate) person: usize,
    pub(crate) life: u32,
}

#[derive(Default)]
pub(crate) struct Upstream {
    pub(crate) workers: usize,
    pub(crate) busy: usize,
    pub(crate) served: u64,
    pub(crate) unfinished: u32,
    queue: VecDeque<Job>,
}

impl Upstream {
    pub(crate) fn new(workers: usize) -> Self {
        Self { workers, ..Self::default() }
    }

    /// Takes a request in; returns it if a worker begins at once.
    pub(crate) fn take(&mut self, job: Job) -> Option<Job> {
        self.unfinished += 1;
        if self.busy < self.workers {
            self.busy += 1;
            return Some(job);
        }
        self.queue.push_back(job);
        None
    }

    /// A worker is done; returns what it begins next.
    pub(crate) fn finish(&mut self, job: Job, life: u32) -> Option<Job> {
        self.served += 1;
        if job.life == life {
            self.unfinished -= 1;
        }
        let next = self.queue.pop_front();
        if next.is_none() {
            self.busy -= 1;
        }
        next
    }

    /// The gateway is another process now; what the old one sent is not its own.
    pub(crate) fn gateway_died(&mut self) {
        self.unfinished = 0;
    }
}
