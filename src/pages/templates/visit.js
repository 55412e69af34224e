// Stands in pages of the service. Asks how long the visit may last, says so two minutes before its end, and
// asks for more time when somebody presses the button. Takes no focus, and asks nothing while all is well.
const WARN = 120000;
const tag = document.documentElement.lang.split("-")[0];
const own = data.text[tag] ? tag : data.language;
const text = data.text[own];
let box = null, timer = 0;

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
const button = (words, act) => {
  const element = made("button", words, { font: "inherit", margin: "0 .5rem 0 0", padding: ".5rem 1rem", minHeight: "2.75rem" });
  element.type = "button";
  element.addEventListener("click", act);
  return element;
};
// At the beginning of the page, where the keyboard comes first, and in sight wherever it is scrolled to.
const show = (words, more) => {
  if (box && box.dataset.words === words) return;
  close();
  box = made("section", "", {
    position: "sticky", top: "0", zIndex: "2147483647", padding: "1rem", font: "1rem/1.5 system-ui, sans-serif",
    color: "#17253a", background: "#fff6dc", border: "2px solid #b37a00",
  });
  box.lang = own;
  box.dataset.words = words;
  box.dataset.tornello = "visit";
  box.setAttribute("aria-label", text.label);
  document.body.prepend(box);
  const said = made("p", "", { margin: "0 0 .5rem" });
  said.setAttribute("role", "alert");
  box.append(said);
  if (more) box.append(button(data.more[own], extend));
  box.append(button(text.close, close));
  // Words that come into a region that is there already are read aloud.
  setTimeout(() => { said.textContent = words; }, 100);
};
const next = wait => {
  clearTimeout(timer);
  timer = setTimeout(look, wait);
};
const hear = visit => {
  const left = Math.min(visit.ends_in_ms, visit.idle_in_ms);
  if (left > WARN) {
    if (box && box.dataset.words !== text.extended) close();
    return next(Math.min(left - WARN, 3600000) + 500 * Math.random());
  }
  show(visit.extensions || visit.idle_in_ms < visit.ends_in_ms ? text.warn : text.last, visit.extensions || visit.idle_in_ms < visit.ends_in_ms);
  next(Math.max(2000, Math.min(left + 500, 15000)));
};
const look = async () => {
  try {
    const answer = await ask("GET", "/visit");
    if (answer.visit) hear(answer.visit);
    else if (answer.status === 404 && box) show(text.over, false);
    else if (answer.status !== 404) next(15000);
  } catch (e) {
    next(15000);
  }
};
const extend = async () => {
  try {
    const answer = await ask("POST", "/extension");
    if (!answer.visit) return void look();
    show(text.extended, false);
    box.querySelector("button").focus();
    next(5000);
  } catch (e) {
    next(2000);
  }
};
document.addEventListener("visibilitychange", () => { if (!document.hidden) next(1000 * Math.random()); });
look();
