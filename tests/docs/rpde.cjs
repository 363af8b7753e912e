// Walks the RPDE feed at an address, and writes what OpenActive's validator has against it, as JSON.
const { RpdeValidator } = require('@openactive/rpde-validator');

RpdeValidator(process.argv[2], { pageLimit: 100 }).then((log) => {
  const found = log.pages.flatMap((page) => page.errors.map((error) => error.data));
  const pages = log.pages.map((page) => page.url);
  const complaints = found.map(({ severity, type, message }) => ({ severity, type, message }));
  process.stdout.write(JSON.stringify({ pages, complaints }));
});
