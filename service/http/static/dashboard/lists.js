// The lists: all Sellers with their first Opportunities, or one Seller with all of them.

import { bar, h, idParts, idText, keep, KINDS, many, swatch, write } from "./elements.js";
import { pulse } from "./pulse.js";
import { address, altered, ORDERS } from "./route.js";

export function figures() {
  const numbers = KINDS.map(() => h("strong", { class: "figure" }));
  const tiles = KINDS.map(([kind, name], index) =>
    h("div", { class: "tile" }, h("dt", {}, swatch(kind), name), h("dd", {}, numbers[index])),
  );
  const element = h("dl", { class: "tiles" }, ...tiles);
  const update = (spaces) =>
    KINDS.forEach(([kind], index) => write(numbers[index], spaces[kind].toLocaleString()));
  return { element, update };
}

function line({ seller, id, type }) {
  const spaces = bar();
  const { host, name: shortId } = idParts(id);
  const foreign = host !== idParts(seller).host;
  const cells = KINDS.map(([, name]) =>
    h("td", { role: "cell", class: "number", "data-label": name }),
  );
  const element = h(
    "tr",
    { role: "row" },
    h(
      "th",
      { role: "rowheader", scope: "row" },
      h("a", { class: "id", href: address(seller, id), title: id }, shortId),
      h("span", { class: "quiet type" }, foreign ? `${type} · ${host}` : type),
    ),
    h("td", { role: "cell", class: "bar-cell" }, spaces.element),
    ...cells,
  );
  const update = (opportunity) => {
    spaces.update(opportunity.spaces);
    KINDS.forEach(([kind], index) => {
      write(cells[index], opportunity.spaces[kind].toLocaleString());
      cells[index].classList.toggle("zero", opportunity.spaces[kind] === 0);
    });
  };
  return { element, update };
}

function table(label) {
  const rows = h("tbody", { role: "rowgroup" });
  const column = (name, properties) =>
    h("th", { role: "columnheader", scope: "col", ...properties }, name);
  const element = h(
    "table",
    { role: "table", "aria-label": label, class: "opportunities" },
    h(
      "thead",
      { role: "rowgroup" },
      h(
        "tr",
        { role: "row" },
        column("Opportunity"),
        column("Spaces", { class: "bar-cell" }),
        ...KINDS.map(([, name]) => column(name, { class: "number" })),
      ),
    ),
    rows,
  );
  const update = (lines) =>
    keep(rows, lines, ({ seller, id }) => JSON.stringify([seller, id]), line);
  return { element, update };
}

function sellerCard({ id }) {
  const count = h("p", { class: "quiet" });
  const total = bar();
  const lines = table(`Opportunities of ${id}`);
  const more = h("p", { class: "more" }, h("a", { href: address(id) }));
  const element = h(
    "section",
    { class: "seller" },
    h("header", {}, h("h2", {}, h("a", { href: address(id) }, idText(id))), count, total.element),
    lines.element,
    more,
  );
  const update = (seller) => {
    const { free, capacity } = seller.spaces;
    const opportunities = many(seller.opportunities, "Opportunity", "Opportunities");
    write(count, `${opportunities} · ${free.toLocaleString()} of ${many(capacity, "space")} free`);
    total.update(seller.spaces);
    lines.update(seller.lines);
    more.hidden = seller.opportunities === seller.lines.length;
    more.firstChild.textContent = `All ${seller.opportunities.toLocaleString()} Opportunities`;
  };
  return { element, update };
}

function order(here) {
  const select = h("select", { id: "order" });
  for (const [value, name] of Object.entries(ORDERS)) {
    select.append(h("option", { value, selected: value === here.order }, name));
  }
  select.addEventListener("change", () => {
    location.hash = altered(here, { order: select.value, offset: 0 });
  });
  return h("p", { class: "order" }, h("label", { for: "order" }, "Sort by"), select);
}

function pager(here) {
  const before = h("a", { rel: "prev" }, "Previous");
  const next = h("a", { rel: "next" }, "Next");
  const where = h("span", { class: "quiet" });
  const element = h(
    "nav",
    { class: "pager", "aria-label": "Pages", hidden: true },
    before,
    where,
    next,
  );
  const update = ({ count, size }) => {
    const end = Math.min(here.offset + size, count);
    element.hidden = count <= size && here.offset === 0;
    where.textContent = `${here.offset + 1}–${end} of ${count.toLocaleString()}`;
    before.hidden = here.offset === 0;
    before.href = altered(here, { offset: Math.max(0, here.offset - size) });
    next.hidden = end >= count;
    next.href = altered(here, { offset: here.offset + size });
  };
  return { element, update };
}

const example = () => `curl -X PUT ${new URL("opportunities", document.baseURI)} \\
  -H 'Content-Type: application/json' \\
  -d '[{"@type": "ScheduledSession", "@id": "https://example.com/events/1",
        "seller": "https://example.com/seller", "maximumAttendeeCapacity": 30}]'`;

function nothing(here) {
  if (here.search) {
    return [
      h("h2", {}, "Nothing found"),
      h(
        "p",
        {},
        `No id contains «${here.search}». `,
        h("a", { href: altered(here, { search: "", offset: 0 }) }, "Show all"),
      ),
    ];
  }
  if (here.seller) {
    return [
      h("h2", {}, "No Opportunities"),
      h(
        "p",
        {},
        "None of this Seller's Opportunities is registered. ",
        h("a", { href: "#" }, "Show all Sellers"),
      ),
    ];
  }
  return [
    h("h2", {}, "No Opportunity is registered yet"),
    h("p", {}, "Register one, and it shows up here at once:"),
    h("pre", { tabIndex: 0 }, h("code", {}, example())),
  ];
}

// Says of how much the lists tell, where that is not everything.
function coverage({ shown, total }) {
  if (shown >= total) return "";
  const all = many(total, "Opportunity", "Opportunities");
  return `Of ${all}, these are among the ${shown} that changed last; a whole id finds any.`;
}

function list(here, title, crumbs, content) {
  const totals = figures();
  const beside = pulse();
  const count = h("p", { class: "quiet", role: "status" });
  const covered = h("p", { class: "quiet" });
  const empty = h("section", { class: "panel empty", hidden: true }, ...nothing(here));
  const pages = pager(here);
  const heading = h(
    "div",
    { class: "heading" },
    h("h1", { tabIndex: -1 }, title),
    count,
    order(here),
  );
  const element = h(
    "div",
    { class: "lists" },
    ...crumbs,
    heading,
    totals.element,
    h(
      "div",
      { class: "columns" },
      h("div", { class: "main" }, content.element, empty, pages.element, covered),
      beside.element,
    ),
  );
  const update = (body, now, summary) => {
    write(count, here.search ? `${summary} with «${here.search}»` : summary);
    totals.update(body.spaces);
    content.update(body);
    content.element.hidden = body.count === 0;
    empty.hidden = body.count > 0;
    pages.update(body);
    covered.textContent = coverage(body.covered);
    beside.update(now);
  };
  return { element, update };
}

export function sellers(here) {
  const cards = h("div", { class: "sellers" });
  const content = {
    element: cards,
    update: (body) => keep(cards, body.sellers, ({ id }) => id, sellerCard),
  };
  const view = list(here, "Sellers", [], content);
  return {
    title: "Leases",
    element: view.element,
    events: {},
    load: async (ask) => {
      const { search, order: by, offset } = here;
      const [body, now] = await Promise.all([
        ask("sellers", { search, order: by, offset }),
        ask("pulse", {}),
      ]);
      view.update(body, now, many(body.count, "Seller"));
    },
  };
}

export function seller(here) {
  const lines = table(`Opportunities of ${here.seller}`);
  const panel = h("section", { class: "seller" }, lines.element);
  const content = { element: panel, update: (body) => lines.update(body.lines) };
  const crumbs = [
    h("nav", { class: "crumbs", "aria-label": "You are here" }, h("a", { href: "#" }, "Sellers")),
  ];
  const view = list(here, idText(here.seller), crumbs, content);
  return {
    title: here.seller,
    element: view.element,
    events: {},
    load: async (ask) => {
      const { seller: of, search, order: by, offset } = here;
      const [body, now] = await Promise.all([
        ask("opportunities", { seller: of, search, order: by, offset }),
        ask("pulse", {}),
      ]);
      view.update(body, now, many(body.count, "Opportunity", "Opportunities"));
    },
  };
}
