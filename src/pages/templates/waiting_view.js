// What the page shows and what people can press. Shares its scope with waiting.js, which stands
// before it and knows the protocol.

// The estimate in minutes: a range about as wide as the pace of a line is uncertain.
const range = () => {
  if (!board || board.epoch !== me.epoch || !(board.rate > 0) || !(board.spread > 0)) return null;
  const ahead = shown + 1;
  const wait = ahead / board.rate / 60;
  const spread = board.spread;
  // Nobody is called in quiet hours: a wait that they lie in goes on after them.
  const [begins, ends] = board.quiet_ms || [Infinity, 0], until = Math.max(0, (begins - board.time_ms) / 60000);
  const past = minutes => minutes > until ? minutes + Math.ceil((ends - Math.max(begins, board.time_ms)) / 60000) : minutes;
  const grain = wait < 20 ? 1 : wait < 60 ? 5 : wait < 240 ? 15 : 60;
  return {
    wait,
    low: past(Math.floor(wait / (1 + spread) / grain) * grain),
    high: past(Math.max(1, Math.ceil(wait * (1 + spread) / grain) * grain)),
  };
};
const span = minutes => {
  const t = data.text, h = Math.floor(minutes / 60), m = minutes % 60;
  return h ? fits(m ? t.hours_minutes : t.hours, { h, m }) : fits(t.minutes, { m });
};
const waiting = r => {
  const t = data.text;
  if (board && board.state === "held") return t.wait_stopped;
  if (!r) return t.wait_unknown;
  if (r.low >= 1440) return fits(t.wait_over, { low: span(1440) });
  if (r.low < 1) return fits(plural("wait_under", r.high), { n: figure(r.high) });
  if (r.high <= 90) return fits(t.wait_minutes, r);
  return fits(t.wait_long, { low: span(r.low), high: span(r.high) });
};
// Announced aloud at 1, 2, 5, 10, 20, 50 ... and when the line stops or starts: never at each poll.
const coarse = n => {
  let top = 1;
  for (let i = 0; top < n; i++) top *= i % 3 === 1 ? 2.5 : 2;
  return top;
};

// Times as the reader writes them: 24 hours in en-GB, 12 in en-US.
const clock = ms => {
  const own = (navigator.languages || []).filter(tag => tag.split("-")[0] === pane.lang)[0];
  return new Date(ms).toLocaleTimeString(own || pane.lang);
};
// A time to come back at may be tomorrow's.
const hour = ms => {
  const then = new Date(ms), far = then.toDateString() !== new Date().toDateString();
  return then.toLocaleString(pane.lang, { weekday: far ? "long" : undefined, hour: "2-digit", minute: "2-digit" });
};
const all = key => pane.querySelectorAll('[data-f="' + key + '"]');
const put = (key, text) => all(key).forEach(el => {
  if (el.textContent !== text) el.textContent = text;
  if (el.tagName === "P" && key !== "alert" && key !== "say" && key !== "coded" && key !== "uninvited") el.hidden = !text;
});
const tick = () => {
  const opens = phase === "closed" || phase === "prequeue" || board && board.state === "prequeue";
  const time = opens ? Math.ceil(left() / 1000) : 0;
  const clock = time < 3600 ? Math.floor(time / 60) + ":" + String(time % 60).padStart(2, "0") : span(Math.ceil(time / 60));
  put("countdown", time > 0 ? fits(data.text.opens_in, { time: clock }) : "");
};
// How long a call still stands, in whole minutes; the last one is said as such, with time to ask for more.
const stand = () => {
  const open = phase === "called" && call;
  const n = open ? Math.max(0, Math.floor((call.ends - Date.now()) / 60000)) : 0;
  const text = !open ? "" : n ? fits(plural("call", n), { n: figure(n) }) : data.text.call_last;
  put("call", text);
  all("more").forEach(el => { el.hidden = !open || !call.more; });
  const news = open ? n && coarse(n) + "/" + call.more : "";
  if (news !== warned && open) put("say", text);
  warned = news;
};
// Why the line stands still. Whoever is to be drawn is told how far the draw is.
const halt = () => board.reason === "draw" && board.redraw_ms ? fits(data.text.held_redraw, { time: hour(board.redraw_ms) })
  : data.text[phase === "prequeue" ? "drawing" : "held_" + board.reason] || data.text.held_other;
const draw = () => {
  const t = data.text;
  const held = board && board.state === "held";
  const r = phase === "waiting" ? range() : null;
  if (r && !held) {
    if (slow ? r.wait < best * 1.1 : r.wait > best * 1.3 + 1 && best) slow = !slow;
    if (!slow && (!best || r.wait < best)) best = r.wait;
  }
  const first = Number(kept("first-" + me.number)) || shown || 1;
  if (me.number && !kept("first-" + me.number)) keep("first-" + me.number, first);
  const turn = phase === "turn" || phase === "entering" || phase === "front" || phase === "called";
  const news = [held ? board.reason : "", r ? "known" : "", coarse(shown || 0)].join();
  const speak = board && phase === "waiting" && news !== said;
  const joined = !said;
  if (speak) said = news;
  pane.querySelectorAll("[data-in]").forEach(el => {
    el.hidden = el.dataset.in.split(" ").indexOf(phase) < 0;
  });
  put("heading", t["heading_" + (turn ? "turn" : phase)] || t.heading_waiting);
  put("lead", phase === "slot" && me.slot ? fits(t.slot, { from: hour(me.slot.from_ms), until: hour(me.slot.until_ms) })
    : phase === "joining" ? (trouble ? "" : t.joining)
    : phase === "front" ? (front > 0 ? fits(plural("front_ahead", front), { n: figure(front) }) : t.front_next)
    : turn ? "" : phase === "prequeue" && held ? halt() : t[phase] || "");
  if (phase === "prequeue") put("say", pane.querySelector("[data-f=lead]").textContent);
  put("alert", !turn ? "" : phase === "entering" ? t.entering
    : phase === "front" ? t.front
    : lost ? t.enter_cookies : t.enter_ready);
  // One lost poll is not worth a word: the time of the data says how old they are.
  const upset = failures > 1 || failures && !me.number;
  put("trouble", foreign ? t.trouble_language : !upset ? "" : trouble === "trouble_network" && !me.ticket ? t.trouble_join : t[trouble]);
  all("again").forEach(el => { el.hidden = !upset; });
  if (lost) all("close").forEach(el => { el.hidden = true; });
  pane.querySelectorAll('[data-do="pause"]').forEach(el => { el.textContent = paused ? t.resume : t.pause; });
  all("code").forEach(el => { el.hidden = !lost || !me.ticket; });
  all("ticket").forEach(el => { if (el.value !== me.ticket) el.value = me.ticket || ""; });
  put("coded", coded && t[coded]);
  all("offer").forEach(el => { el.hidden = !r || held || !data.slots || r.wait <= data.slots || none; });
  all("calendar").forEach(el => { el.hidden = lost || phase !== "slot"; });
  put("handoff", handoff && handing > Date.now() && phase !== "moved" ? fits(t.handoff_given, { code: handoff }) : "");
  put("uninvited", phase === "invitation" && uninvited ? t[uninvited] : "");
  tick();
  stand();
  document.title = (turn ? t.heading_turn : phase === "waiting" ? fits(t.title_waiting, { n: figure(shown) })
    : t["heading_" + phase]) + (data.title ? " · " + data.title : "");
  if (paused && phase === "waiting") return put("note", t.paused);
  put("note", phase !== "waiting" || !board ? ""
    : held ? halt()
    : board.state === "draining" ? t.draining : slow ? t.slower : "");
  if (message) {
    const lang = message.text[pane.lang] ? pane.lang : Object.keys(message.text)[0] || pane.lang;
    const text = message.text[lang] || "";
    all("message").forEach(el => { el.hidden = !text; });
    all("text").forEach(el => {
      el.textContent = text;
      el.lang = lang;
    });
  }
  if (phase !== "waiting") return;
  const estimate = waiting(r);
  put("ahead", figure(shown));
  put("number", figure(me.number));
  put("lane", me.lane);
  put("cursor", board && board.epoch === me.epoch && board.cursor ? figure(board.cursor) : "–");
  put("wait", estimate);
  put("updated", board ? fits(t.updated, { time: clock(board.time_ms) }) : "");
  pane.querySelectorAll("progress").forEach(el => { el.value = Math.max(0, 1 - shown / first); });
  if (speak) {
    put("say", (joined ? fits(t.say_joined, { number: figure(me.number) }) + " " : "")
      + (held ? halt()
        : fits(plural("say", shown), { n: figure(shown), wait: estimate })));
  }
};

// The same page in another language, put in the place of this one: nothing is lost, and the address of
// the service stays as it is. The cookie tells the server, what is kept serves where there are no cookies.
const choose = async lang => {
  foreign = false;
  let answer;
  try {
    const link = "/.tornello/rooms/" + encodeURIComponent(data.room) + "/queue?lang=" + lang + "&return=%2F";
    answer = await fetch(link, { credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("data"), body = page.querySelector("main");
    if (!answer.ok || !fresh || !body) throw failure(answer);
    data = JSON.parse(fresh.textContent);
    document.querySelector("main").replaceWith(document.adoptNode(body));
    pane = document.querySelector(".pane");
    root.lang = pane.lang;
    root.dir = pane.dir;
    keep("language", lang);
    document.cookie = "tornello-language=" + lang + "; Path=/; SameSite=Lax";
    draw();
    pane.querySelector("h1").focus();
  } catch (e) {
    // Said in the language that is there; the link can be pressed again.
    foreign = true;
    draw();
    put("say", data.text.trouble_language);
  }
};
const acts = {
  invite: () => {
    invitation = pane.querySelector("[data-f=invitation]").value.trim();
    if (invitation) step();
  },
  pause: () => { paused = !paused; draw(); },
  retry: step,
  enter: async () => {
    // To leave without cookies would be to lose the place: here the code is, and it may be used elsewhere.
    if (lost && !cookies()) {
      coded = "no_cookies";
      draw();
      return all("ticket").forEach(el => el.focus());
    }
    // The pass may have lapsed while nobody pressed: the claim is idempotent, so it is asked again.
    // Whoever is not in yet waits here for the seat, and has said that it is wanted.
    try {
      const answer = await ask("POST", "/claims", me.ticket);
      if (answer.status === 202 && !lost) {
        wanted = true;
        paused = false;
        me.state = "front_row";
        return void step();
      }
    } catch (e) { /* the reload will tell */ }
    drop("entries");
    go();
  },
  extend: async () => {
    try {
      const answer = await ask("POST", "/extension", me.ticket);
      if (answer.ok) told(answer.body);
      else if (answer.status !== 409) throw failure(answer);
      else step();
      failures = 0;
    } catch (error) {
      failures = 2;
      trouble = error.busy ? "trouble_busy" : "trouble_network";
    }
    draw();
    // The button goes with the last time that it may be pressed: who pressed it is not left nowhere.
    if (!call || !call.more) pane.querySelector("h1").focus();
  },
  slot: async () => {
    try {
      const answer = await ask("POST", "/slot", me.ticket);
      if (answer.ok) {
        me.slot = answer.body.slot;
        phase = "slot";
      } else if (answer.status !== 409) throw failure(answer);
      // What is not to be had now may be later: a page that is loaded again asks again.
      none = !answer.ok;
      failures = 0;
    } catch (error) {
      failures = 2;
      trouble = error.busy ? "trouble_busy" : "trouble_network";
    }
    draw();
    put("say", none ? data.text.slot_none : "");
    pane.querySelector("h1").focus();
  },
  rejoin: async () => {
    try { await ask("DELETE", "/ticket", me.ticket); } catch (e) {
      failures = 2;
      trouble = "trouble_network";
      return draw();
    }
    drop("ticket");
    for (const key in me) delete me[key];
    board = shown = front = null;
    handing = 0;
    phase = "joining";
    step();
  },
  handoff: async () => {
    try {
      const answer = await ask("POST", "/handoff", me.ticket);
      if (closed(answer)) return draw();
      if (!answer.ok) throw failure(answer);
      handoff = answer.body.code;
      handing = Date.now() + answer.body.expires_in_ms;
      failures = 0;
    } catch (error) {
      failures = 2;
      trouble = error.busy ? "trouble_busy" : "trouble_network";
    }
    draw();
  },
  copy: button => {
    const field = button.parentNode.querySelector("input");
    field.select();
    const done = () => { coded = "copied"; draw(); };
    const older = () => { if (document.execCommand("copy")) done(); };
    if (navigator.clipboard) navigator.clipboard.writeText(field.value).then(done, older);
    else older();
  },
  use: async button => {
    const code = button.parentNode.querySelector("input").value.trim();
    if (!code) return;
    coded = "";
    // A short code brings the place of another device here. It is tried again with the same word: the answer may be lost.
    if (code.length < 40) {
      try {
        const word = kept("try") || String(Math.random()).slice(2) + Date.now();
        keep("try", word);
        const answer = await ask("POST", "/arrival", null, { "Tornello-Handoff": code, "Tornello-Try": word });
        const reason = answer.body.reason || "";
        if (reason.indexOf("handoff_") === 0) coded = reason;
        else if (!answer.ok || !answer.body.ticket) throw failure(answer);
        else {
          handing = 0;
          adopt(answer.body);
          phase = "waiting";
          coded = "code_used";
          if (!me.number) board = null, phase = "joining";
          step();
        }
        failures = 0;
      } catch (error) {
        failures = 2;
        trouble = error.busy ? "trouble_busy" : "trouble_network";
      }
      return draw();
    }
    try {
      const found = await ask("GET", "/ticket", code);
      const { ticket, number, state } = found.body;
      // Beside a code that does not verify, the cookie of this browser is answered for.
      if (found.status === 404 || found.ok && ticket !== code && number === me.number) coded = "code_unknown";
      else if (!found.ok) throw failure(found);
      else if (state === "done") coded = "code_done";
      else {
        // Where there are cookies, the place is this browser's from now on.
        const answer = await ask("POST", "/tickets", code);
        if (!answer.ok || !answer.body.number) throw failure(answer);
        adopt(answer.body);
        phase = "waiting";
        if (answer.body.number === number) coded = "code_used";
        step();
      }
    } catch (error) {
      // The field keeps the code, and this browser its place.
      failures = 2;
      trouble = error.busy ? "trouble_busy" : "trouble_network";
    }
    draw();
  },
};
document.addEventListener("click", event => {
  const button = event.target.closest("[data-do]");
  // Also by the Enter key, in a field whose form has such a button.
  if (button && button.form) event.preventDefault();
  if (button) acts[button.dataset.do](button);
  const link = event.target.closest("nav a");
  if (link) {
    event.preventDefault();
    choose(link.lang);
  }
});
setInterval(() => {
  if (!paused) tick();
  stand();
}, 1000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
addEventListener("online", soon);
addEventListener("pageshow", event => { if (event.persisted) { busy = false; step(); } });

draw();
if (kept("language") && kept("language") !== root.lang) choose(kept("language"));
root.classList.add("js");
if (document.prerendering) document.addEventListener("prerenderingchange", step, { once: true });
else step();
