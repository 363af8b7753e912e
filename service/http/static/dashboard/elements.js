// Making and keeping elements. Ids are anybody's text: it goes into the page as text only.

export const KINDS = [
  ["booked", "Booked"],
  ["named", "Named"],
  ["proposed", "Proposal"],
  ["anonymous", "Anonymous"],
  ["free", "Free"],
];

// Makes an element with its properties (or attributes, such as `class` and `data-…`) and children.
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const kept = new WeakMap();

// Makes the children of `parent` match `items`: what is there stays and is updated, so that focus,
// selection and transitions survive. `make` returns an element and how it is updated.
export function keep(parent, items, keyOf, make) {
  const before = kept.get(parent) ?? new Map();
  const after = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const part = before.get(key) ?? make(item);
    part.update(item);
    after.set(key, part);
  }
  for (const [key, part] of before) {
    if (!after.has(key)) part.element.remove();
  }
  let place = parent.firstElementChild;
  for (const { element } of after.values()) {
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  kept.set(parent, after);
}

// Writes a text that may change, and lets a change be seen.
export function write(element, text) {
  const before = element.textContent;
  if (before === String(text)) return;
  element.textContent = text;
  if (before !== "") {
    element.classList.remove("changed");
    void element.offsetWidth; // begins the animation anew
    element.classList.add("changed");
  }
}

export function many(number, one, more = `${one}s`) {
  return `${number.toLocaleString()} ${number === 1 ? one : more}`;
}

// Returns the parts of an id: of a web address, its host and what tells it apart there.
export function idParts(id) {
  const [, host, name] = /^https?:\/\/([^/]+)\/(.+)$/.exec(id) ?? [null, "", id];
  return { host, name };
}

// Shows an id whose last part stands out.
export function idText(id) {
  const { host, name } = idParts(id);
  return h(
    "span",
    { class: "id", title: id },
    h("span", { class: "id-place" }, host && `${host}/`),
    name,
  );
}

function inWords(spaces) {
  const parts = KINDS.filter(([kind]) => spaces[kind] > 0).map(
    ([kind, name]) => `${spaces[kind]} ${name.toLowerCase()}`,
  );
  const beyond = outOfReach(spaces);
  if (beyond > 0) parts.push(`${beyond} out of reach, since a pool has no more`);
  return `${many(spaces.capacity, "space")}: ${parts.join(", ") || "none"}`;
}

// Returns the spaces that nobody has and nobody can have: a pool that they draw on is exhausted.
function outOfReach(spaces) {
  return KINDS.reduce((left, [kind]) => left - spaces[kind], spaces.capacity);
}

// Makes the bar of an Opportunity's, or a Seller's, spaces.
export function bar() {
  const segments = KINDS.map(([kind]) => h("span", { class: `segment ${kind}` }));
  const beyond = h("span", { class: "segment beyond" });
  const element = h("div", { class: "bar", role: "img" }, ...segments, beyond);
  const update = (spaces) => {
    element.setAttribute("aria-label", inWords(spaces));
    element.title = inWords(spaces);
    KINDS.forEach(([kind], index) => size(segments[index], spaces[kind]));
    size(beyond, Math.max(0, outOfReach(spaces)));
  };
  return { element, update };
}

function size(segment, spaces) {
  segment.style.flexGrow = spaces;
  segment.classList.toggle("none", spaces === 0);
}

export function swatch(kind) {
  return h("span", { class: `swatch ${kind}`, "aria-hidden": "true" });
}
