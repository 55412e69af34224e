//! `tornello draw`: a party makes its secret and its promise; an operator gives randomness to a draw.

use std::path::PathBuf;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;

use super::ask::ask_with;
use super::out::say;
use super::{CONFIGURATION, OK, RUNTIME, Whom};
use crate::proof::draw::reveal::commitment;
use crate::proof::hex;

/// Take part in a draw, or bring it its randomness.
#[derive(Debug, clap::Args)]
pub struct Draw {
    /// What is done.
    #[command(subcommand)]
    pub deed: Deed,
}

/// What can be done.
#[derive(Debug, clap::Subcommand)]
pub enum Deed {
    /// Make a secret by chance, and the promise of it for `room.NAME.parties`. Keep the secret until those who
    /// came are committed to.
    Secret {
        /// The room's name in the configuration.
        #[arg(long)]
        room: String,
        /// The party's name, as in the configuration.
        #[arg(long)]
        name: String,
    },
    /// Give the randomness of a draw to a running gateway: a line `{"drand":{"round":…,"signature":"…"}}` or
    /// `{"reveals":[{"name":"…","secret":"…"},…]}`.
    Randomness {
        /// The room's name in the configuration.
        room: String,
        /// The file with the line.
        file: PathBuf,
        /// Which gateway.
        #[command(flatten)]
        whom: Whom,
    },
}

impl Draw {
    /// 0 if it is done, 2 if the gateway does not believe it, 1 if nobody answered.
    #[must_use]
    pub fn execute(self) -> u8 {
        match self.deed {
            Deed::Secret { room, name } => secret(&room, &name),
            Deed::Randomness { room, file, whom } => {
                let body = match std::fs::read(&file) {
                    Ok(body) => Bytes::from(body),
                    Err(error) => {
                        eprintln!("error: {}: {error}", file.display());
                        return RUNTIME;
                    }
                };
                match ask_with(&whom, Method::POST, &format!("/rooms/{room}/draw"), body) {
                    Ok((StatusCode::OK, _)) => {
                        say(format_args!("written down; the numbers of room {room} are drawn"));
                        OK
                    }
                    Ok((_, why)) => {
                        eprintln!("refused: {}", String::from_utf8_lossy(&why).trim_end());
                        CONFIGURATION
                    }
                    Err(error) => {
                        eprintln!("error: {error}");
                        RUNTIME
                    }
                }
            }
        }
    }
}

fn secret(room: &str, name: &str) -> u8 {
    let mut secret = [0; 32];
    if let Err(error) = getrandom::fill(&mut secret) {
        eprintln!("error: the system gives no random bytes: {error}");
        return RUNTIME;
    }
    say(json!({ "name": name, "secret": hex(&secret) }));
    eprintln!(
        "keep that line secret until those who came are committed to; the promise of it, for the configuration:\n\
         {{ name = {name:?}, outside = true, commitment = \"{}\" }}",
        hex(&commitment(room, name, &secret))
    );
    OK
}
