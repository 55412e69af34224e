//! M11: every limit of people's time is told long before it ends, and put off ten times by its holder alone.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;

use super::backend::Backend;
use super::gateway::{Gateway, ask, get};
use super::row::Judged;

const ROOM: &str = "/.tornello/v1/rooms/main";
/// People must have at least this to act.
const WARNED_MS: u64 = 20_000;
/// Both limits of the stage.
const LIMIT_MS: u64 = 25_000;

/// One person with a ticket.
struct Holder<'a> {
    gateway: &'a Gateway,
    head: String,
}

impl Holder<'_> {
    async fn look(&self, end: &str) -> Result<Value, String> {
        let answer = get(self.gateway.site, &format!("{ROOM}/{end}"), &self.head).await?;
        Ok(serde_json::from_str(&answer.body).unwrap_or_default())
    }

    async fn post(&self, end: &str) -> Result<Value, String> {
        let path = format!("{ROOM}/{end}");
        let answer = ask(self.gateway.site, Ipv4Addr::LOCALHOST, "POST", &path, &self.head, "").await?;
        Ok(serde_json::from_str(&answer.body).unwrap_or_default())
    }

    /// Looks until the ticket stands as `state`.
    async fn until(&self, state: &str) -> Result<Value, String> {
        for _ in 0..400 {
            let place = self.look("ticket").await?;
            if place["state"] == state {
                return Ok(place);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Err(format!("the ticket never came to be {state}"))
    }

    /// How often `what` was put off, each time to the whole of it, until it cannot be any more.
    async fn puts_off(&self, what: &str) -> Result<u64, String> {
        let mut times = 0;
        loop {
            let left = self.look("ticket").await?[what]["extensions"].as_u64().ok_or("nothing to put off")?;
            let time = self.post("extension").await?[what].take();
            let ends_in_ms = time["ends_in_ms"].as_u64().ok_or("no time was told")?;
            if left == 0 {
                return Ok(times);
            }
            if time["extensions"].as_u64() != Some(left - 1) || ends_in_ms < LIMIT_MS - 1_000 {
                return Err(format!("the {what} was not put off: {time}"));
            }
            times += 1;
        }
    }
}

/// The call is told and put off, then the visit.
pub(crate) async fn m11() -> Result<Judged, String> {
    let backend = Backend::start().await?;
    let room = |held: &str| {
        format!(
            "[upstream.app]\naddresses = [\"{}\"]\n\n[room.main]\n{held}call = \"25s\"\nidle = \"25s\"\n\
             session = \"25s\"\npoll = {{ min = \"200ms\" }}\n\n[route.main]\nupstream = \"app\"\nroom = \"main\"\n",
            backend.address
        )
    };
    let gateway = Gateway::start(&room("hold = true\n"))?;
    let joined = ask(gateway.site, Ipv4Addr::LOCALHOST, "POST", &format!("{ROOM}/tickets"), "", "").await?;
    let joined: Value = serde_json::from_str(&joined.body).unwrap_or_default();
    let ticket = joined["ticket"].as_str().ok_or("no ticket was given")?;
    let holder = Holder { gateway: &gateway, head: format!("tornello-ticket: {ticket}\r\n") };
    gateway.configure(&room(""))?;
    if !gateway.reload()?.status.success() {
        return Err("the room cannot be opened".to_owned());
    }
    let called = holder.until("called").await?;
    let call_told = called["call"]["ends_in_ms"].as_u64().ok_or("the call has no end")?;
    let call_times = holder.puts_off("call").await?;
    if holder.post("claims").await?["state"] != "admitted" {
        return Err("the call did not lead in".to_owned());
    }
    let admitted = holder.until("admitted").await?;
    let visit_told = admitted["visit"]["ends_in_ms"].as_u64().ok_or("the visit has no end")?;
    let visit_times = holder.puts_off("visit").await?;
    Ok(Judged::new(
        call_told.min(visit_told) >= WARNED_MS && call_times.min(visit_times) >= 10,
        format!(
            "told {:.1} s and {:.1} s before the end of 25 s, a call extended {call_times} times, a visit {visit_times}",
            call_told as f64 / 1_000.0,
            visit_told as f64 / 1_000.0
        ),
    ))
}
