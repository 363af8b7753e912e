// Puts OpenActive's activity list where its validator keeps what it downloads, so that it needs no
// network: node activity_list.cjs <activity-list.jsonld> <cache folder> …
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const [list, ...folders] = process.argv.slice(2);
const url = 'https://openactive.io/activity-list';
const name = `${crypto.createHash('sha256').update(url).digest('hex')}.json`;
const kept = {
  errorCode: 'error_none',
  data: JSON.parse(fs.readFileSync(list, 'utf8')),
  statusCode: 200,
  url,
  exception: null,
  contentType: 'application/ld+json',
  // What is older than an hour it would ask for again.
  fetchTime: Date.now() + 365 * 24 * 3600 * 1000,
};

for (const folder of folders) {
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, name), JSON.stringify(kept));
}
