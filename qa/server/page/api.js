// The server's HTTP API: JSON, and streams of server-sent events.

import { byId } from "./dom.js";
import { word } from "./words.js";

const KEY = "kbqa.key";
const WRITTEN = /^[\x21-\x7e]+$/; // what a header can hold

let key = sessionStorage.getItem(KEY) ?? ""; // kept there once the server has taken it

export class Problem extends Error {
  constructor(message, status = 0, wait = 0) {
    super(message);
    this.status = status; // 0: no answer
    this.wait = wait; // seconds until the server would take it
  }
}

const identifier = (uri) => {
  const bytes = new TextEncoder().encode(uri);
  let letters = "";
  for (const byte of bytes) letters += String.fromCharCode(byte);
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};

export const path = (...parts) => `/v1/knowledge-bases${parts.map((part) => `/${encodeURIComponent(part)}`).join("")}`;
export const documentPath = (base, uri, ...parts) => path(base, "documents", identifier(uri), ...parts);

async function request(url, { method = "GET", json, body, accept = "application/json", signal } = {}) {
  const headers = { Accept: accept };
  const given = key;
  if (given) headers.Authorization = `Bearer ${given}`;
  if (json !== undefined) headers["Content-Type"] = "application/json";
  let reply;
  try {
    reply = await fetch(url, { method, headers, signal, body: json === undefined ? body : JSON.stringify(json) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(word("unreachable"));
  }
  if (reply.status === 401) {
    await askForKey(given);
    return request(url, { method, json, body, accept, signal });
  }
  if (reply.ok && given && given === key) sessionStorage.setItem(KEY, given);
  if (!reply.ok) {
    const problem = await reply.json().catch(() => ({}));
    const wait = Number(reply.headers.get("retry-after"));
    throw new Problem(problem.detail || problem.title || `${reply.status}`, reply.status, wait);
  }
  return reply;
}

const valueOf = (reply) => (reply.status === 204 ? null : reply.json());

export const get = async (url, options) => valueOf(await request(url, options));
export const post = async (url, json, options) => valueOf(await request(url, { method: "POST", json, ...options }));
export const send = async (url, body) => valueOf(await request(url, { method: "POST", body }));
export const remove = (url) => request(url, { method: "DELETE" });
export const blob = async (url) => (await request(url, { accept: "image/png" })).blob();

// Yields [event, value] until the stream ends.
export async function* events(url, options = {}) {
  const reply = await request(url, { ...options, accept: "text/event-stream" });
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : new Problem(word("cut"));
    });
    if (done) return;
    const blocks = (rest + value.replaceAll("\r\n", "\n")).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n");
      const event = lines.find((line) => line.startsWith("event:"))?.slice(6).trim();
      const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
      if (event) yield [event, JSON.parse(data.join("\n"))];
    }
  }
}

let waiting = null; // several requests may find the door closed at once

function askForKey(refused) {
  if (refused !== key) return waiting; // another one was given since
  waiting ??= new Promise((enter) => {
    sessionStorage.removeItem(KEY);
    byId("key").value = "";
    byId("door").showModal();
    blame(refused ? "wrong-key" : "");
    byId("door").addEventListener("close", () => {
      key = byId("key").value.trim();
      waiting = null;
      enter();
    }, { once: true });
  });
  return waiting;
}

function blame(why) {
  byId("key-fault").textContent = why && word(why);
  byId("key-fault").hidden = !why;
}

byId("door").addEventListener("cancel", (event) => event.preventDefault());
byId("door").addEventListener("submit", (event) => {
  if (WRITTEN.test(byId("key").value.trim())) return;
  event.preventDefault();
  blame("no-key");
});
