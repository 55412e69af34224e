//! The answer to a request that was not read: whole, final, and never stored.

use super::refusal::Refusal;

/// All bytes of the answer; without body if `HEAD` was asked.
#[must_use]
pub fn answer(refusal: Refusal, head_only: bool) -> Vec<u8> {
    let status = refusal.status();
    let (code, title) = (status.as_u16(), status.canonical_reason().unwrap_or_default());
    let (reason, detail) = (refusal.name(), refusal.detail());
    let body = format!(
        r#"{{"type":"about:blank","title":"{title}","status":{code},"detail":"{detail}","reason":"{reason}"}}"#
    );
    let length = body.len();
    let mut answer = format!(
        "HTTP/1.1 {code} {title}\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n"
    );
    if !head_only {
        answer.push_str(&body);
    }
    answer.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_legible_and_says_why() {
        for refusal in Refusal::ALL {
            let bytes = answer(refusal, false);
            let mut fields = [httparse::EMPTY_HEADER; 8];
            let mut head = httparse::Response::new(&mut fields);
            let length = head.parse(&bytes).unwrap().unwrap();
            assert_eq!(head.code, Some(refusal.status().as_u16()));
            let field = |name| head.headers.iter().find(|field| field.name == name).unwrap().value;
            let body = &bytes[length..];
            assert_eq!(field("content-length"), body.len().to_string().as_bytes());
            assert_eq!((field("connection"), field("cache-control")), (&b"close"[..], &b"no-store"[..]));
            let json: serde_json::Value = serde_json::from_slice(body).unwrap();
            assert_eq!(json["reason"], refusal.name());
            assert_eq!(answer(refusal, true), bytes[..length]);
        }
    }

    #[test]
    fn every_refusal_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> =
            Refusal::ALL.iter().map(|refusal| refusal.name()).collect();
        assert_eq!(words.len(), Refusal::ALL.len());
    }
}
