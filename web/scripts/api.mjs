// Asks the API for its OpenAPI document and makes the client's types of it. With --check nothing
// is written: the program fails when what is committed is not what would be written.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript';
import * as prettier from 'prettier';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const files = { document: at('../openapi.json'), types: at('../src/api/schema.d.ts') };

function documentOfApi() {
  const ours = at('../../.venv/bin/python');
  const python = process.env.YANASHA_PYTHON ?? (existsSync(ours) ? ours : 'python3');
  const text = execFileSync(python, ['-m', 'api.schema'], {
    cwd: at('../..'),
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return `${JSON.stringify(JSON.parse(text), null, 2)}\n`;
}

async function typesOf(document) {
  const source = COMMENT_HEADER + astToString(await openapiTS(JSON.parse(document)));
  const config = await prettier.resolveConfig(files.types);
  return prettier.format(source, { ...config, filepath: files.types });
}

const document = documentOfApi();
const wanted = { document, types: await typesOf(document) };

if (process.argv.includes('--check')) {
  const drifted = Object.keys(files).filter(
    (name) => !existsSync(files[name]) || readFileSync(files[name], 'utf8') !== wanted[name],
  );
  if (drifted.length > 0) {
    console.error(`The API has changed: ${drifted.join(' and ')} drifted. Run \`npm run api\`.`);
    process.exit(1);
  }
} else {
  for (const name of Object.keys(files)) writeFileSync(files[name], wanted[name]);
}
