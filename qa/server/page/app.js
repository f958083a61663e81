// The page: which base, which view, which language, light or dark.

import { get, path, post } from "./api.js";
import * as asking from "./ask.js";
import * as documents from "./documents.js";
import { byId, el, tell } from "./dom.js";
import { otherLanguage, speak, word } from "./words.js";

const VIEWS = ["ask", "documents"];

function light() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = localStorage.getItem("kbqa.theme") ?? (dark ? "dark" : "light");
  document.documentElement.dataset.theme = theme;
  byId("theme").setAttribute("aria-pressed", String(theme === "dark"));
}

byId("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme === "dark";
  localStorage.setItem("kbqa.theme", dark ? "light" : "dark");
  light();
});

function talk() {
  speak();
  byId("language").textContent = word("other");
  byId("language").lang = document.documentElement.lang === "en" ? "zh-CN" : "en";
}

byId("language").addEventListener("click", () => {
  otherLanguage();
  talk();
  if (view() === "documents") documents.show();
});

const view = () => (VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "ask");

function turn() {
  for (const name of VIEWS) {
    byId(name).hidden = name !== view();
    const link = document.querySelector(`nav a[href="#${name}"]`);
    if (name === view()) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  tell("");
  window.scrollTo(0, 0);
  if (view() === "documents" && byId("base").value) documents.show();
}

function choose() {
  const name = byId("base").value;
  sessionStorage.setItem("kbqa.base", name);
  asking.use(name);
  documents.use(name);
  turn();
}

// Fills in the bases and chooses one: `wanted`, the one of before, or the first.
async function fill(wanted) {
  const names = (await get(path())).knowledge_bases.map((base) => base.name);
  byId("base").replaceChildren(...names.map((name) => el("option", { value: name }, name)));
  const last = wanted ?? sessionStorage.getItem("kbqa.base");
  if (names.includes(last)) byId("base").value = last;
  if (names.length) choose();
  else tell(word(byId("new-base").hidden ? "bases" : "no-base"));
}

async function start() {
  light();
  talk();
  turn();
  try {
    const me = await get("/v1/me");
    byId("new-base").hidden = me.role !== "admin" || me.knowledge_bases !== null;
    await fill();
    if (view() === "ask") byId("words").focus();
  } catch (error) {
    tell(error.message);
  }
}

function blame(why) {
  byId("naming-fault").textContent = why;
  byId("naming-fault").hidden = !why;
}

byId("new-base").addEventListener("click", () => {
  byId("base-name").value = "";
  blame("");
  byId("naming").showModal();
});
byId("naming").addEventListener("submit", async (event) => {
  if (event.submitter?.value === "no") return;
  event.preventDefault();
  const name = byId("base-name").value.trim();
  try {
    await post(path(), { name });
    byId("naming").close();
    location.hash = "documents"; // which it has none of
    await fill(name);
  } catch (error) {
    blame(error.message);
  }
});
byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the hash names the view
  byId("main").focus();
});
byId("base").addEventListener("change", choose);
window.addEventListener("hashchange", turn);
start();
