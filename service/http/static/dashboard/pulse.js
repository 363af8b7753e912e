// Beside the lists: what lapses next, and how many OrderItems were refused, minute by minute.

import { countDown } from "./clock.js";
import { h, idParts, keep, many, swatch, write } from "./elements.js";
import { address } from "./route.js";

const KIND_NAMES = { anonymous: "Anonymous", named: "Named", proposed: "Proposal" };

export function kindLabel(kind) {
  return h("span", { class: "kind" }, swatch(kind), KIND_NAMES[kind]);
}

function lapsingLine(lease) {
  const time = h("time", { class: "countdown" });
  const spaces = h("span");
  const link = h(
    "a",
    { href: address(lease.seller, lease.opportunity), title: lease.opportunity },
    idParts(lease.opportunity).name,
  );
  const element = h(
    "li",
    {},
    time,
    link,
    h("p", { class: "quiet" }, kindLabel(lease.kind), spaces),
  );
  const update = ({ spaces: number, expires }) => {
    spaces.textContent = many(number, "space");
    countDown(time, expires);
  };
  return { element, update };
}

function lapsing() {
  const list = h("ol", { class: "lapsing" });
  const empty = h("p", { class: "quiet" }, "No space is held at present.");
  const element = h(
    "section",
    { class: "panel", "aria-labelledby": "lapsing-title" },
    h("h2", { id: "lapsing-title" }, "Lapsing next"),
    list,
    empty,
  );
  const update = (leases) => {
    empty.hidden = leases.length > 0;
    keep(list, leases, (lease) => JSON.stringify(lease), lapsingLine);
  };
  return { element, update };
}

function conflicts() {
  const now = h("strong", { class: "figure" });
  const hour = h("p", { class: "quiet" });
  const columns = Array.from({ length: 60 }, () => h("span"));
  const chart = h("div", { class: "chart", role: "img" }, ...columns);
  const element = h(
    "section",
    { class: "panel", "aria-labelledby": "conflicts-title" },
    h("h2", { id: "conflicts-title" }, "Conflicts per minute"),
    h("p", { class: "figures" }, now, " this minute"),
    chart,
    h(
      "p",
      { class: "axis quiet", "aria-hidden": "true" },
      h("span", {}, "1 hour ago"),
      h("span", {}, "now"),
    ),
    hour,
  );
  const update = (minutes) => {
    const highest = Math.max(...minutes);
    const sum = minutes.reduce((total, count) => total + count, 0);
    write(now, minutes.at(-1));
    const refused = `${many(sum, "OrderItem was", "OrderItems were")} refused in the last hour`;
    hour.textContent = `${refused}, because the spaces were held or gone.`;
    chart.setAttribute("aria-label", `${refused}; at most ${highest} in a minute.`);
    minutes.forEach((count, index) => {
      columns[index].style.height = count ? `${Math.max(8, (100 * count) / highest)}%` : "";
      columns[index].title = `${59 - index} min ago: ${count}`;
    });
  };
  return { element, update };
}

export function pulse() {
  const parts = { lapsing: lapsing(), conflicts: conflicts() };
  const element = h(
    "aside",
    { class: "pulse", "aria-label": "Now" },
    parts.lapsing.element,
    parts.conflicts.element,
  );
  const update = (body) => {
    parts.lapsing.update(body.leases);
    parts.conflicts.update(body.conflicts);
  };
  return { element, update };
}
