// Reads a JSON array of {mode, data} and writes what OpenActive's validator holds against each, as JSON:
// node validate.cjs <cache folder> < bodies.json
const { validate } = require('@openactive/data-model-validator');
const fs = require('node:fs');

async function main() {
  const found = [];
  for (const { mode, data } of JSON.parse(fs.readFileSync(0, 'utf8'))) {
    const complaints = await validate(data, {
      validationMode: mode,
      loadRemoteJson: true,
      remoteJsonCachePath: process.argv[2],
      remoteJsonCacheTimeToLive: 3600,
    });
    found.push(complaints.map(({ severity, path, message }) => ({ severity, path, message })));
  }
  process.stdout.write(JSON.stringify(found));
}

main();
