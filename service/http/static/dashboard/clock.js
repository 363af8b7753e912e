// The service's clock, which decides when a lease lapses, and the countdowns that run by it.

const TICK = 250;
const SOON = 30;

let offset = 0;
let closest = Infinity;

// Learns from an answer what time it is there; `asked` and `answered` are ours, in milliseconds.
// The quickest answers say it best; an old one counts less and less, since clocks drift.
export function learn(serverSeconds, asked, answered) {
  const took = answered - asked;
  closest += 5;
  if (took <= closest) {
    closest = took;
    offset = serverSeconds * 1000 - (asked + took / 2);
  }
}

export function now() {
  return (Date.now() + offset) / 1000;
}

export function timeOfDay(seconds) {
  const date = new Date(seconds * 1000);
  const sameDay = date.toDateString() === new Date(now() * 1000).toDateString();
  const time = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return date.toLocaleString([], sameDay ? time : { day: "numeric", month: "short", ...time });
}

function remaining(seconds) {
  const pad = (number) => String(number).padStart(2, "0");
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor(seconds / 3600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours}:${pad(minutes)}:${pad(seconds % 60)}`;
  return `${minutes}:${pad(seconds % 60)}`;
}

function show(countdown) {
  const left = Math.max(0, Math.ceil(Number(countdown.dataset.expires) - now()));
  const text = left > 0 ? remaining(left) : "lapsed";
  if (countdown.textContent !== text) countdown.textContent = text;
  countdown.classList.toggle("soon", left <= SOON);
  return left > 0;
}

// Writes an instant into a <time> that counts down to it.
export function countDown(element, expires) {
  element.dataset.expires = expires;
  element.dateTime = new Date(expires * 1000).toISOString();
  show(element);
}

// Runs every countdown of the page, and says when one has come to its end.
export function run(lapsed) {
  setInterval(() => {
    for (const countdown of document.querySelectorAll("time[data-expires]:not([data-over])")) {
      if (!show(countdown)) {
        countdown.dataset.over = "";
        lapsed();
      }
    }
  }, TICK);
}
