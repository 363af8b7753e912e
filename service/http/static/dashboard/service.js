// What the page asks the service: data, and what changes as it changes.

import { learn } from "./clock.js";

const STORED = "lease-token";
const SILENCE = 40_000;

export class Refusal extends Error {
  constructor(status, description) {
    super(description);
    this.status = status;
  }
}

export const token = {
  get: () => sessionStorage.getItem(STORED),
  set: (text) => sessionStorage.setItem(STORED, text),
  forget: () => sessionStorage.removeItem(STORED),
};

function headers() {
  const text = token.get();
  return text ? { Authorization: `Bearer ${text}` } : {};
}

async function ask(path, parameters, signal) {
  const query = new URLSearchParams(parameters);
  const response = await fetch(`${path}?${query}`, {
    headers: headers(),
    cache: "no-store",
    signal,
  });
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Refusal(response.status, body.description ?? response.statusText);
}

// Returns what is at `dashboard/data/…`.
export async function data(name, parameters, signal) {
  const asked = Date.now();
  const response = await ask(`dashboard/data/${name}`, parameters, signal);
  const answered = Date.now();
  const body = await response.json();
  learn(body.now, asked, answered);
  return body;
}

// Calls `opened` once the events flow, and `changed` whenever some came; returns or throws when
// they end. A stream that is silent for longer than its comments are apart is dead.
export async function follow(parameters, signal, opened, changed) {
  const watchdog = new AbortController();
  const response = await ask(
    "capacity-events",
    parameters,
    AbortSignal.any([signal, watchdog.signal]),
  );
  opened();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let timer;
  let last = "";
  try {
    for (;;) {
      clearTimeout(timer);
      timer = setTimeout(() => watchdog.abort(), SILENCE);
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (last + value).split("\n");
      last = lines.pop();
      if (lines.some((line) => line.startsWith("data:"))) changed();
    }
  } finally {
    clearTimeout(timer);
  }
}
