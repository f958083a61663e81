// Small helpers. Text becomes text nodes: nothing here, or anywhere in the page, parses HTML.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

export const byId = (id) => document.getElementById(id);

// Offsets of kbqa count characters; those of JavaScript count UTF-16 units.
export function unitOf(text, characters) {
  let units = 0;
  for (const character of text) {
    if (characters-- <= 0) break;
    units += character.length;
  }
  return units;
}

export function tell(message) {
  const trouble = byId("trouble");
  trouble.textContent = message;
  trouble.hidden = !message;
}
