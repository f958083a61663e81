// Questions and answers.

import { events, get, path, post, remove } from "./api.js";
import { byId, el, tell } from "./dom.js";
import { render } from "./markdown.js";
import { open } from "./reader.js";
import { word } from "./words.js";

const OPEN = "kbqa.conversation"; // what a reloaded page shows again
const FILTER = "kbqa.filter";
const MARKS = /\s*\[(?:\d{1,3}|unsupported)\]/g;

let base = "";
let conversation = null; // id, from the first question on
let running = null; // the question that is being answered
let shown = new AbortController(); // of what the base and its conversation are asked for besides

export function use(name) {
  const open = sessionStorage.getItem(OPEN)?.split(" ") ?? [];
  base = name;
  begin();
  if (open[0] === name) resume(open[1]);
}

function enter(id) {
  conversation = id;
  if (id) sessionStorage.setItem(OPEN, `${base} ${id}`);
  else sessionStorage.removeItem(OPEN);
}

function begin() {
  running?.abort();
  if (running) busy(false);
  running = null;
  shown.abort();
  shown = new AbortController();
  enter(null);
  byId("talk").replaceChildren();
  byId("welcome").hidden = false;
  byId("anew").hidden = true;
  listEarlier();
}

async function listEarlier() {
  const earlier = byId("earlier");
  const { signal } = shown;
  const url = path(base, "conversations");
  const { conversations } = await get(url, { signal }).catch(() => ({ conversations: [] }));
  if (signal.aborted) return;
  const said = conversations.filter((one) => one.exchanges);
  earlier.hidden = !said.length;
  earlier.querySelector("ul").replaceChildren(...said.slice(0, 30).map((one) => {
    const node = el("li", {}, el("button", { type: "button", class: "name", onclick: () => resume(one.id) }, one.title),
      el("button", {
        type: "button", class: "danger", "aria-label": word("forget", { title: one.title }),
        onclick: async () => { await remove(path(base, "conversations", one.id)).catch((error) => tell(error.message)); listEarlier(); },
      }, "×"));
    return node;
  }));
}

async function resume(id) {
  const { signal } = shown;
  try {
    const { exchanges } = await get(path(base, "conversations", id), { signal });
    if (signal.aborted || running) return;
    enter(id);
    byId("talk").replaceChildren();
    for (const said of exchanges) complete(draw(said.question), said.question, said, "");
    byId("talk").lastElementChild?.scrollIntoView({ block: "nearest" });
    byId("anew").hidden = false;
    byId("words").focus();
  } catch (error) {
    if (!signal.aborted) tell(error.message);
  }
}

byId("filter").value = sessionStorage.getItem(FILTER) ?? "";
byId("filter").addEventListener("input", () => sessionStorage.setItem(FILTER, byId("filter").value));
byId("anew").addEventListener("click", () => { begin(); byId("words").focus(); });
byId("stop").addEventListener("click", () => running?.abort());
byId("words").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    byId("question").requestSubmit();
  }
});
byId("question").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = byId("words");
  const question = words.value.trim();
  if (!question || running || !base) return;
  words.value = "";
  ask(question);
});

async function ask(question) {
  const filter = byId("filter").value.trim();
  const exchange = draw(question);
  const status = (name) => follow(exchange.node, () => {
    exchange.status.textContent = byId("told").textContent = name ? word(name) : "";
  });
  const asked = running = new AbortController();
  const { signal } = asked;
  busy(true);
  status("looking");
  tell("");
  let text = "";
  let answer = null;
  let frame = 0; // of the next drawing: tokens may come faster than a screen shows them
  const write = () => {
    frame = 0;
    follow(exchange.node, () => exchange.answer.replaceChildren(...render(text, () => null, () => doubt())));
  };
  try {
    const kept = path(base, "conversations");
    const id = conversation ?? (await post(kept, undefined, { signal })).id;
    signal.throwIfAborted();
    enter(id);
    const stream = events(`${kept}/${id}/ask`, { method: "POST", json: { question, filter }, signal });
    for await (const [event, value] of stream) {
      if (event === "token") {
        text += value.text;
        status("writing");
        frame ||= requestAnimationFrame(write);
      } else if (event === "done") answer = value;
      else if (event === "error") throw new Error(value.detail || value.title);
    }
    if (!answer) throw new Error(word("cut"));
    cancelAnimationFrame(frame);
    status("");
    const read = atEnd(exchange.node);
    complete(exchange, question, answer, filter);
    if (read) exchange.node.scrollIntoView({ block: "nearest" });
  } catch (error) {
    cancelAnimationFrame(frame);
    if (running !== asked) return; // another conversation is shown
    if (frame) write();
    const stopped = error.name === "AbortError";
    status(stopped ? "stopped" : "");
    const fault = () => exchange.answer.append(el("p", { class: "fault", role: "alert" }, error.message));
    if (stopped) return;
    follow(exchange.node, fault);
    byId("words").value ||= question; // to be asked again
  } finally {
    if (running === asked) {
      running = null;
      busy(false);
    }
  }
}

// The focus moves on from a button that goes, not from where somebody has put it meanwhile.
function busy(is) {
  const unused = [byId("stop"), document.body, null].includes(document.activeElement);
  byId("send").hidden = is;
  byId("stop").hidden = !is;
  byId("anew").hidden = is;
  if (is) byId("stop").focus({ preventScroll: true });
  else if (unused) byId("words").focus({ preventScroll: true });
}

// Pixels of an exchange that are below what can be read: below the box of the question, as it lies.
const below = (node) => node.getBoundingClientRect().bottom + 8
  - Math.min(byId("question").getBoundingClientRect().top, window.innerHeight);
const atEnd = (node) => below(node) < 24;

// Who reads the end goes on reading it; who has scrolled up is left there.
function follow(node, change) {
  const read = atEnd(node);
  change();
  if (read) window.scrollBy(0, Math.max(0, below(node)));
}

function draw(question) {
  const answer = el("div", { class: "answer" });
  const status = el("p", { class: "status" });
  const node = el("article", { class: "exchange", "aria-label": question },
    el("h2", { class: "asked" }, question), status, answer);
  byId("welcome").hidden = true;
  byId("talk").append(node);
  window.scrollBy(0, Math.max(0, below(node)));
  return { node, answer, status };
}

function complete(exchange, question, answer, filter) {
  const { node } = exchange;
  const citations = new Map(answer.citations.map((citation) => [citation.number, citation]));
  const mark = (number) => (citations.has(number) ? button(citations.get(number)) : null);
  exchange.answer.replaceChildren(...render(answer.text, mark, () => doubt()));
  if (answer.abstained) {
    node.classList.add("refused");
    exchange.answer.prepend(el("h3", {}, word("refused")));
    if (answer.hits?.length) exchange.answer.append(nearest(answer.hits.slice(0, 3))); // not kept
  } else if (answer.citations.length) exchange.answer.append(sources(answer.citations));
  if (answer.doubtful) exchange.answer.prepend(el("p", { class: "weak", role: "note" }, word("weak")));
  for (const note of answer.notes) exchange.answer.append(el("p", { class: "note" }, note));
  node.append(el("footer", {}, thumbs(question, answer), why(question, filter, answer)));
  byId("told").textContent = word("told", { question, answer: answer.text.replace(MARKS, "") });
}

const doubt = () => el("em", { class: "doubt" }, `(${word("unsupported")})`);

const place = (item) => [item.title || item.uri, item.page == null ? null : word("page", { n: item.page }),
  ...(item.heading ?? []).filter((heading) => heading !== item.title)].filter(Boolean).join(" › ");

function button(citation) {
  const label = word("show_source", { n: citation.number, title: citation.title || citation.uri });
  const node = el("button", {
    type: "button", class: "cite", "aria-label": label, "aria-describedby": "tip",
    onclick: () => { hide(); open(base, citation); },
    onmouseenter: () => hint(node, citation), onfocus: () => hint(node, citation),
    onmouseleave: hide, onblur: hide,
  }, String(citation.number));
  return node;
}

function hint(node, citation) {
  const tip = byId("tip");
  tip.replaceChildren(el("q", {}, citation.quote), el("small", {}, place(citation)));
  tip.hidden = false;
  const box = node.getBoundingClientRect();
  const left = Math.max(8, Math.min(box.left, window.innerWidth - tip.offsetWidth - 8));
  const below = box.bottom + 6 + tip.offsetHeight < window.innerHeight;
  tip.style.left = `${left}px`;
  tip.style.top = `${below ? box.bottom + 6 : box.top - tip.offsetHeight - 6}px`;
}

function hide() {
  byId("tip").hidden = true;
}

document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
document.addEventListener("scroll", hide, { passive: true });

function sources(citations) {
  return el("section", { class: "sources" }, el("h3", {}, word("sources")), el("ol", {},
    ...citations.map((citation) => el("li", { value: citation.number }, passage(citation, citation.quote, citation.number),
      citation.verified ? null : el("em", { class: "doubt" }, ` (${word("unverified")})`)))));
}

function nearest(hits) {
  return el("section", { class: "sources" }, el("h3", {}, word("nearest")), el("ol", {},
    ...hits.map((hit) => el("li", {}, passage(hit, hit.text.slice(0, 300))))));
}

const passage = (item, quote, number) => el("button", { type: "button", class: "passage", onclick: () => open(base, item) },
  el("cite", {}, number ? el("span", { class: "number" }, `${number} `) : null, place(item)), el("span", { class: "uri" }, item.uri), el("q", {}, quote));

function thumbs(question, answer) {
  const group = el("div", { class: "thumbs", role: "group" });
  const vote = async (helpful) => {
    const cited = answer.citations.map(({ uri, page, start, end }) => ({ uri, page, start, end }));
    try {
      await post(path(base, "feedback"), { question, answer: answer.text, helpful, citations: cited });
      group.replaceChildren(el("span", { role: "status" }, word("thanks")));
    } catch (error) {
      tell(error.message);
    }
  };
  for (const [helpful, name] of [[true, "helpful"], [false, "unhelpful"]]) {
    group.append(el("button", { type: "button", onclick: () => vote(helpful) }, word(name)));
  }
  return group;
}

function why(question, filter, answer) {
  const body = el("div", { class: "scroll", tabindex: "0" });
  const panel = el("details", { class: "why" }, el("summary", {}, word("explain")), body);
  panel.addEventListener("toggle", async () => {
    if (!panel.open || body.childElementCount) return;
    try {
      const query = answer.query || question; // a follow-up says too little by itself
      const found = await post(path(base, "search"), { query, filter, explain: true });
      body.replaceChildren(...reasons(found, answer, query));
    } catch (error) {
      body.replaceChildren(el("p", { class: "fault" }, error.message));
    }
  });
  return panel;
}

const figure = (value) => Number(value).toFixed(3);
const pairs = (values) => Object.entries(values).map(([name, value]) => `${name} ${figure(value)}`).join(", ");
const milliseconds = (values) => Object.entries(values).map(([name, value]) => `${name} ${(1000 * value).toFixed(1)} ms`).join(", ");

function reasons({ hits, explanation }, answer, query) {
  const row = (cells, tag = "td") => el("tr", {}, ...cells.map((cell) => el(tag, {}, cell)));
  const leg = (hit, name) => (hit.legs[name] ? `${hit.legs[name].rank} · ${figure(hit.legs[name].score)}` : "–");
  const names = [...new Set(hits.flatMap((hit) => Object.keys(hit.legs)))];
  return [
    el("dl", {},
      el("dt", {}, word("query")), el("dd", {}, query),
      el("dt", {}, word("evidence")), el("dd", {}, figure(explanation.evidence)),
      el("dt", {}, word("weights")), el("dd", {}, pairs(explanation.weights)),
      el("dt", {}, word("timings")), el("dd", {}, milliseconds({ ...explanation.timings, ...answer.timings })),
      el("dt", {}, word("model")), el("dd", {}, answer.model)),
    el("table", {}, el("thead", {}, row(["", word("score"), ...names], "th")), el("tbody", {},
      ...hits.map((hit) => row([place(hit), figure(hit.score), ...names.map((name) => leg(hit, name))])))),
  ];
}
