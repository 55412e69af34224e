(() => {
"use strict";
// The page joins by itself, follows the board and goes in when it is called. It never loses the
// ticket by an error: only a visitor who asks for a new place gives up the old one.
const root = document.documentElement;
const data = JSON.parse(document.getElementById("data").textContent);
const panes = Array.from(document.querySelectorAll(".pane"), el => ({ el, lang: el.lang, t: data.text[el.lang] }));

// Storage may be refused (cookies off); then this tab's memory has to do.
const memory = {};
const name = key => "tornello-" + data.room + "-" + key;
const keep = (key, value) => {
  memory[key] = value;
  try { sessionStorage.setItem(name(key), value); } catch (e) { /* memory has it */ }
};
const kept = key => {
  try { return sessionStorage.getItem(name(key)) || memory[key]; } catch (e) { return memory[key]; }
};
const drop = key => {
  delete memory[key];
  try { sessionStorage.removeItem(name(key)); } catch (e) { /* nothing was kept */ }
};

// Asked by trying: navigator.cookieEnabled is true in browsers that drop what they are given.
const cookies = () => {
  try {
    document.cookie = "tornello-try=1; SameSite=Lax; Max-Age=60";
    const kept = document.cookie.indexOf("tornello-try=1") >= 0;
    document.cookie = "tornello-try=; SameSite=Lax; Max-Age=0";
    return kept;
  } catch (e) {
    return false;
  }
};

const me = { ticket: kept("ticket") };
let board = null, message = null, phase = "joining", shown = null, front = null;
let failures = 0, trouble = "", paused = false, busy = false, timer = 0, last = 0, best = 0, slow = false;
let said = "", coded = "", lost = !cookies();

const fits = (text, values) => text.replace(/\{(\w+)\}/g, (all, key) => key in values ? values[key] : all);
const plural = (lang, t, key, n) => {
  let form = n === 1 ? "one" : "other";
  try { form = new Intl.PluralRules(lang).select(n); } catch (e) { /* the two forms do */ }
  return t[key + "_" + form] || t[key + "_other"];
};
const figure = (t, n) => String(n).replace(/\B(?=(\d{3})+$)/g, t.thousands);

// An answer that is neither a success nor one that the caller expects is a failure to be retried.
const failure = answer => {
  const error = new Error("answer");
  error.wait = answer.wait;
  error.busy = true;
  return error;
};
const ask = async (method, path, ticket) => {
  const stop = new AbortController();
  const late = setTimeout(() => stop.abort(), 10000);
  try {
    const headers = { Accept: "application/json" };
    if (ticket) headers["Tornello-Ticket"] = ticket;
    const answer = await fetch(data.base + path, { method, headers, credentials: "same-origin", signal: stop.signal });
    const wait = Math.min(300, Number(answer.headers.get("Retry-After")) || 0) * 1000;
    let body = {};
    try { body = await answer.json(); } catch (e) { if (answer.ok && answer.status !== 204) throw e; }
    return { ok: answer.ok, status: answer.status, body, wait };
  } finally {
    clearTimeout(late);
  }
};

const adopt = ticket => {
  if (ticket.ticket && ticket.ticket !== me.ticket || ticket.number !== me.number) {
    shown = null;
    best = 0;
    slow = false;
  }
  Object.assign(me, ticket);
  if (me.ticket) keep("ticket", me.ticket);
  place(ticket.ahead);
};
// A shown position never rises, whatever an old copy of the board says.
const place = ahead => {
  if (typeof ahead === "number") shown = shown === null ? ahead : Math.min(shown, ahead);
};
const closed = answer => {
  const reason = answer.body.reason;
  if (answer.ok || reason !== "ended" && reason !== "closed") return false;
  phase = reason;
  return true;
};

const join = async () => {
  const answer = await ask("POST", "/tickets", me.ticket);
  if (closed(answer)) return answer.wait || 60000;
  if (!answer.ok || !answer.body.number) throw failure(answer);
  adopt(answer.body);
  return next();
};
const next = () => {
  if (me.state === "done") {
    phase = "done";
    return 0;
  }
  if (me.state !== "waiting") return claim();
  phase = "waiting";
  return board ? pace() : 300 + Math.random() * 900;
};
const claim = async () => {
  const answer = await ask("POST", "/claims", me.ticket);
  if (answer.status === 202) {
    phase = "front";
    me.state = "front_row";
    front = Math.min(front === null ? Infinity : front, answer.body.ahead || 0);
    return answer.body.poll_after_ms || 1000;
  }
  if (answer.ok) return enter();
  if (answer.status === 409) {
    front = null;
    me.state = "waiting";
    phase = "waiting";
    return answer.body.poll_after_ms || 5000;
  }
  if (closed(answer)) return answer.wait || 60000;
  if (answer.status === 404) {
    // The ticket is not recognised here (a new key, another node): present it again.
    const before = me.ticket;
    const again = await ask("POST", "/tickets", me.ticket);
    if (again.ok && again.body.number) {
      adopt(again.body);
      if (me.ticket !== before) {
        phase = "waiting";
        me.state = "waiting";
        return 1000;
      }
    }
  }
  throw failure(answer);
};
// Going in is a reload. Someone who paused decides alone; without cookies a reload would only come
// back here, and after three returns in two minutes we stop trying and say so.
const enter = () => {
  const now = Date.now();
  const entries = (kept("entries") || "").split(",").filter(time => now - time < 120000);
  if (entries.length > 2) lost = true;
  if (paused || lost) {
    phase = "turn";
    return 0;
  }
  keep("entries", entries.concat(now).join(","));
  phase = "entering";
  setTimeout(() => location.reload(), 800);
  return 20000;
};

const look = async () => {
  const answer = await ask("GET", "/board");
  if (!answer.ok || !answer.body.board) throw failure(answer);
  const fresh = answer.body.board;
  if (board && board.epoch === fresh.epoch) fresh.cursor = Math.max(fresh.cursor, board.cursor);
  board = fresh;
  if (board.message !== (message && message.id)) await read();
  if (board.state === "ended" || board.state === "closed") {
    phase = board.state;
    return board.poll.max_ms;
  }
  if (me.epoch !== board.epoch) {
    // Numbers were begun anew: the server knows where this ticket stands among them.
    const mine = await ask("GET", "/ticket", me.ticket);
    if (mine.status === 404) return join();
    if (!mine.ok) throw failure(mine);
    adopt(mine.body);
    return next();
  }
  place(Math.max(0, me.number - board.cursor - 1));
  if (me.number <= board.cursor) return claim();
  phase = "waiting";
  return pace();
};
const read = async () => {
  if (!board.message) {
    message = { id: null, text: {} };
    return;
  }
  try {
    const answer = await ask("GET", "/messages");
    if (answer.ok) message = answer.body;
  } catch (e) { /* the next look tries again */ }
};
// The poll rule of the board; a tab that nobody sees asks half as often.
const pace = () => {
  const poll = board.poll;
  const ahead = Math.max(0, me.number - board.cursor - 1);
  const time = board.rate > 0 ? ahead / board.rate * 1000 / poll.divisor : 3 * poll.min_ms;
  return Math.min(poll.max_ms, Math.max(poll.min_ms, time)) * poll.scale * (document.hidden ? 2 : 1);
};

const step = async () => {
  clearTimeout(timer);
  if (busy) return;
  busy = true;
  let wait;
  try {
    wait = await (!me.number ? join() : me.state === "waiting" ? look() : claim());
    failures = 0;
    trouble = "";
  } catch (error) {
    failures += 1;
    trouble = error.busy ? "trouble_busy" : "trouble_network";
    // The jitter below must not undercut Retry-After.
    wait = Math.max((error.wait || 0) / 0.7, Math.min(60000, 1000 * Math.pow(2, failures)));
  }
  busy = false;
  last = Date.now();
  draw();
  if (wait) timer = setTimeout(step, wait * (0.7 + 0.6 * Math.random()));
};
const soon = () => {
  if (busy || phase === "turn" || phase === "done" || phase === "entering" || !me.number && !failures) return;
  if (Date.now() - last < 5000) return;
  clearTimeout(timer);
  timer = setTimeout(step, Math.random() * 1500);
};

// The estimate in minutes: a range about as wide as the pace of a line is uncertain.
const range = () => {
  if (!board || board.epoch !== me.epoch || !(board.rate > 0)) return null;
  const ahead = shown + 1;
  const wait = ahead / board.rate / 60;
  const spread = Math.min(0.4, 0.2 + 0.5 / Math.sqrt(ahead));
  const grain = wait < 20 ? 1 : wait < 60 ? 5 : wait < 240 ? 15 : 60;
  return {
    wait,
    low: Math.floor(wait / (1 + spread) / grain) * grain,
    high: Math.max(1, Math.ceil(wait * (1 + spread) / grain) * grain),
  };
};
const span = (t, minutes) => {
  const h = Math.floor(minutes / 60), m = minutes % 60;
  return h ? fits(m ? t.hours_minutes : t.hours, { h, m }) : fits(t.minutes, { m });
};
const waiting = (lang, t, r) => {
  if (board && board.state === "held") return t.wait_stopped;
  if (!r) return t.wait_unknown;
  if (r.low >= 1440) return fits(t.wait_over, { low: span(t, 1440) });
  if (r.low < 1) return fits(plural(lang, t, "wait_under", r.high), { n: r.high });
  if (r.high <= 90) return fits(t.wait_minutes, r);
  return fits(t.wait_long, { low: span(t, r.low), high: span(t, r.high) });
};
// Announced aloud at 1, 2, 5, 10, 20, 50 ... and when the line stops or starts: never at each poll.
const coarse = n => {
  let top = 1;
  for (let i = 0; top < n; i++) top *= i % 3 === 1 ? 2.5 : 2;
  return top;
};

const draw = () => {
  const held = board && board.state === "held";
  const r = phase === "waiting" ? range() : null;
  if (r && !held) {
    if (slow ? r.wait < best * 1.1 : r.wait > best * 1.3 + 1 && best) slow = !slow;
    if (!slow && (!best || r.wait < best)) best = r.wait;
  }
  const first = Number(kept("first-" + me.number)) || shown || 1;
  if (me.number && !kept("first-" + me.number)) keep("first-" + me.number, first);
  const turn = phase === "turn" || phase === "entering" || phase === "front";
  const news = [held ? board.reason : "", r ? "known" : "", coarse(shown || 0)].join();
  const speak = board && phase === "waiting" && news !== said;
  const joined = !said;
  if (speak) said = news;
  for (const pane of panes) {
    const t = pane.t, lang = pane.lang;
    const all = key => pane.el.querySelectorAll('[data-f="' + key + '"]');
    const put = (key, text) => all(key).forEach(el => {
      if (el.textContent !== text) el.textContent = text;
      if (el.tagName === "P" && key !== "alert" && key !== "say" && key !== "coded") el.hidden = !text;
    });
    pane.el.querySelectorAll("[data-in]").forEach(el => {
      el.hidden = el.dataset.in.split(" ").indexOf(phase) < 0;
    });
    put("heading", t["heading_" + (turn ? "turn" : phase)] || t.heading_waiting);
    put("lead", phase === "joining" ? (trouble ? "" : t.joining)
      : phase === "front" ? (front > 0 ? fits(plural(lang, t, "front_ahead", front), { n: figure(t, front) }) : t.front_next)
      : turn ? "" : t[phase] || "");
    put("alert", !turn ? "" : phase === "entering" ? t.entering
      : phase === "front" ? t.front
      : lost ? t.enter_cookies : t.enter_ready);
    // One lost poll is not worth a word: the time of the data says how old they are.
    const upset = failures > 1 || failures && !me.number;
    put("trouble", !upset ? "" : trouble === "trouble_network" && !me.ticket ? t.trouble_join : t[trouble]);
    all("again").forEach(el => { el.hidden = !upset; });
    if (lost) all("close").forEach(el => { el.hidden = true; });
    pane.el.querySelectorAll('[data-do="pause"]').forEach(el => { el.textContent = paused ? t.resume : t.pause; });
    all("code").forEach(el => { el.hidden = !lost || !me.ticket; });
    all("ticket").forEach(el => { if (el.value !== me.ticket) el.value = me.ticket || ""; });
    put("coded", coded && t[coded]);
    if (pane.el.classList.contains("on")) {
      document.title = (turn ? t.heading_turn : phase === "waiting" ? fits(t.title_waiting, { n: figure(t, shown) })
        : t["heading_" + phase]) + (data.title ? " · " + data.title : "");
    }
    if (paused && phase === "waiting") {
      put("note", t.paused);
      continue;
    }
    put("note", phase !== "waiting" || !board ? ""
      : held ? t["held_" + board.reason] || t.held_other
      : board.state === "draining" ? t.draining : slow ? t.slower : "");
    if (message) {
      const text = message.text[lang] || message.text[Object.keys(message.text)[0]] || "";
      all("message").forEach(el => { el.hidden = !text; });
      all("text").forEach(el => {
        el.textContent = text;
        el.lang = message.text[lang] ? lang : Object.keys(message.text)[0] || lang;
      });
    }
    if (phase !== "waiting") continue;
    const estimate = waiting(lang, t, r);
    put("ahead", figure(t, shown));
    put("number", figure(t, me.number));
    put("cursor", board && board.epoch === me.epoch ? figure(t, board.cursor) : "–");
    put("wait", estimate);
    put("updated", board ? fits(t.updated, { time: new Date(board.time_ms).toLocaleTimeString(lang) }) : "");
    pane.el.querySelectorAll("progress").forEach(el => { el.value = Math.max(0, 1 - shown / first); });
    if (speak) {
      put("say", (joined ? fits(t.say_joined, { number: figure(t, me.number) }) + " " : "")
        + (held ? t["held_" + board.reason] || t.held_other
          : fits(plural(lang, t, "say", shown), { n: figure(t, shown), wait: estimate })));
    }
  }
};

const choose = lang => {
  panes.forEach(pane => pane.el.classList.toggle("on", pane.lang === lang));
  root.lang = lang;
  keep("language", lang);
  draw();
};
const acts = {
  pause: () => { paused = !paused; draw(); },
  retry: step,
  enter: async () => {
    // The pass may have lapsed while nobody pressed: the claim is idempotent, so it is asked again.
    try { await ask("POST", "/claims", me.ticket); } catch (e) { /* the reload will tell */ }
    drop("entries");
    location.reload();
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
    phase = "joining";
    step();
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
    try {
      const answer = await ask("GET", "/ticket", code);
      coded = answer.ok ? "" : answer.status === 404 ? "code_unknown" : coded;
      if (answer.ok) {
        adopt(Object.assign({ ticket: code }, answer.body));
        phase = "waiting";
        step();
      }
    } catch (e) { /* the field keeps the code */ }
    draw();
  },
};
document.addEventListener("click", event => {
  const button = event.target.closest("[data-do]");
  if (button) acts[button.dataset.do](button);
  const link = event.target.closest("nav a");
  if (link) {
    // Switched in place: the fragment of the service's own address is not ours to change.
    event.preventDefault();
    choose(link.lang);
    panes.forEach(pane => { if (pane.lang === link.lang) pane.el.querySelector("h1").focus(); });
  }
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
addEventListener("online", soon);
addEventListener("pageshow", event => { if (event.persisted) { busy = false; step(); } });

const wanted = [kept("language"), location.hash.slice(1), root.lang];
choose(wanted.filter(lang => panes.some(pane => pane.lang === lang))[0]);
root.classList.add("js");
if (document.prerendering) document.addEventListener("prerenderingchange", step, { once: true });
else step();
})();
