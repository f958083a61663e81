// Markdown to nodes: paragraphs, headings, lists, tables, quotes, code, emphasis. What is HTML in it
// stays text; links show their words only, images their description only: both may come out of
// documents, and a page that fetched them would tell their authors who reads.

import { el } from "./dom.js";

const FENCE = /^\s*(```|~~~)/;
const HEADING = /^(#{1,6})\s+(.*)$/;
const ITEM = /^(\s*)([-*+•]|\d{1,3}[.)])\s+(.*)$/;
const ROW = /^\s*\|(.*)\|\s*$/;
const RULE = /^[\s|:-]+$/;
const INLINE = /(`+)(.+?)\1|\*\*(.+?)\*\*|__(.+?)__|(?<![\p{L}\p{N}*])\*([^*\s](?:[^*]*[^*\s])?)\*(?!\*)|!?\[([^\]]*)\]\([^)]*\)|\[(\d{1,3})\]|\[(unsupported)\]/gu;

// `mark(number)` and `doubt()` give the nodes of a citation and of a statement without support.
export function render(text, mark, doubt) {
  const lines = text.split("\n");
  const nodes = [];
  const inline = (words) => spans(words, mark, doubt);
  let at = 0;
  const taken = (fits) => {
    const found = [];
    while (at < lines.length && fits(lines[at])) found.push(lines[at++]);
    return found;
  };
  while (at < lines.length) {
    const line = lines[at];
    const heading = HEADING.exec(line);
    if (!line.trim()) at++;
    else if (FENCE.test(line)) {
      at++;
      const code = taken((next) => !FENCE.test(next));
      at++;
      nodes.push(el("pre", {}, el("code", {}, code.join("\n"))));
    } else if (heading) {
      nodes.push(el(`h${Math.min(6, heading[1].length + 2)}`, {}, ...inline(heading[2])));
      at++;
    } else if (ROW.test(line)) nodes.push(table(taken((next) => ROW.test(next)), inline));
    else if (ITEM.test(line)) nodes.push(list(taken((next) => ITEM.test(next) || /^\s{2,}\S/.test(next)), inline));
    else if (line.startsWith(">")) {
      const quoted = taken((next) => next.startsWith(">"));
      nodes.push(el("blockquote", {}, ...inline(quoted.map((part) => part.slice(1).trim()).join(" "))));
    } else {
      const said = taken((next) => next.trim() && ![FENCE, HEADING, ROW, ITEM].some((kind) => kind.test(next)));
      const parts = said.flatMap((part, number) => (number ? [el("br"), ...inline(part)] : inline(part)));
      nodes.push(el("p", {}, ...parts));
    }
  }
  return nodes;
}

function list(lines, inline) {
  const items = [];
  for (const line of lines) {
    const item = ITEM.exec(line);
    if (item) items.push(item[3]);
    else items[items.length - 1] += ` ${line.trim()}`;
  }
  const numbered = /\d/.exec(ITEM.exec(lines[0])[2]);
  const start = numbered ? parseInt(ITEM.exec(lines[0])[2], 10) : null;
  return el(numbered ? "ol" : "ul", { start }, ...items.map((item) => el("li", {}, ...inline(item))));
}

function table(lines, inline) {
  const rows = lines.map((line) => ROW.exec(line)[1].split("|").map((cell) => cell.trim()));
  const headed = lines.length > 1 && RULE.test(lines[1]);
  const body = headed ? rows.slice(2) : rows;
  const cells = (row, tag) => el("tr", {}, ...row.map((cell) => el(tag, {}, ...inline(cell))));
  return el("div", { class: "scroll", tabindex: "0" }, el("table", {},
    headed ? el("thead", {}, cells(rows[0], "th")) : null,
    el("tbody", {}, ...body.map((row) => cells(row, "td")))));
}

function spans(text, mark, doubt) {
  const nodes = [];
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    nodes.push(text.slice(end, found.index));
    end = found.index + found[0].length;
    const [whole, , code, bold, strong, emphasis, shown, number, unsupported] = found;
    if (code !== undefined) nodes.push(el("code", {}, code));
    else if (bold ?? strong) nodes.push(el("strong", {}, ...spans(bold ?? strong, mark, doubt)));
    else if (emphasis) nodes.push(el("em", {}, ...spans(emphasis, mark, doubt)));
    else if (number) nodes.push(mark(Number(number)) ?? whole);
    else if (unsupported) nodes.push(doubt());
    else nodes.push(shown ?? "");
  }
  nodes.push(text.slice(end));
  return nodes.filter((node) => node !== "");
}
