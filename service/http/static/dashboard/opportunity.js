// One Opportunity, and the leases that hold its spaces.

import { countDown, timeOfDay } from "./clock.js";
import { bar, h, idText, keep, many, write } from "./elements.js";
import { figures } from "./lists.js";
import { kindLabel } from "./pulse.js";
import { address } from "./route.js";

const COLUMNS = ["Lapses in", "Lease", "Spaces", "Until", "Booking Partner", "Order UUID"];

function leaseRow(lease) {
  const time = h("time", { class: "countdown" });
  const contents = [
    time,
    kindLabel(lease.kind),
    lease.spaces,
    timeOfDay(lease.expires),
    h("span", { class: "any" }, lease.partner),
    h("code", { class: "any" }, lease.order),
  ];
  const cells = contents.map((content, index) =>
    h(
      "td",
      { role: "cell", "data-label": COLUMNS[index], class: index === 2 ? "number" : "" },
      content,
    ),
  );
  const element = h("tr", { role: "row" }, ...cells);
  return { element, update: ({ expires }) => countDown(time, expires) };
}

function leases() {
  const rows = h("tbody", { role: "rowgroup" });
  const heads = COLUMNS.map((name, index) =>
    h("th", { role: "columnheader", scope: "col", class: index === 2 ? "number" : "" }, name),
  );
  const count = h("span", { class: "quiet" });
  const table = h(
    "table",
    { role: "table", class: "leases", "aria-labelledby": "leases-title" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...heads)),
    rows,
  );
  const empty = h(
    "p",
    { class: "empty" },
    "Nobody holds a space of it at present. A lease shows up here as soon as C1, C2 or P makes one.",
  );
  const element = h(
    "section",
    { class: "seller", "aria-labelledby": "leases-title" },
    h("header", {}, h("h2", { id: "leases-title" }, "Live leases"), count),
    table,
    empty,
  );
  const update = (body) => {
    table.hidden = body.leases.length === 0;
    empty.hidden = body.leases.length > 0;
    const isPart = body.leases.length < body.count;
    const all = body.count ? many(body.count, "lease") : "";
    write(count, isPart ? `the first ${body.leases.length} of ${all}` : all);
    keep(rows, body.leases, (lease) => JSON.stringify(lease), leaseRow);
  };
  return { element, update };
}

export function opportunity(here) {
  const totals = figures();
  const spaces = bar();
  const held = leases();
  const capacity = h("p", { class: "quiet", role: "status" });
  const element = h(
    "div",
    { class: "one" },
    h(
      "nav",
      { class: "crumbs", "aria-label": "You are here" },
      h("a", { href: "#" }, "Sellers"),
      h("a", { href: address(here.seller) }, idText(here.seller)),
    ),
    h("div", { class: "heading" }, h("h1", { tabIndex: -1 }, idText(here.id)), capacity),
    totals.element,
    h("section", { class: "panel", "aria-label": "Spaces" }, spaces.element),
    held.element,
  );
  return {
    title: here.id,
    element,
    events: { seller: here.seller, id: here.id },
    load: async (ask) => {
      const body = await ask("opportunity", { seller: here.seller, id: here.id });
      const { spaces: numbers, type } = body.line;
      const { booked, named, anonymous, proposed } = numbers;
      const over = booked + named + anonymous + proposed - numbers.capacity;
      const more = over > 0 ? `, ${over} more than that taken` : "";
      write(capacity, `${type} of ${many(numbers.capacity, "space")}${more}`);
      totals.update(numbers);
      spaces.update(numbers);
      held.update(body);
    },
  };
}
