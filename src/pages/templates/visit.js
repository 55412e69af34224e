// Stands in pages of the service. Asks how long the visit may last, says so two minutes before its end (at
// half of a shorter idle time), and asks for more time when somebody presses the button. Takes no focus, and
// asks nothing while all is well or nobody looks.
const WARN = data.warn_ms;
// An idle visit to which nothing happens, because nobody needs the seat, is looked at so seldom.
const IDLE = 60000;
const tag = document.documentElement.lang.split("-")[0];
const own = data.text[tag] ? tag : data.language;
const text = data.text[own];
// What was said last, and what somebody closed, with the extensions that were left: no warning comes back.
let box = null, timer = 0, said = "", closed = "";

const ask = async (method, path) => {
  const answer = await fetch(data.base + path, { method, headers: { Accept: "application/json" }, credentials: "same-origin" });
  return { status: answer.status, visit: answer.ok ? (await answer.json()).visit : null };
};
// Styles are set by the object model, which a strict policy of the page allows.
const made = (name, words, style) => {
  const element = document.createElement(name);
  element.textContent = words;
  Object.assign(element.style, style);
  return element;
};
const close = () => {
  if (box) box.remove();
  box = null;
};
const dismiss = () => {
  closed = said;
  close();
};
const button = (words, act) => {
  const element = made("button", words, { font: "inherit", margin: "0 .5rem 0 0", padding: ".5rem 1rem", minHeight: "2.75rem" });
  element.type = "button";
  element.addEventListener("click", act);
  return element;
};
// At the beginning of the page, where the keyboard comes first, and in sight wherever it is scrolled to.
const show = (words, more, left) => {
  const news = words + left;
  if (news === closed || box && news === said) return;
  close();
  said = news;
  box = made("section", "", {
    position: "sticky", top: "0", zIndex: "2147483647", padding: "1rem", font: "1rem/1.5 system-ui, sans-serif",
    color: "#17253a", background: "#fff6dc", border: "2px solid #b37a00",
  });
  box.lang = own;
  box.dataset.words = words;
  box.dataset.tornello = "visit";
  box.setAttribute("aria-label", text.label);
  document.body.prepend(box);
  const line = made("p", "", { margin: "0 0 .5rem" });
  line.setAttribute("role", "alert");
  box.append(line);
  if (more) box.append(button(data.more[own], extend));
  box.append(button(text.close, dismiss));
  // Words that come into a region that is there already are read aloud.
  setTimeout(() => { line.textContent = words; }, 100);
};
const next = wait => {
  clearTimeout(timer);
  timer = setTimeout(look, wait);
};
const hear = visit => {
  // Idle for as long as it may be, and not ended: nobody needs the seat, and no end is near.
  const idle = visit.idle_in_ms || Infinity;
  const left = Math.min(visit.ends_in_ms, idle);
  if (left > WARN) {
    if (box && box.dataset.words !== text.extended) close();
    said = closed = "";
    const wait = Math.min(left - WARN, 3600000) + 500 * Math.random();
    return next(idle < Infinity ? wait : Math.min(wait, IDLE));
  }
  const more = visit.extensions > 0 || idle < visit.ends_in_ms;
  show(more ? text.warn : text.last, more, visit.extensions);
  next(Math.max(5000, Math.min(left + 500, 15000)));
};
const look = async () => {
  // Who comes back is told at once, see below.
  if (document.hidden) return;
  try {
    const answer = await ask("GET", "/visit");
    if (answer.visit) hear(answer.visit);
    else if (answer.status === 404 && (said || box)) show(text.over, false, 0);
    else if (answer.status !== 404) next(15000);
  } catch (e) {
    next(15000);
  }
};
const extend = async () => {
  try {
    const answer = await ask("POST", "/extension");
    if (!answer.visit) return void look();
    closed = "";
    show(text.extended, false, answer.visit.extensions);
    box.querySelector("button").focus();
    next(5000);
  } catch (e) {
    next(2000);
  }
};
document.addEventListener("visibilitychange", () => { if (!document.hidden) next(1000 * Math.random()); });
look();
