//! One exchange over a hyper connection: the request out, the answer in, or the tunnel after a switch of protocols.

use std::sync::atomic::Ordering::Relaxed;

use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::exchange::{Event, Fault, Length, Listener, Order, Part};
use super::upload::Upload;

/// How an exchange that met no fault ended.
pub(crate) enum Upshot {
    Whole { reusable: bool },
    Abandoned,
}

pub(crate) async fn run(
    sender: &mut SendRequest<Upload>,
    order: Order,
    listener: &mut Listener,
) -> Result<Upshot, Fault> {
    let Order { method, path, headers, length, head_deadline, parts, .. } = order;
    let (body, mut parts) = match length {
        Length::Empty => (Upload::empty(), Some(parts)),
        Length::Known(bytes) => (Upload::new(parts, Some(bytes)), None),
        Length::Unknown => (Upload::new(parts, None), None),
    };
    let upload = body.ended();
    let mut request = http::Request::builder().method(method).uri(path).body(body).unwrap();
    *request.headers_mut() = headers;
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("service.example"));
    let early = listener.sender();
    // The callback cannot wait; an informational head beyond the channel's room is dropped.
    hyper::ext::on_informational(&mut request, move |response| {
        drop(early.try_send(Event::Early(response.status())))
    });
    let answer = tokio::time::timeout(head_deadline, sender.try_send_request(request)).await;
    let mut response = match answer {
        Err(_) => return Err(Fault::maybe_sent("head deadline")),
        Ok(Err(mut error)) => {
            let given_back = error.take_message().is_some();
            return Err(Fault { unsent: given_back, ..Fault::maybe_sent(describe(error.error())) });
        }
        Ok(Ok(response)) => response,
    };
    if !listener.tell(Event::Head(response.status())).await {
        return Ok(Upshot::Abandoned);
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let upgraded =
            hyper::upgrade::on(&mut response).await.map_err(|error| Fault::maybe_sent(describe(&error)))?;
        if let Some(parts) = parts.take() {
            tunnel(TokioIo::new(upgraded), parts, listener).await;
        }
        return Ok(Upshot::Abandoned);
    }
    while let Some(frame) = response.body_mut().frame().await {
        let frame = frame.map_err(|error| Fault::maybe_sent(describe(&error)))?;
        let event = match frame.into_data() {
            Ok(data) => Event::Data(data),
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => Event::Trailers(trailers),
                Err(_) => continue,
            },
        };
        if !listener.tell(event).await {
            return Ok(Upshot::Abandoned);
        }
    }
    Ok(Upshot::Whole { reusable: upload.load(Relaxed) })
}

/// Moves bytes both ways at once; ends when either side does.
async fn tunnel(io: impl AsyncRead + AsyncWrite, mut parts: mpsc::Receiver<Part>, listener: &mut Listener) {
    let (mut read, mut write) = tokio::io::split(io);
    let up = async {
        while let Some(Part::Data(data)) = parts.recv().await {
            if write.write_all(&data).await.is_err() {
                break;
            }
        }
    };
    let down = async {
        let mut buffer = bytes::BytesMut::new();
        loop {
            buffer.reserve(16 * 1024);
            match read.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {
                    if !listener.tell(Event::Data(buffer.split().freeze())).await {
                        break;
                    }
                }
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

fn describe(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
