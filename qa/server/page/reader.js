// The document of a citation, opened at the passage.

import { blob, documentPath, get } from "./api.js";
import { byId, el, tell, unitOf } from "./dom.js";
import { word } from "./words.js";

const reader = byId("reader");
let opener = null;
let image = null;

reader.querySelector(".close").addEventListener("click", () => reader.close());
reader.addEventListener("click", (event) => { if (event.target === reader) reader.close(); });
reader.addEventListener("close", () => {
  if (image) URL.revokeObjectURL(image);
  image = null;
  opener?.focus();
});

// `place`: uri, title, page, heading, start, end: of a citation or a hit.
export async function open(base, place) {
  if (!reader.open) opener = document.activeElement;
  try {
    await show(base, place, place.page != null);
    if (!reader.open) reader.showModal();
    byId("reader-text").querySelector("mark")?.scrollIntoView({ block: "center" });
  } catch (error) {
    tell(error.message);
  }
}

async function show(base, place, onePage) {
  const url = documentPath(base, place.uri, "text") + (onePage ? `?page=${place.page}` : "");
  const found = await get(url);
  const start = unitOf(found.text, place.start - found.start);
  const end = unitOf(found.text, place.end - found.start);
  byId("reader-title").textContent = found.title || place.uri;
  const page = place.page == null ? [] : [word("page", { n: place.page })];
  const where = [place.uri, ...page, ...(place.heading ?? [])].join(" › ");
  byId("reader-place").textContent = byId("reader-place").title = where; // two lines of it are shown
  const state = byId("reader-file");
  state.hidden = found.file !== "changed" && found.file !== "gone";
  state.textContent = state.hidden ? "" : word(`file-${found.file}`);
  byId("reader-text").replaceChildren(
    found.text.slice(0, start), el("mark", {}, found.text.slice(start, end)), found.text.slice(end));
  const whole = byId("reader-whole");
  whole.hidden = !onePage;
  whole.onclick = async () => {
    await show(base, place, false);
    byId("reader-text").focus();
    byId("reader-text").querySelector("mark")?.scrollIntoView({ block: "center" });
  };
  await showPage(base, place, onePage);
}

async function showPage(base, place, onePage) {
  const picture = byId("reader-page");
  picture.hidden = true;
  picture.removeAttribute("src");
  if (!onePage || !place.uri.toLowerCase().endsWith(".pdf")) return;
  try {
    image = URL.createObjectURL(await blob(documentPath(base, place.uri, "pages", String(place.page), "image")));
  } catch {
    return; // its file is not here any more: the text is
  }
  picture.src = image;
  picture.alt = word("page-image", { n: place.page });
  picture.hidden = false;
}
