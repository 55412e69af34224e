//! Engine A: pingora's HTTP/1 `HttpSession` over a stream of its `TransportConnector`, as a careful integrator has to use it.
//!
//! Added by hand, because the session does not: version and Host, chunked framing for a body without a length, one absolute
//! deadline of the head, and the rule that a connection is pooled only when request *and* response are finished. Reads are
//! cancel-safe, so they race with the caller's parts; writes are not, so nothing is read while a write is blocked.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use http::{HeaderValue, Version, header};
use pingora_core::connectors::{ConnectorOptions, TransportConnector};
use pingora_core::protocols::http::HttpTask;
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_core::upstreams::peer::{BasicPeer, Peer as _};

use super::exchange::{Connection, Event, Fault, Length, Listener, Order, Part};

/// Where the exchange stands, apart from the bytes.
#[derive(Default)]
struct Progress {
    request_done: bool,
    write_broken: bool,
    head_seen: bool,
    response_done: bool,
    upgraded: bool,
}

/// Pingora's connector and session towards one address.
pub(crate) struct SessionEngine {
    connector: TransportConnector,
    peer: BasicPeer,
}

impl SessionEngine {
    pub(crate) fn new(addr: SocketAddr, pool: usize) -> Self {
        Self {
            connector: TransportConnector::new(Some(ConnectorOptions::new(pool))),
            peer: BasicPeer::new(&addr.to_string()),
        }
    }

    pub(crate) async fn exchange(&self, order: Order) -> Connection {
        let mut listener = Listener::new(order.events.clone());
        if !order.method.is_idempotent() {
            // All that can be done about a close the reactor has not seen yet: give it a turn.
            tokio::task::yield_now().await;
        }
        let stream = match self.connector.get_stream(&self.peer).await {
            Ok((stream, _)) => stream,
            Err(error) => {
                listener.tell(Event::Fault(Fault::unsent(error))).await;
                return Connection::Closed;
            }
        };
        if listener.is_gone() {
            self.connector.release_stream(stream, self.peer.reuse_hash(), None);
            return Connection::Pooled;
        }
        let mut session = HttpSession::new(stream);
        let mut progress = Progress::default();
        match Self::run(&mut session, order, &mut listener, &mut progress).await {
            Ok(true) => {}
            Ok(false) => return Connection::Closed,
            Err(fault) => {
                listener.tell(Event::Fault(fault)).await;
                return Connection::Closed;
            }
        }
        let reusable = progress.request_done && progress.response_done && !progress.write_broken;
        let connection = if reusable { self.settle(session).await } else { Connection::Closed };
        listener.tell(Event::End).await;
        connection
    }

    async fn settle(&self, mut session: HttpSession) -> Connection {
        session.respect_keepalive();
        match session.reuse().await {
            Some(stream) => {
                self.connector.release_stream(stream, self.peer.reuse_hash(), None);
                Connection::Pooled
            }
            None => Connection::Closed,
        }
    }

    async fn run(
        session: &mut HttpSession,
        order: Order,
        listener: &mut Listener,
        progress: &mut Progress,
    ) -> Result<bool, Fault> {
        let Order { method, path, headers, length, head_deadline, mut parts, .. } = order;
        let mut request =
            http::Request::builder().method(method).uri(path).version(Version::HTTP_11).body(()).unwrap();
        *request.headers_mut() = headers;
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("service.example"));
        match length {
            Length::Empty => progress.request_done = true,
            Length::Known(bytes) => {
                request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
            }
            Length::Unknown => {
                request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
        }
        session
            .write_request_header(Box::new(request.into_parts().0.into()))
            .await
            .map_err(Fault::maybe_sent)?;
        let mut deadline = pin!(tokio::time::sleep(head_deadline));
        while !progress.response_done {
            let open = (!progress.request_done || progress.upgraded) && !progress.write_broken;
            tokio::select! {
                () = &mut deadline, if !progress.head_seen => return Err(Fault::maybe_sent("head deadline")),
                part = parts.recv(), if open => {
                    if !write(session, part, progress).await {
                        return Ok(false);
                    }
                }
                task = session.read_response_task() => {
                    let task = task.map_err(Fault::maybe_sent)?;
                    if !hear(task, listener, progress).await {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// One bare GET whose answer is counted and thrown away: what the load measures.
    pub(crate) async fn fetch(&self, path: &'static str) -> usize {
        let (stream, _) = self.connector.get_stream(&self.peer).await.unwrap();
        let (stream, bytes) = Self::fetch_on(stream, path).await;
        self.connector.release_stream(stream.unwrap(), self.peer.reuse_hash(), None);
        bytes
    }

    async fn fetch_on(
        stream: pingora_core::protocols::Stream,
        path: &'static str,
    ) -> (Option<pingora_core::protocols::Stream>, usize) {
        let mut session = HttpSession::new(stream);
        let mut request = http::Request::builder().uri(path).version(Version::HTTP_11).body(()).unwrap();
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("service.example"));
        session.write_request_header(Box::new(request.into_parts().0.into())).await.unwrap();
        let mut bytes = 0;
        tokio::time::timeout(Duration::from_secs(30), async {
            session.read_response().await.unwrap();
            while let Some(data) = session.read_body_bytes().await.unwrap() {
                bytes += data.len();
            }
        })
        .await
        .unwrap();
        session.respect_keepalive();
        (session.reuse().await, bytes)
    }

    /// Opens `count` connections at the same time, uses each once and leaves them idle in the pool.
    pub(crate) async fn fill(&self, count: usize, path: &'static str) {
        let mut idle = Vec::with_capacity(count);
        for _ in 0..count {
            let stream = self.connector.new_stream(&self.peer).await.unwrap();
            idle.push(Self::fetch_on(stream, path).await.0.unwrap());
        }
        for stream in idle {
            self.connector.release_stream(stream, self.peer.reuse_hash(), None);
        }
    }
}

/// Sends a part; false if the upload was abandoned and the exchange with it.
async fn write(session: &mut HttpSession, part: Option<Part>, progress: &mut Progress) -> bool {
    let sent = match part {
        None => return false,
        Some(Part::Data(data)) => {
            if progress.upgraded {
                session.maybe_upgrade_body_writer();
            }
            session.write_body(&data).await.map(drop)
        }
        // The session has no way to write trailers: they are lost here.
        Some(Part::Trailers(_)) => Ok(()),
        Some(Part::End) => {
            progress.request_done = true;
            session.finish_body().await.map(drop)
        }
    };
    // A refusal may stand in the receive buffer although the upstream stopped reading, so read on.
    progress.write_broken |= sent.is_err();
    true
}

/// Passes a piece of the answer on; false if the rest is not worth reading.
async fn hear(task: HttpTask, listener: &mut Listener, progress: &mut Progress) -> bool {
    match task {
        HttpTask::Header(head, end) => {
            if head.status.is_informational() && head.status != http::StatusCode::SWITCHING_PROTOCOLS {
                return listener.tell(Event::Early(head.status)).await;
            }
            progress.head_seen = true;
            progress.upgraded = head.status == http::StatusCode::SWITCHING_PROTOCOLS;
            progress.response_done = end;
            listener.tell(Event::Head(head.status)).await
        }
        HttpTask::Body(data, end) | HttpTask::UpgradedBody(data, end) => {
            progress.response_done = end;
            match data {
                Some(data) => listener.tell(Event::Data(data)).await,
                None => true,
            }
        }
        HttpTask::Trailer(Some(trailers)) => listener.tell(Event::Trailers(*trailers)).await,
        HttpTask::Trailer(None) => true,
        HttpTask::Done => {
            progress.response_done = true;
            true
        }
        HttpTask::Failed(_) => false,
    }
}
