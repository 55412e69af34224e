// The protocol: the page joins by itself, follows the board and goes in when it is called. It never loses the
// ticket by an error: only a visitor who asks for a new place gives up the old one.
const root = document.documentElement;
let data = JSON.parse(document.getElementById("data").textContent);
let pane = document.querySelector(".pane");

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
let failures = 0, trouble = "", paused = false, busy = false, timer = 0, last = 0, best = 0, slow = false, skew = 0;
// The code of an invitation, as it was typed, and why it was none.
let invitation = "", uninvited = "";
let said = "", coded = "", foreign = false, lost = !cookies();
// The call of this ticket: until when it stands, by this clock, and how often it can be extended.
let call = null, warned = "", wanted = false, none = false;
// The code by which the place moves to another device, and until when it counts.
let handoff = "", handing = 0;

const fits = (text, values) => text.replace(/\{(\w+)\}/g, (all, key) => key in values ? values[key] : all);
const plural = (key, n) => {
  let form = n === 1 ? "one" : "other";
  try { form = new Intl.PluralRules(pane.lang).select(n); } catch (e) { /* the two forms do */ }
  return data.text[key + "_" + form] || data.text[key + "_other"];
};
const figure = n => String(n).replace(/\B(?=(\d{3})+$)/g, data.thousands);
// Going in is a reload of the service's address. Only the queue's own address leads elsewhere, on this host.
const go = () => {
  if (location.pathname.indexOf("/.tornello/")) return location.reload();
  const home = new URLSearchParams(location.search).get("return") || "/";
  location.replace(location.origin + (home[0] === "/" ? home : "/"));
};

// An answer that is neither a success nor one that the caller expects is a failure to be retried.
const failure = answer => {
  const error = new Error("answer");
  error.wait = answer.wait;
  error.busy = true;
  return error;
};
const ask = async (method, path, ticket, more) => {
  const stop = new AbortController();
  const late = setTimeout(() => stop.abort(), 10000);
  try {
    const headers = Object.assign({ Accept: "application/json" }, more);
    if (ticket) headers["Tornello-Ticket"] = ticket;
    if (invitation && path === "/tickets") headers["Tornello-Invitation"] = invitation;
    const answer = await fetch(data.base + path, { method, headers, credentials: "same-origin", signal: stop.signal });
    const date = Date.parse(answer.headers.get("Date"));
    if (date) skew = date - Date.now();
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
    shown = front = null;
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
  if (answer.ok || reason !== "ended" && reason !== "closed" && reason !== "sold_out" && reason !== "moved") return false;
  phase = reason;
  return true;
};

// Only whoever is invited has a place here: the code is asked for.
const outside = answer => {
  const reason = answer.body.reason || "";
  if (answer.ok || reason.indexOf("invitation") < 0) return false;
  phase = "invitation";
  uninvited = reason === "no_invitation" ? "" : reason;
  invitation = "";
  return true;
};

// Until the opening, in the server's time: the clock of a telephone may be wrong.
const left = () => board && board.opens_ms ? board.opens_ms - Date.now() - skew : 0;
// The states of one who waits that have a page of their own; all others look like waiting.
const stands = state => state === "late" || state === "slot" || state === "prequeue" ? state : "waiting";
// Who is to be drawn looks at the board, which any cache may hold, and asks again when the draw is over.
const undrawn = () => board.state === "prequeue" || board.reason === "draw";
const lull = (wait, long) => Math.min(wait || long, left() > 0 ? Math.max(1000, left()) : long);
const join = async () => {
  if (phase === "prequeue" && board && handing <= Date.now()) {
    const answer = await ask("GET", "/board");
    board = answer.body.board || board;
    if (undrawn()) return lull(0, Math.min(board.poll.max_ms, left() > 0 ? 60000 : 20000));
  }
  const answer = await ask("POST", "/tickets", me.ticket);
  if (outside(answer)) return 0;
  const shut = closed(answer), drawn = answer.body.state === "prequeue";
  if (phase === "closed" || drawn) board = (await ask("GET", "/board")).body.board || board;
  if (drawn) phase = "prequeue", me.ticket = answer.body.ticket, keep("ticket", me.ticket);
  // A board from a cache may still be that of a room without places: the next look has another.
  if (drawn && board && !undrawn()) return board.poll.max_ms;
  if (phase === "moved") return 0;
  if (shut || drawn) return lull(answer.wait, 60000);
  if (!answer.ok || !answer.body.number) throw failure(answer);
  invitation = uninvited = "";
  adopt(answer.body);
  return next();
};
// Who has stopped the page, is not looking, or would not be recognised inside is not taken in: a seat would
// be used up by nobody. The call stands meanwhile, and this page says for how long.
const calm = () => !wanted && (data.asks || paused || lost || document.hidden);
const told = body => {
  call = body.call ? { ends: Date.now() + body.call.ends_in_ms, more: body.call.extensions } : null;
};
const called = async () => {
  if (!calm()) return claim();
  const mine = await ask("GET", "/ticket", me.ticket);
  if (mine.status === 404 || mine.status === 410 || mine.ok && mine.body.state === "late") return claim();
  if (!mine.ok) throw failure(mine);
  adopt(mine.body);
  if (me.state !== "called") return next();
  told(mine.body);
  phase = "called";
  return call ? Math.max(1000, Math.min(15000, (call.ends - Date.now()) / 3)) : 5000;
};
// Whoever has a slot is called from then on, wherever the line is.
const due = () => me.slot && me.slot.state === "taken" && me.slot.from_ms <= Date.now() + skew;
const away = () => me.slot && me.slot.state === "taken" ? "slot" : "waiting";
// It stood still for a minute or more since this page heard when the slot begins. While it does the reason is said, and
// nobody asks at every look.
const moved = () => board.state !== "held" && away() === "slot" && board.stood_still_s >= 0 && !(Math.abs(board.stood_still_s - me.still) < 60);
const next = () => {
  if (me.state === "done") {
    phase = "done";
    return 0;
  }
  const other = stands(me.state) !== "waiting" && !due();
  if (other || me.state === "sold_out") phase = stands(me.state), me.state = "waiting";
  if (other) return board ? pace() : 5000;
  if (me.state === "called") return called();
  if (me.state !== "waiting") return claim();
  phase = "waiting";
  return board ? pace() : 300 + Math.random() * 900;
};
const claim = async () => {
  const answer = await ask("POST", "/claims", me.ticket);
  if (answer.status === 202) {
    phase = answer.body.state === "late" ? "late" : "front";
    me.state = phase === "late" ? "late" : "front_row";
    front = Math.min(front === null ? Infinity : front, answer.body.ahead || 0);
    return answer.body.poll_after_ms || 1000;
  }
  if (answer.ok) return enter();
  if (answer.status === 409) {
    front = null;
    me.slot = answer.body.slot;
    me.state = "waiting";
    phase = stands(answer.body.state);
    return answer.body.poll_after_ms || 5000;
  }
  if (closed(answer)) return phase === "moved" ? 0 : answer.wait || 60000;
  if (answer.body.reason === "done") {
    phase = "done";
    return 0;
  }
  if (answer.status === 404) {
    // The ticket is not recognised here (a new key, another node): present it again.
    const before = me.ticket;
    const again = await ask("POST", "/tickets", me.ticket);
    if (outside(again)) return delete me.number, 0;
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
  setTimeout(go, 800);
  return 20000;
};

const look = async () => {
  const answer = await ask("GET", "/board");
  if (!answer.ok || !answer.body.board) throw failure(answer);
  const fresh = answer.body.board;
  // Where there are lanes, mine is the line that counts.
  Object.assign(fresh, (fresh.lanes || []).find(lane => lane.name === me.lane));
  if (board && board.epoch === fresh.epoch && board.name === fresh.name) fresh.cursor = Math.max(fresh.cursor, board.cursor);
  board = fresh;
  if (board.message !== (message && message.id)) await read();
  if (board.state === "ended" || board.state === "closed") {
    phase = board.state;
    return board.poll.max_ms;
  }
  if (board.remaining === 0) {
    phase = "sold_out";
    return board.poll.max_ms;
  }
  // Numbers were begun anew, or times moved while the room stood still: the server knows what is so of this ticket.
  // Or this place may be on another device by now.
  if (me.epoch !== board.epoch || moved() || handing > Date.now()) {
    const still = board.stood_still_s;
    const mine = await ask("GET", "/ticket", me.ticket);
    if (mine.status === 404) return join();
    if (closed(mine)) return 0;
    if (!mine.ok) throw failure(mine);
    adopt(mine.body);
    me.still = still;
    return next();
  }
  place(Math.max(0, me.number - board.cursor - 1));
  if (me.number <= board.cursor || due()) return called();
  phase = away();
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
  const { min_ms: min, max_ms: max, divisor, scale } = board.poll;
  const ahead = Math.max(0, me.number - board.cursor - 1);
  const wait = board.rate > 0 ? ahead / board.rate * 1000 : 0;
  const time = left() > 0 ? Math.max(min, Math.min(max, left() / divisor)) : wait ? Math.min(Math.max(min, wait / 2), Math.max(min, Math.min(scale * max, scale * wait / divisor)))
    : ahead < 50 || board.rate > 0 ? min : Math.min(max, 3 * min) * scale;
  return time * (document.hidden ? 2 : 1);
};

const step = async () => {
  clearTimeout(timer);
  if (busy) return;
  busy = true;
  let wait;
  try {
    wait = await (!me.number ? join() : me.state === "waiting" ? look() : me.state === "called" ? called() : claim());
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
  if (phase === "called" && !calm()) return void step();
  if (busy || phase === "turn" || phase === "done" || phase === "moved" || phase === "invitation" || phase === "entering" || !me.number && !failures) return;
  if (Date.now() - last < 5000) return;
  clearTimeout(timer);
  timer = setTimeout(step, Math.random() * 1500);
};
