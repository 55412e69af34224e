//! Tokens that are good, and all that is not.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::*;
use crate::admission::ticket::KeyRing;
use crate::config::settings::IdentitySettings;
use crate::proxy::identify::{Sources, identify};

/// A public key and a token under it, made by OpenSSL.
const RSA_MODULUS: &str = "2gq2UcyoWcmDMXVVWd7woaVBV9qqkGodx5d_COhoJ5Ljr_B7vYlVYtiK17HqmM4wuTvYK5I_5sv9JNXDO3ada3qefPe6ibJpsWXU\
     cY8FiuuX_pixDYhdZZDO0e5HYi63UBHvGrT8f2iMKvTXwpfLcdZZDKGigrCesr_JUVa-KxsCNfBf8SJi5ieXwX6eQcGODnGFTK73\
     2Bk5AwpUkUon_pfEUOWq0rZexh2YoyVyS6Ez64A7A5lkr5UbKrKZ9d87EIWDRGlHphs4Kbob9phe1xSo2m4ooYZ1xbYfQyfR6PnC\
     wymoz15uX1aM0MxMtTMAWa1fgYVfNhQDoWi0vx-vBw";
const RSA_TOKEN: &str = "eyJhbGciOiAiUlMyNTYiLCAia2lkIjogInIxIn0.eyJpc3MiOiAiaHR0cHM6Ly9sb2dpbi5leGFtcGxlIiwgImF1ZCI6IFsiYm9u\
     dXMiLCAib3RoZXIiXSwgInN1YiI6ICJSU1NNUkE4MEEwMUg1MDFVIiwgImV4cCI6IDIwMDAwMDAwMDAsICJuYmYiOiAxMDAwfQ.w\
     Ggbswe1c1L2gbRSRTkOM76-wItX4RDZtN7dZSLmjAYOqiTvP43rjC27pZCdB99GNjWrz6K3e0uWaewTalZo8G-XrrMWvxR3BYTSU\
     LiqcSVPDm8_OCoD0kprcTCs7fJu_FQ_MbvMO_XPyD7FtvLwlvwuQk6H1GgeSBJC5LJou7gX1dST01pcCIoYO_LZ59FvWmGSPwS33\
     S82zo-mEXqG7PJP9TJC7dQAb47H2MKBnwNI3WXlcItNZrcSiPQ2C_1TeFjSLCl7c2DovVuARI2vtKdG8U9nTItxohXuQXKggtsYC\
     wVBQfZH6ZBQNNEqgj1ukpcyK98R-Pm8i7s267Bc4Q";

const NOW: UnixTime = UnixTime(1_793_318_400_000);

fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn claims() -> Value {
    json!({ "iss": "https://login.example", "aud": "bonus", "sub": "RSSMRA80A01H501U", "exp": NOW.0 / 1_000 + 600 })
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (key, value) in changes.as_object().unwrap() {
        claims[key] = value.clone();
    }
    claims
}

struct Issuer {
    ed: Ed25519KeyPair,
    ec: EcdsaKeyPair,
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random).unwrap();
        Self { ed: Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap(), ec }
    }

    fn keys(&self) -> Value {
        let point = self.ec.public_key().as_ref();
        json!({ "keys": [
            { "kty": "OKP", "crv": "Ed25519", "kid": "e1", "alg": "EdDSA", "x": text(self.ed.public_key()) },
            { "kty": "EC", "crv": "P-256", "kid": "c1", "use": "sig", "x": text(&point[1..33]), "y": text(&point[33..]) },
            { "kty": "RSA", "kid": "r1", "n": RSA_MODULUS, "e": "AQAB" },
            { "kty": "oct", "kid": "o1", "k": text([9; 32]) },
            { "kty": "RSA", "kid": "enc", "use": "enc", "n": RSA_MODULUS, "e": "AQAB" },
            { "kty": "quantum", "kid": "q1" },
        ] })
    }

    /// The head of a token decides how it is signed.
    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", text(header.to_string()), text(claims.to_string()));
        let signature = match header["alg"].as_str().unwrap() {
            "EdDSA" => self.ed.sign(message.as_bytes()).as_ref().to_vec(),
            "ES256" => self.ec.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec(),
            "HS256" => {
                // The public key as if it were a secret: what a verifier takes that lets the token choose.
                let mut mac: Hmac<Sha256> = Hmac::new_from_slice(self.ed.public_key().as_ref()).unwrap();
                mac.update(message.as_bytes());
                mac.finalize().into_bytes().to_vec()
            }
            _ => Vec::new(),
        };
        format!("{message}.{}", text(signature))
    }

    fn jwt(&self) -> Jwt {
        signature::install();
        let settings = JwtSettings {
            proofs: Vec::new(),
            keys: KeySource::File("keys.json".into()),
            issuer: "https://login.example".to_owned(),
            audience: "bonus".to_owned(),
            cookie: None,
            claim: "sub".to_owned(),
            leeway: Duration::from_secs(30),
            refuses: false,
        };
        let keys = KeySet::parse(self.keys().to_string().as_bytes()).unwrap();
        Jwt { settings, keys: ArcSwap::from_pointee(keys), unknown: Notify::new() }
    }
}

fn event() -> EventKey {
    EventKey::new(&[1; 32])
}

#[test]
fn a_person_is_the_same_whichever_key_signs() {
    let (issuer, event) = (Issuer::new(), event());
    let jwt = issuer.jwt();
    let ed = issuer.token(&json!({ "alg": "EdDSA", "kid": "e1" }), &claims());
    let ec = issuer.token(&json!({ "alg": "ES256", "kid": "c1" }), &claims());
    let person = jwt.person(ed.as_bytes(), &event, NOW).unwrap();
    for token in [ec.as_str(), RSA_TOKEN, &ed] {
        assert_eq!(jwt.person(token.as_bytes(), &event, NOW), Ok(person), "{token}");
    }
    let other = issuer.token(&json!({ "alg": "EdDSA", "kid": "e1" }), &with(json!({ "sub": "another" })));
    assert_ne!(jwt.person(other.as_bytes(), &event, NOW), Ok(person));
    assert_ne!(jwt.person(ed.as_bytes(), &EventKey::new(&[2; 32]), NOW), Ok(person), "keyed by the event");
}

#[test]
fn what_is_not_good_names_nobody() {
    let issuer = Issuer::new();
    let jwt = issuer.jwt();
    let ed = json!({ "alg": "EdDSA", "kid": "e1" });
    let unix = NOW.0 / 1_000;
    let without = |key: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(key);
        issuer.token(&ed, &claims)
    };
    let good = issuer.token(&ed, &claims());
    let (message, _) = good.rsplit_once('.').unwrap();
    let stranger = Issuer { ed: Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap(), ..Issuer::new() };
    for (why, token) in [
        ("out of date", issuer.token(&ed, &with(json!({ "exp": unix - 31 })))),
        ("not valid yet", issuer.token(&ed, &with(json!({ "nbf": unix + 31 })))),
        ("another service's", issuer.token(&ed, &with(json!({ "aud": "mensa" })))),
        ("another issuer's", issuer.token(&ed, &with(json!({ "iss": "https://evil.example" })))),
        ("of nobody", issuer.token(&ed, &with(json!({ "sub": "" })))),
        ("of no end", without("exp")),
        ("of no issuer", without("iss")),
        ("of no audience", without("aud")),
        ("of no person", without("sub")),
        ("signed by a stranger", stranger.token(&ed, &claims())),
        (
            "signed with a public key as secret",
            issuer.token(&json!({ "alg": "HS256", "kid": "e1" }), &claims()),
        ),
        ("signed with a secret of the set", issuer.token(&json!({ "alg": "HS256", "kid": "o1" }), &claims())),
        ("not signed", issuer.token(&json!({ "alg": "none", "kid": "e1" }), &claims())),
        (
            "of another algorithm than its key",
            issuer.token(&json!({ "alg": "ES256", "kid": "e1" }), &claims()),
        ),
        (
            "under a key for encryption",
            RSA_TOKEN.replace(
                &text(r#"{"alg": "RS256", "kid": "r1"}"#),
                &text(r#"{"alg": "RS256", "kid": "enc"}"#),
            ),
        ),
        ("under no key", issuer.token(&json!({ "alg": "EdDSA", "kid": "e2" }), &claims())),
        ("of no key id among many", issuer.token(&json!({ "alg": "EdDSA" }), &claims())),
        ("cut", message.to_owned()),
        ("without a signature", format!("{message}.")),
        ("of other claims", {
            let (head, _) = message.split_once('.').unwrap();
            let tail = good.rsplit_once('.').unwrap().1;
            format!("{head}.{}.{tail}", text(with(json!({ "sub": "another" })).to_string()))
        }),
        ("too long", issuer.token(&ed, &with(json!({ "pad": "x".repeat(TOKEN_MAX) })))),
        ("empty", String::new()),
    ] {
        assert_eq!(jwt.person(token.as_bytes(), &event(), NOW), Err(NotBelieved), "{why}: {token}");
    }
    for (why, changes) in [
        ("within the leeway", json!({ "exp": unix - 29, "nbf": unix + 29 })),
        ("for several", json!({ "aud": ["mensa", "bonus"] })),
        ("by a number", json!({ "sub": 12 })),
    ] {
        let token = issuer.token(&ed, &with(changes));
        assert!(jwt.person(token.as_bytes(), &event(), NOW).is_ok(), "{why}");
    }
}

#[test]
fn what_was_found_good_still_ends_and_goes_with_its_key() {
    let (issuer, event) = (Issuer::new(), event());
    let jwt = issuer.jwt();
    let token = issuer.token(&json!({ "alg": "EdDSA", "kid": "e1" }), &claims());
    assert!(jwt.person(token.as_bytes(), &event, NOW).is_ok());
    assert!(jwt.person(token.as_bytes(), &event, UnixTime(NOW.0 + 629_000)).is_ok());
    assert!(jwt.person(token.as_bytes(), &event, UnixTime(NOW.0 + 631_000)).is_err(), "the end counts");
    let mut keys = issuer.keys();
    keys["keys"].as_array_mut().unwrap().remove(0);
    jwt.keys.store(Arc::new(KeySet::parse(keys.to_string().as_bytes()).unwrap()));
    assert!(jwt.person(token.as_bytes(), &event, NOW).is_err(), "its key was withdrawn");
}

#[test]
fn a_set_without_a_key_that_is_believed_is_refused() {
    for bad in ["", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#] {
        assert!(KeySet::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn what_was_found_bad_is_remembered_and_drives_out_nothing_good() {
    let (issuer, event) = (Issuer::new(), event());
    let jwt = issuer.jwt();
    let ed = json!({ "alg": "EdDSA", "kid": "e1" });
    let (good, bad) = (issuer.token(&ed, &claims()), issuer.token(&ed, &with(json!({ "aud": "mensa" }))));
    let unknown = issuer.token(&json!({ "alg": "EdDSA", "kid": "e2" }), &claims());
    let remembered = |token: &str| jwt.keys.load().remembered(event.digest(token.as_bytes()));
    for token in [&good, &bad, &unknown] {
        assert_eq!(remembered(token), None);
        let _ = jwt.person(token.as_bytes(), &event, NOW);
    }
    assert!(remembered(&good).is_some_and(|found| found.is_ok()));
    assert_eq!(remembered(&bad), Some(Err(NotBelieved)));
    assert_eq!(remembered(&unknown), None, "its key may come, and it cost nothing");
    for other in 0..100_000 {
        jwt.keys.load().remember(other, Err(NotBelieved));
    }
    assert!(remembered(&good).is_some_and(|found| found.is_ok()));
    assert_eq!(remembered(&bad), None, "the memory has an end");
    let early = issuer.token(&ed, &with(json!({ "nbf": NOW.0 / 1_000 + 60 })));
    assert_eq!(jwt.person(early.as_bytes(), &event, NOW), Err(NotBelieved));
    assert!(jwt.person(early.as_bytes(), &event, UnixTime(NOW.0 + 60_000)).is_ok(), "not bad, but early");
}

#[test]
fn fetched_keys_outlive_a_reload_and_what_was_found_does_not() {
    let (issuer, event) = (Issuer::new(), event());
    let from = |address: &str, audience: &str| {
        let keys = KeySource::Address(address.to_owned());
        Jwt::build(JwtSettings { keys, audience: audience.to_owned(), ..issuer.jwt().settings }).unwrap()
    };
    let old = from("https://login.example/jwks.json", "bonus");
    old.keys.store(Arc::new(KeySet::parse(issuer.keys().to_string().as_bytes()).unwrap()));
    let ed = json!({ "alg": "EdDSA", "kid": "e1" });
    let (bonus, mensa) = (issuer.token(&ed, &claims()), issuer.token(&ed, &with(json!({ "aud": "mensa" }))));
    assert!(old.person(bonus.as_bytes(), &event, NOW).is_ok());
    assert!(old.person(mensa.as_bytes(), &event, NOW).is_err());
    let new = from("https://login.example/jwks.json", "mensa");
    new.take_over(&old);
    assert!(new.person(bonus.as_bytes(), &event, NOW).is_err());
    assert!(new.person(mensa.as_bytes(), &event, NOW).is_ok());
    let elsewhere = from("https://login.example/other.json", "bonus");
    elsewhere.take_over(&old);
    assert!(elsewhere.person(bonus.as_bytes(), &event, NOW).is_err());
}

#[test]
fn a_cookie_of_a_sibling_host_hides_no_good_token() {
    let (issuer, event) = (Issuer::new(), event());
    let mut jwt = issuer.jwt();
    jwt.settings.cookie = Some("login".to_owned());
    jwt.settings.refuses = true;
    let ring = KeyRing::new(crate::admission::ticket::Key::new(1, &[1; 32]), Vec::new());
    let settings = IdentitySettings::default();
    let sources = Sources {
        settings: &settings,
        trusted: &[],
        ring: &ring,
        event: &event,
        jwt: Some((&jwt, NOW)),
        subject: None,
        secure: true,
    };
    let who = |cookies: &str| {
        let headers = [(http::header::COOKIE, cookies.parse().unwrap())].into_iter().collect();
        let peer = "192.0.2.1".parse().unwrap();
        let who = identify(&headers, peer, peer, None, &sources);
        (who.person.is_some(), who.not_believed)
    };
    let good = issuer.token(&json!({ "alg": "EdDSA", "kid": "e1" }), &claims());
    assert_eq!(who(&format!("login={good}")), (true, false));
    assert_eq!(who(&format!("login=x; login=; logins=y; login={good}")), (true, false));
    assert_eq!(who(&format!("login={good}; login=x")), (true, false));
    assert_eq!(who("login=x; login=y"), (false, true));
    assert_eq!(who(&format!("login=1; login=2; login=3; login=4; login={good}")), (false, true), "too many");
    assert_eq!(who("login=; other=x"), (false, false));
}
