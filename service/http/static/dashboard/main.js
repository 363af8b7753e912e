// The page: what is shown, when it is read again, and how the service is.

import { run, timeOfDay, now } from "./clock.js";
import { h } from "./elements.js";
import { seller, sellers } from "./lists.js";
import { opportunity } from "./opportunity.js";
import { altered, route } from "./route.js";
import { data, follow, Refusal, token } from "./service.js";

const AFTER_EVENT = 300; // longer than the service shares what it has read
const BETWEEN_READS = 1000;
const POLL = { live: 5000, polling: 2000 };
const RETRY = 2000;
const RETRY_EVENTS = 3000;
const TYPING = 250;

const AGAIN = "This page tries again by itself.";
const STATES = {
  starting: "Connecting",
  live: "Live",
  polling: "Every 2 s",
  away: "Redis is away",
  offline: "No answer",
  locked: "Token needed",
};

const part = (id) => document.getElementById(id);

let view;
let reading = new AbortController();
let following = new AbortController();
following.abort(); // not yet
let hasEvents = false;
let lastRead = 0;
let busy = false;
let again = false;
let timer;
let plannedFor;

function state(name) {
  const status = part("status");
  if (status.dataset.state === name) return;
  status.dataset.state = name;
  status.textContent = STATES[name];
}

function notice(...content) {
  const box = part("notice");
  box.hidden = content.length === 0;
  const text = content.map((item) => item.textContent ?? item).join("");
  if (box.textContent !== text) box.replaceChildren(...content); // an alert is read out once
  part("main").classList.toggle("stale", content.length > 0);
}

function askForToken(refusal) {
  part("key-why").textContent = token.get() ? refusal.message : "Whoever runs it hands them out.";
  part("key").hidden = false;
  part("main").hidden = true;
  if (document.activeElement !== part("token")) part("token").focus();
  state("locked");
}

function since() {
  const at = now() - (Date.now() - lastRead) / 1000;
  return lastRead ? ` What you see is from ${timeOfDay(at)}.` : "";
}

// Says what is wrong and what to do; returns whether it is worth trying again by itself.
function explain(error) {
  if (error instanceof Refusal && [401, 403].includes(error.status)) {
    askForToken(error);
    return false;
  }
  if (error instanceof Refusal && error.status === 503) {
    state("away");
    notice(`Redis is out of reach: check that it runs. ${AGAIN}${since()}`);
    return true;
  }
  if (error instanceof Refusal) {
    view.element.hidden = true;
    notice(`${error.message} `, h("a", { href: "#" }, "Show all Sellers"));
    return true;
  }
  state("offline");
  notice(`The service does not answer: check that it runs. ${AGAIN}${since()}`);
  return true;
}

async function read() {
  clearTimeout(timer);
  timer = undefined;
  if (busy) {
    again = true;
    return;
  }
  const { signal } = reading;
  busy = true;
  again = false;
  let next;
  try {
    await view.load((name, parameters) => data(name, parameters, signal));
    shown();
    next = hasEvents ? POLL.live : POLL.polling;
  } catch (error) {
    if (signal.aborted) return;
    next = explain(error) ? RETRY : Infinity;
  }
  busy = false;
  if (again) next = AFTER_EVENT;
  if (next < Infinity) readIn(next);
}

function shown() {
  lastRead = Date.now();
  view.element.hidden = false;
  part("main").hidden = false;
  part("key").hidden = true;
  part("forget").hidden = !token.get();
  notice();
  state(hasEvents ? "live" : "polling");
  if (following.signal.aborted) listen();
}

// Reads again after so many milliseconds, or earlier if that was planned; at most once a second.
function readIn(milliseconds) {
  if (document.hidden) return;
  const at = Math.max(Date.now() + milliseconds, lastRead + BETWEEN_READS);
  if (timer !== undefined && plannedFor <= at) return;
  clearTimeout(timer);
  plannedFor = at;
  timer = setTimeout(read, at - Date.now());
}

async function listen() {
  following.abort();
  const { signal } = (following = new AbortController());
  const opened = () => {
    hasEvents = true;
    state("live");
  };
  try {
    await follow(view.events, signal, opened, () => readIn(AFTER_EVENT));
  } catch {
    // Whatever it was, the next read tells.
  }
  if (signal.aborted) return;
  if (hasEvents) readIn(0);
  hasEvents = false;
  setTimeout(() => signal.aborted || listen(), RETRY_EVENTS);
}

function viewOf(here) {
  if (here.seller === null) return sellers(here);
  return here.id === null ? seller(here) : opportunity(here);
}

function show() {
  const here = route();
  const first = view === undefined;
  const search = part("text");
  if (document.activeElement !== search) search.value = here.search;
  view = viewOf(here);
  view.element.hidden = true;
  document.title = view.title;
  part("main").replaceChildren(view.element);
  notice();
  lastRead = 0;
  following.abort();
  reading.abort();
  reading = new AbortController();
  busy = false;
  read().then(() => {
    if (!first && document.activeElement !== search) part("main").querySelector("h1")?.focus();
  });
}

let typing;
function search() {
  clearTimeout(typing);
  const here = route();
  const text = part("text").value.trim();
  if (text === here.search && here.id === null) return;
  const seller = here.id === null ? here.seller : null;
  const target = altered(here, { seller, search: text, offset: 0 });
  history[here.id === null ? "replaceState" : "pushState"](null, "", target);
  show();
}

part("search").addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
part("text").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(search, TYPING);
});
part("key").addEventListener("submit", (event) => {
  event.preventDefault();
  token.set(part("token").value.trim());
  part("token").value = "";
  read();
});
part("forget").addEventListener("click", () => {
  token.forget();
  location.reload();
});
part("skip").addEventListener("click", (event) => {
  event.preventDefault();
  part("main").focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, select, textarea")) {
    event.preventDefault();
    part("text").focus();
  }
});
document.addEventListener("visibilitychange", () => document.hidden || readIn(0));
addEventListener("hashchange", show);

run(() => readIn(AFTER_EVENT));
show();
