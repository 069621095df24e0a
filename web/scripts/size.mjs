// Adds up what a browser must fetch before it can show the first page, as it goes over the wire,
// and what each later page adds. Fails over the budget.
import { existsSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const FIRST_LOAD_KB = 60;
const LATER_KB = 60;
/** The HLS player comes alone, and only to who watches a broadcast that is going on. */
const LARGER_KB = { 'node_modules/hls.js/dist/hls.light.mjs': 130 };

const dist = new URL('../dist/', import.meta.url);
const manifestUrl = new URL('.vite/manifest.json', dist);
if (!existsSync(manifestUrl)) {
  console.error('Nothing is built yet: run `npm run build` first.');
  process.exit(1);
}
const manifest = JSON.parse(readFileSync(manifestUrl, 'utf8'));

/** The scripts of an entry and of all it imports at once. */
function scripts(name, seen = new Set()) {
  const chunk = manifest[name];
  if (seen.has(chunk.file)) return seen;
  seen.add(chunk.file);
  for (const imported of chunk.imports ?? []) scripts(imported, seen);
  return seen;
}

const kb = (files) =>
  files.reduce((sum, file) => sum + gzipSync(readFileSync(new URL(file, dist))).length, 0) / 1000;

const first = scripts('index.html');
const rows = [['first load', kb([...first]), FIRST_LOAD_KB]];
for (const [name, chunk] of Object.entries(manifest)) {
  if (!chunk.isDynamicEntry) continue;
  const more = [...scripts(name)].filter((file) => !first.has(file));
  rows.push([name, kb(more), LARGER_KB[name] ?? LATER_KB]);
}

let over = false;
for (const [name, size, budget] of rows) {
  const holds = size <= budget;
  over ||= !holds;
  console.log(`${holds ? 'ok  ' : 'OVER'} ${size.toFixed(1).padStart(6)} kB of ${budget}  ${name}`);
}
if (over) process.exit(1);
