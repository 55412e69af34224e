//! Rows about proof: what the gateway signed is checked by the command, offline, and so are forgeries.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use super::backend::Backend;
use super::gateway::{Gateway, PROGRAM, ask, get};
use super::row::Judged;

const ROOMS: &str = "/.tornello/v1/rooms/main";

/// Whether the command believes `text`.
fn believes(what: &str, folder: &Path, text: &str, more: &[&str]) -> Result<bool, String> {
    let file = folder.join("kept.json");
    std::fs::write(&file, text).map_err(|error| error.to_string())?;
    let done = Command::new(PROGRAM).args(["verify", what]).arg(&file).args(more).output();
    Ok(done.map_err(|error| error.to_string())?.status.success())
}

/// M24: a receipt, every byte of it changed once, and one signed by another gateway.
pub(crate) async fn m24() -> Result<Judged, String> {
    let backend = Backend::start().await?;
    let more = format!(
        "[upstream.app]\naddresses = [\"{}\"]\n\n[room.main]\nhold = true\n\n[route.main]\n\
         upstream = \"app\"\nroom = \"main\"\n",
        backend.address
    );
    let (gateway, other) = (Gateway::start(&more)?, Gateway::start(&more)?);
    let mut receipts = Vec::new();
    for gateway in [&gateway, &other] {
        let joined =
            ask(gateway.site, Ipv4Addr::LOCALHOST, "POST", &format!("{ROOMS}/tickets"), "", "").await?;
        let ticket: serde_json::Value = serde_json::from_str(&joined.body).unwrap_or_default();
        let ticket = ticket["ticket"].as_str().ok_or("no ticket was given")?;
        let head = format!("tornello-ticket: {ticket}\r\n");
        receipts.push(get(gateway.site, &format!("{ROOMS}/receipt"), &head).await?.body);
    }
    let [receipt, foreign] = receipts.as_slice() else { return Err("no receipts".to_owned()) };
    let key = get(gateway.site, "/.tornello/v1/keys", "").await?.body;
    let rules = get(gateway.site, &format!("{ROOMS}/rules"), "").await?.body;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let rules_file = folder.path().join("rules.json");
    std::fs::write(&rules_file, rules).map_err(|error| error.to_string())?;
    // Nothing answers any more: what is left is the file and the key.
    drop((gateway, other));
    let more = ["--key", &key, "--rules", &rules_file.display().to_string()];
    let good = believes("receipt", folder.path(), receipt, &more)?;
    let mut forged = 0_usize;
    for at in 0..receipt.len() {
        let mut bytes = receipt.clone().into_bytes();
        bytes[at] ^= 1;
        let changed = String::from_utf8_lossy(&bytes).into_owned();
        forged += usize::from(believes("receipt", folder.path(), &changed, &more)?);
    }
    forged += usize::from(believes("receipt", folder.path(), foreign, &more)?);
    let verdict = if good { "verifies" } else { "does NOT verify" };
    Ok(Judged::new(
        good && forged == 0 && receipt.len() > 100,
        format!("{verdict} offline; {forged} of {} forgeries are believed", receipt.len() + 1),
    ))
}
