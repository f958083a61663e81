// What is in a base, and what is put there.

import { Problem, documentPath, events, get, path, post, remove, send } from "./api.js";
import { byId, el, tell } from "./dom.js";
import { open } from "./reader.js";
import { word } from "./words.js";

const STEP = 50;
const MOST = 1000; // that the server gives at once
const LISTED = 200; // jobs, the last ones
const AHEAD = 100; // files that were sent and not yet read: a server remembers the last 1,000 jobs only
const FEW = 5; // files that are told of one by one
const ENDED = ["done", "failed", "cancelled"]; // states of jobs
const LATER = [0, 429, 503]; // no answer, and statuses that pass
const AGAIN = 2; // seconds until a stream is asked for again
const TRIES = 60; // of that

let base = "";
let next = "";
let caughtUp = new Map(); // jobs that had ended when they were listed last, by id
let listing = new AbortController(); // of the list that was asked for last

export function use(name) {
  if (name === base) return;
  base = name;
  listing.abort();
  byId("list").replaceChildren();
  byId("count").textContent = "";
  byId("more").hidden = true;
}

// `more`: the next rows; `renew`: those there are, without a step of who reads them.
export async function show({ more = false, renew = false } = {}) {
  const list = byId("list");
  const limit = renew ? Math.min(MOST, Math.max(STEP, list.childElementCount)) : STEP;
  const asked = new URLSearchParams({ limit: String(limit) });
  if (more) asked.set("after", next);
  const chosen = { path: pattern(byId("path").value.trim()), state: byId("state").value };
  for (const [name, value] of Object.entries(chosen)) if (value) asked.set(name, value);
  listing.abort();
  listing = new AbortController();
  const { signal } = listing;
  try {
    const [found, me] = await Promise.all([
      get(`${path(base, "documents")}?${asked}`, { signal }), get("/v1/me", { signal })]);
    if (signal.aborted) return;
    byId("documents").classList.toggle("keeps", me.role !== "reader");
    if (more) list.append(...found.documents.map(row));
    else if (renew) replace(found.documents);
    else list.replaceChildren(...found.documents.map(row));
    const none = chosen.path || chosen.state ? "none-such" : "nothing";
    byId("count").textContent = found.total ? word("count", { n: found.total }) : word(none);
    byId("more").hidden = !found.next;
    next = found.next ?? "";
  } catch (error) {
    if (!signal.aborted) tell(error.message);
  }
}

// A part of a name means all that have it.
const pattern = (name) => (!name || /[*?[]/.test(name) ? name : `*${name}*`);

// Rows that say the same stay; the focus stays in its row, or goes to the one in its place.
function replace(documents) {
  const list = byId("list");
  const old = [...list.children];
  const known = new Map(old.map((node) => [node.dataset.item, node]));
  const at = old.findIndex((node) => node.contains(document.activeElement));
  const action = document.activeElement.dataset.act;
  const rows = documents.map((item) => known.get(JSON.stringify(item)) ?? row(item));
  const kept = new Set(rows);
  for (const node of old) if (!kept.has(node)) node.remove();
  rows.forEach((node, place) => { if (list.children[place] !== node) list.insertBefore(node, list.children[place] ?? null); });
  if (at < 0 || list.contains(document.activeElement)) return;
  const same = rows.find((node) => node.dataset.uri === old[at].dataset.uri) ?? rows[Math.min(at, rows.length - 1)];
  const button = same?.querySelector(`[data-act="${action}"]`) ?? same?.querySelector("button") ?? byId("path");
  button.focus({ preventScroll: true });
}

function row(item) {
  const read = item.state === "ok" && item.chunks > 0;
  const name = read
    ? el("button", { type: "button", class: "name", onclick: () => open(base, { uri: item.uri, page: null, start: 0, end: 0 }) }, item.uri)
    : el("span", { class: "name" }, item.uri);
  const node = el("li", { class: `document ${item.state}`, "data-uri": item.uri, "data-item": JSON.stringify(item) }, name,
    el("span", { class: "facts" }, word(`state-${item.state}`), " · ", item.kind,
      item.chunks ? ` · ${word("passages", { n: item.chunks })}` : null),
    item.error ? el("p", { class: "fault" }, item.error) : null);
  const acts = el("span", { class: "acts" },
    act("again", item.uri, () => again(item)), act("delete", item.uri, () => drop(item)));
  if (!item.container) node.append(acts);
  if (read && item.poor) node.append(poorly(item));
  return node;
}

const act = (name, uri, onclick) => el("button", {
  type: "button", class: name === "delete" && "danger", "data-act": name, "aria-label": word(`${name}-one`, { name: uri }), onclick,
}, word(name));

// What is wrong is asked for when somebody wants to know: a list may have hundreds of these.
function poorly(item) {
  const url = documentPath(base, item.uri, "quality");
  const panel = el("details", { class: "poor" }, el("summary", {}, word("poor")));
  panel.addEventListener("toggle", async () => {
    if (!panel.open || panel.childElementCount > 1) return;
    const lines = await get(url).then(({ complaints }) => complaints.map(complaint), (error) => [error.message]);
    panel.append(...lines.slice(0, 20).map((line) => el("p", {}, line)));
  });
  return panel;
}

const complaint = ({ page, reasons, cure }) =>
  `${page == null ? "" : `${word("page", { n: page })}: `}${reasons.join(", ")}${cure && ` – ${cure}`}`;

function drop(item) {
  const sure = byId("sure");
  byId("sure-words").textContent = word("sure", { name: item.uri });
  sure.returnValue = "no";
  sure.onclose = async () => {
    if (sure.returnValue !== "yes") return;
    try {
      await remove(documentPath(base, item.uri));
      note(item.uri).textContent = word("deleted", { name: item.uri });
      await show({ renew: true });
    } catch (error) {
      tell(error.message);
    }
  };
  sure.showModal();
}

async function again(item) {
  const line = note(item.uri);
  const into = base; // another one may be chosen meanwhile
  try {
    await follow(into, item.uri, await post(documentPath(into, item.uri, "reingest")), line);
    await show({ renew: true });
  } catch (error) {
    fault(line, item.uri, error.message);
  }
}

function note(name) {
  const lines = byId("uploads");
  for (const line of lines.children) if (line.dataset.name === name) line.remove();
  return lines.appendChild(el("li", { "data-name": name }));
}

function fault(line, name, why) {
  line.className = "fault";
  line.hidden = false;
  line.textContent = word("failed", { name, why });
}

// Files are sent while those before them are read. Of many, only those with a fault have a line.
async function upload(files) {
  const into = base;
  const sum = files.length > FEW ? byId("uploads").appendChild(el("li", { "aria-live": "off" })) : null;
  const ended = { read: 0, faults: 0 };
  const count = (line) => {
    if (line) ended[line.className === "fault" ? "faults" : "read"] += 1;
    if (sum) sum.textContent = word("many", { ...ended, total: files.length });
  };
  count(null);
  let reading = Promise.resolve();
  let waiting = 0; // files that were sent
  let last = null;
  const see = async ({ uri, job }, line) => {
    const known = caughtUp.get(job.id);
    await follow(into, uri, known ?? job, line).catch((error) => fault(line, uri, error.message));
    waiting -= 1;
    count(line);
    if (!known && waiting > FEW) caughtUp = await endedJobs(into);
    if (line === last) await show({ renew: true });
  };
  for (const { file, name } of files) {
    const line = last = note(name);
    line.hidden = sum !== null;
    if (waiting >= AHEAD) await reading;
    line.textContent = word("sending", { name });
    try {
      const taken = await patiently(() => send(`${path(into, "documents")}?uri=${encodeURIComponent(name)}`, file));
      waiting += 1;
      reading = reading.then(() => see(taken, line));
    } catch (error) {
      fault(line, name, error.message);
      count(line);
    }
  }
  await reading;
  sum?.removeAttribute("aria-live");
  count(null); // said aloud
  if (last?.className === "fault") await show({ renew: true });
}

// What is sent too often is sent again when the server says so.
async function patiently(ask) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (error.status !== 429) throw error;
      await pause(error.wait || 1);
    }
  }
}

const pause = (seconds) => new Promise((go) => { setTimeout(go, 1000 * seconds); });

// Uploads are read together: what became of those that wait is asked for at once.
async function endedJobs(into) {
  const { jobs } = await get(`${path(into, "ingest-jobs")}?limit=${LISTED}`).catch(() => ({ jobs: [] }));
  return new Map(jobs.filter((job) => ENDED.includes(job.state)).map((job) => [job.id, job]));
}

// Until a job has ended: a server that ends takes it up when it starts again.
async function follow(into, name, job, line) {
  const url = path(into, "ingest-jobs", job.id, "events");
  let now = job;
  tellOf(name, now, line);
  for (let lost = 0; !ENDED.includes(now.state); lost++) {
    if (lost) await pause(AGAIN);
    try {
      for await (const [event, said] of events(url)) {
        if (event === "error") throw new Problem(said.detail || said.title, said.status);
        lost = 0;
        now = said;
        tellOf(name, now, line);
      }
    } catch (error) {
      if (lost === TRIES || !LATER.includes(error.status)) throw error;
    }
  }
}

function tellOf(name, { state, progress, report, error }, line) {
  const { done = 0, total = 1 } = progress;
  if (state === "queued") line.textContent = word("waiting", { name });
  if (state === "running") line.textContent = word(total > 1 ? "reading-of" : "reading", { name, done, total });
  if (state === "failed" || state === "cancelled") fault(line, name, error || state);
  if (state !== "done") return;
  const failure = report.failures[0] ?? report.skips?.[0];
  if (failure) fault(line, failure.uri, failure.reason);
  else line.textContent = word(report.chunks ? "read" : "unchanged", { name, chunks: report.chunks });
}

// The files of a drop, those in its folders by their path. In folders, as everywhere, hidden ones
// are nobody's documents.
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map(named);
  const found = [];
  for (const entry of entries) await gather(entry, found);
  return found;
}

async function gather(entry, found) {
  if (entry.isFile) {
    found.push({ file: await new Promise((take, fail) => { entry.file(take, fail); }), name: entry.fullPath.slice(1) });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((take, fail) => { reader.readEntries(take, fail); });
    if (!some.length) return;
    for (const one of some) if (!one.name.startsWith(".")) await gather(one, found);
  }
}

const named = (file) => ({ file, name: file.name });

// A file that misses the zone would take the place of the page.
for (const kind of ["dragover", "drop"]) {
  window.addEventListener(kind, (event) => { if (event.dataTransfer.types.includes("Files")) event.preventDefault(); });
}

const zone = byId("drop");
for (const kind of ["dragenter", "dragover"]) {
  zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("over"); });
}
zone.addEventListener("dragleave", () => zone.classList.remove("over"));
zone.addEventListener("drop", async (event) => {
  event.preventDefault();
  zone.classList.remove("over");
  try {
    await upload(await dropped(event.dataTransfer));
  } catch (error) {
    tell(error.message);
  }
});
byId("files").addEventListener("change", async (event) => {
  const files = [...event.target.files].map(named);
  event.target.value = ""; // the same ones may be chosen again
  await upload(files);
});
byId("find").addEventListener("submit", (event) => { event.preventDefault(); show(); });
byId("more").addEventListener("click", () => show({ more: true }));
