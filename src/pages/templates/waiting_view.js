// What the page shows and what people can press. Shares its scope with waiting.js, which stands
// before it and knows the protocol.

// The estimate in minutes: a range about as wide as the pace of a line is uncertain.
const range = () => {
  if (!board || board.epoch !== me.epoch || !(board.rate > 0) || !(board.spread > 0)) return null;
  const ahead = shown + 1;
  const wait = ahead / board.rate / 60;
  const spread = board.spread;
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

// Times as the reader writes them: 24 hours in en-GB, 12 in en-US.
const clock = (lang, ms) => {
  const own = (navigator.languages || []).filter(tag => tag.split("-")[0] === lang)[0];
  return new Date(ms).toLocaleTimeString(own || lang);
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
    put("cursor", board && board.epoch === me.epoch && board.cursor ? figure(t, board.cursor) : "–");
    put("wait", estimate);
    put("updated", board ? fits(t.updated, { time: clock(lang, board.time_ms) }) : "");
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
