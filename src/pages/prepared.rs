//! A response that is ready: status, fields and shared bytes. Handing it out formats and compresses
//! nothing; it only writes `Retry-After`.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    REFERRER_POLICY, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use sha2::{Digest, Sha256};

use super::language::Language;
use super::retry_after::RetryAfter;

#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Prepared {
    /// The response, to be handed out again.
    pub(super) fn response(&self, retry: Option<RetryAfter>) -> Response<Bytes> {
        self.clone().into_response(retry)
    }

    /// The response; `Retry-After` stands on 429 and 503 only, where it means something, and always.
    pub(super) fn into_response(self, retry: Option<RetryAfter>) -> Response<Bytes> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            let retry = retry.unwrap_or(RetryAfter::DEFAULT);
            response.headers_mut().insert(RETRY_AFTER, retry.value());
        }
        response
    }

    /// The same response, compressed.
    pub(super) fn gzipped(&self) -> Result<Self, String> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let written = encoder.write_all(&self.body).and_then(|()| encoder.finish());
        let body = written.map_err(|error| format!("compressing a page: {error}"))?;
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        Ok(Self { status: self.status, headers, body: body.into() })
    }
}

/// What everything that we say ourselves has in common: stored by nobody, sniffed by nobody.
pub(super) fn common_headers(kind: &'static str, language: Language) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding, Accept-Language, Cookie"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
}

/// The fields of a page. The policy allows the page's own style and script by their hash, and talk
/// with this host only. The referrer stays on this host, where the form without JavaScript needs it
/// to find the way back.
pub(super) fn page_headers(
    language: Language,
    style: &str,
    script: Option<&str>,
) -> Result<HeaderMap, String> {
    let mut headers = common_headers("text/html; charset=utf-8", language);
    let mut policy = format!("default-src 'none'; style-src '{}'; ", hash(style));
    if let Some(script) = script {
        policy.push_str(&format!("script-src '{}'; connect-src 'self'; ", hash(script)));
    }
    policy.push_str("form-action 'self'; frame-ancestors 'none'; base-uri 'none'");
    let policy =
        HeaderValue::try_from(policy).map_err(|error| format!("content security policy: {error}"))?;
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex"));
    Ok(headers)
}

/// A CSP source expression for an inline block.
fn hash(block: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(block.as_bytes())))
}
