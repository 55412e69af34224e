//! What a browser without scripts sends to the desk, and whether it was our own page that sent it.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use serde::Deserialize;

use super::super::asked::Asked;
use crate::pages::{Language, Reason, ReturnPath, query_value};

/// Longest form that is read.
const FORM_MAX: usize = 4 * 1024;
/// Longest time that sending one may take.
const FORM_TIME: std::time::Duration = std::time::Duration::from_secs(2);

/// A page of another site must not take or use up somebody's place.
pub(super) fn is_cross_site(fields: &HeaderMap, asked: &Asked) -> bool {
    let field = |name: &str| fields.get(name).and_then(|value| value.to_str().ok());
    if field("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return true;
    }
    let foreign = |origin: &str| {
        let host = origin.split_once("://").map_or("", |(_, rest)| rest);
        let host = host.parse::<http::uri::Authority>();
        host.map_or(true, |host| !host.host().eq_ignore_ascii_case(&asked.host))
    };
    field("origin").is_some_and(foreign)
}

/// What a form without JavaScript says.
pub(super) struct Form {
    /// Where to go when inside: its `return` field, else the page that it stood on.
    pub(super) back: ReturnPath,
    /// The language in which it was read.
    pub(super) language: Option<Language>,
    /// The ticket, where the browser keeps no cookies; empty if there is none yet.
    pub(super) code: Option<String>,
    /// The code of an invitation.
    pub(super) invitation: Option<String>,
    /// A word by which the same form is known when it is sent again.
    pub(super) word: Option<String>,
}

/// What a small body says: a form, or the words of a program.
#[derive(Default)]
pub(super) struct Sent {
    /// A form, if it is one.
    pub(super) form: Option<Form>,
    /// When the slot begins that its sender was offered, in milliseconds since 1970.
    pub(super) from_ms: Option<u64>,
}

/// What a program may say.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Words {
    from_ms: Option<u64>,
}

/// Reads a form, if one was asked for, else JSON. Any other small body is read and dropped, so that the
/// connection can be kept.
pub(super) async fn read_form<B>(request: Request<B>, form: bool) -> Result<Sent, Reason>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, bytes) = read_small(request).await?;
    if !form {
        let from_ms = serde_json::from_slice(&bytes).map_or(None, |words: Words| words.from_ms);
        return Ok(Sent { form: None, from_ms });
    }
    let text = String::from_utf8_lossy(&bytes);
    let named = query_value(&text, "return").and_then(|path| ReturnPath::parse(&path));
    let back = named.or_else(|| ReturnPath::of_page(&parts.headers)).unwrap_or_default();
    let language = query_value(&text, "lang").and_then(|tag| Language::from_tag(&tag));
    let code = query_value(&text, "code").map(|code| code.trim().to_owned());
    let from_ms = query_value(&text, "from_ms").and_then(|ms| ms.parse().ok());
    let invitation = query_value(&text, "invitation").filter(|code| !code.trim().is_empty());
    let word = query_value(&text, "try");
    Ok(Sent { form: Some(Form { back, language, code, invitation, word }), from_ms })
}

/// Reads a small body whole.
pub(super) async fn read_small<B>(request: Request<B>) -> Result<(Parts, Bytes), Reason>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let reading = Limited::new(body, FORM_MAX).collect();
    let read = tokio::time::timeout(FORM_TIME, reading).await.map_err(|_| Reason::BadRequest)?;
    Ok((parts, read.map_err(|_| Reason::TooLarge)?.to_bytes()))
}
