//! What somebody hears who finds no place: a page and when to come back, instead of a closed door.
//!
//! It is the same for everybody, whatever was asked; but it waits for the head of a request, because
//! clients take no answer to a question that they did not put. It costs a spare file for at most
//! `TIME`. On an encrypted port a handshake would cost more than a place: there the door just closes.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::caps::Spare;
use crate::pages::{Language, Reason, RetryAfter};
use crate::proxy::Proxy;

/// Longest time that the whole of it may take.
const TIME: Duration = Duration::from_secs(1);
/// Most bytes of a request that are read and thrown away, so that the client sees our answer and not a
/// reset.
const DISCARD_MAX: u64 = 64 * 1024;
/// Longest head that is waited for.
const HEAD_MAX: usize = 32 * 1024;

/// Says that there is no place, and closes.
pub async fn turn_away(mut stream: TcpStream, proxy: Arc<Proxy>, spare: Spare) {
    let telling = async {
        if !has_asked(&mut stream).await? {
            return Ok(0);
        }
        stream.write_all(&words(&proxy)).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(DISCARD_MAX), &mut tokio::io::sink()).await
    };
    // A client that does not listen is no news.
    let _ = tokio::time::timeout(TIME, telling).await;
    drop(spare);
}

/// Reads up to the end of a head.
async fn has_asked(stream: &mut TcpStream) -> std::io::Result<bool> {
    let (mut head, mut buffer) = (Vec::new(), [0; 2_048]);
    while head.len() < HEAD_MAX {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(false);
        }
        head.extend_from_slice(buffer.get(..length).unwrap_or_default());
        if head.windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn words(proxy: &Proxy) -> Vec<u8> {
    let pages = &proxy.live.load_full().pages;
    let (head, body) =
        pages.notice(Reason::Saturated, Language::DEFAULT, "", Some(RetryAfter::DEFAULT)).into_parts();
    let mut out = format!("HTTP/1.1 {}\r\nconnection: close\r\n", head.status).into_bytes();
    for (name, value) in head.headers.iter().filter(|(name, _)| **name != http::header::CONTENT_LENGTH) {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(&body);
    out
}
