// Puts a brotli and a gzip twin beside every file of the web build that is text, for whoever serves it. Prints how large
// the parts are, and fails when the main bundle has grown too large.
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {extname, join} from 'node:path';
import {brotliCompressSync, constants, gzipSync} from 'node:zlib';

const text = new Set(['.html', '.js', '.css', '.json', '.map', '.webmanifest', '.svg', '.txt', '.ico', '.ttf', '.otf', '.wasm']);
/** Below this the head of an answer weighs more. */
const worthBytes = 512;
const mainLimit = {size: 1_800_000, gzip: 550_000};

const dist = process.argv[2] ?? 'dist';
let failed = false;
for (const entry of readdirSync(dist, {recursive: true, withFileTypes: true})) {
  const path = join(entry.parentPath ?? entry.path, entry.name);
  if (!entry.isFile() || !text.has(extname(entry.name))) continue;
  const bytes = readFileSync(path);
  if (bytes.length < worthBytes) continue;
  const gzip = gzipSync(bytes, {level: 9});
  const brotli = brotliCompressSync(bytes, {params: {[constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length}});
  writeFileSync(`${path}.gz`, gzip);
  writeFileSync(`${path}.br`, brotli);
  console.log(`${path}: ${bytes.length} bytes, gzip ${gzip.length}, brotli ${brotli.length}`);
  if (/_expo.static.js.web.(index|entry)-/.test(path) && (bytes.length > mainLimit.size || gzip.length > mainLimit.gzip)) {
    console.error(`the main bundle may have ${mainLimit.size} bytes, and ${mainLimit.gzip} as gzip`);
    failed = true;
  }
}
process.exit(failed ? 1 : 0);
