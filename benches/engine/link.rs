//! One connection under hyper, and who polls it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use hyper::client::conn::http1::SendRequest;
use tokio::task::JoinHandle;

use super::upload::Upload;
use tornello::proxy::wire::{Socket, Written};

pub(crate) type Driving = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// Who polls hyper's connection.
pub(crate) enum Driver {
    Task(JoinHandle<()>),
    Own(Option<Driving>),
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Self::Task(task) = self {
            task.abort();
        }
    }
}

/// One connection and hyper's two halves of it.
pub(crate) struct Link {
    pub(crate) sender: SendRequest<Upload>,
    pub(crate) driver: Driver,
    pub(crate) written: Arc<Written>,
    pub(crate) socket: Option<Socket>,
}

/// Runs `work` to its end, polling the connection beside it where nobody else does.
pub(crate) async fn drive<T>(driver: &mut Driver, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        let Driver::Own(driving) = &mut *driver else { return Poll::Pending };
        let Some(connection) = driving else { return Poll::Pending };
        if connection.as_mut().poll(context).is_ready() {
            *driving = None;
        }
        // What the connection has just delivered is taken in this turn, not after another trip through the scheduler.
        work.as_mut().poll(context)
    })
    .await
}
