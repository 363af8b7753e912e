// Says how long the example would wait, and does not; what node itself waits for takes its time.
const wait = globalThis.setTimeout;
globalThis.setTimeout = (call, milliseconds, ...values) => {
  if (!new Error().stack.includes("/book.js")) return wait(call, milliseconds, ...values);
  console.log(`waits ${milliseconds}`);
  return wait(call, 0, ...values);
};
