// What is in a base, and what is put there.

import { documentPath, events, get, path, post, remove, send } from "./api.js";
import { byId, el, tell } from "./dom.js";
import { open } from "./reader.js";
import { word } from "./words.js";

const STEP = 50;
const MOST = 1000; // that the server gives at once

let base = "";
let next = "";
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
  for (const name of ["path", "state"]) if (byId(name).value) asked.set(name, byId(name).value);
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
    byId("count").textContent = found.total ? word("count", { n: found.total }) : word("nothing");
    byId("more").hidden = !found.next;
    next = found.next ?? "";
  } catch (error) {
    if (!signal.aborted) tell(error.message);
  }
}

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
  if (read) complain(item, node);
  return node;
}

const act = (name, uri, onclick) => el("button", {
  type: "button", class: name === "delete" && "danger", "data-act": name, "aria-label": word(`${name}-one`, { name: uri }), onclick,
}, word(name));

async function complain(item, node) {
  if (!Object.keys(item.quality).length) return;
  const quality = await get(documentPath(base, item.uri, "quality")).catch(() => null);
  if (!quality?.poor && !quality?.complaints.length) return;
  const why = quality.complaints.flatMap(({ page, reasons, cure }) =>
    [`${page == null ? "" : `${word("page", { n: page })}: `}${reasons.join(", ")}`, cure].filter(Boolean));
  node.append(el("details", { class: "poor" }, el("summary", {}, word("poor")),
    ...why.slice(0, 20).map((line) => el("p", {}, line))));
}

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
  line.textContent = word("failed", { name, why });
}

async function upload(files) {
  const into = base;
  for (const file of files) {
    const line = note(file.name);
    line.textContent = word("sending", { name: file.name });
    try {
      const taken = await send(`${path(into, "documents")}?uri=${encodeURIComponent(file.name)}`, file);
      await follow(into, taken.uri, taken.job, line);
    } catch (error) {
      fault(line, file.name, error.message);
    }
  }
}

async function follow(into, name, job, line) {
  line.textContent = word("waiting", { name });
  for await (const [, now] of events(path(into, "ingest-jobs", job.id, "events"))) {
    const { done = 0, total = 1 } = now.progress;
    if (now.state === "running") line.textContent = word("reading", { name, done, total });
    if (now.state === "failed" || now.state === "cancelled") fault(line, name, now.error || now.state);
    if (now.state === "done") {
      const failure = now.report.failures[0] ?? now.report.skips?.[0];
      if (failure) fault(line, failure.uri, failure.reason);
      else line.textContent = word(now.report.chunks ? "read" : "unchanged", { name, chunks: now.report.chunks });
    }
  }
  await show({ renew: true });
}

// A file that misses the zone would take the place of the page.
for (const kind of ["dragover", "drop"]) {
  window.addEventListener(kind, (event) => { if (event.dataTransfer.types.includes("Files")) event.preventDefault(); });
}

const zone = byId("drop");
for (const kind of ["dragenter", "dragover"]) {
  zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("over"); });
}
zone.addEventListener("dragleave", () => zone.classList.remove("over"));
zone.addEventListener("drop", (event) => {
  event.preventDefault();
  zone.classList.remove("over");
  upload([...event.dataTransfer.files]);
});
byId("files").addEventListener("change", async (event) => {
  await upload([...event.target.files]);
  event.target.value = "";
});
byId("find").addEventListener("submit", (event) => { event.preventDefault(); show(); });
byId("more").addEventListener("click", () => show({ more: true }));
