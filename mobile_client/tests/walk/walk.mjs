// A walk through every screen of the app in a real Chromium, served by the platform itself: first with a stand-in of the
// models' provider behind it, then without any key. What a person does, what the server then sees, pictures of every
// screen in `test-output`, and axe's opinion.
//
//   npm run e2e                 both walks; needs `cargo build --release`, the components and `cargo xtask app`
//   WALK=keyless npm run e2e    only that one (or `upstream`)
import {existsSync, mkdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';

import {openBrowser} from './browser.mjs';
import {startPlatform, startUpstream, watch} from './house.mjs';
import {chat} from './steps/chat.mjs';
import {looks, words} from './steps/looks.mjs';
import {offline} from './steps/offline.mjs';
import {pictures} from './steps/pictures.mjs';
import {quick} from './steps/quick.mjs';
import {settings} from './steps/settings.mjs';
import {speech} from './steps/speech.mjs';
import {start} from './steps/start.mjs';
import {texts} from './steps/texts.mjs';

const chromiumPath = [process.env.CHROMIUM_PATH, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => path && existsSync(path));
if (!chromiumPath) {
  console.log('\n=== SKIPPED: NO CHROMIUM IS INSTALLED, SO NOBODY HAS WALKED THROUGH THE APP (apt-get install chromium) ===');
  process.exit(0);
}

const root = join(new URL('../..', import.meta.url).pathname, 'test-output');
rmSync(root, {recursive: true, force: true});
const startedAt = Date.now();
let passed = 0;
let failed = 0;

/** One walk; `hasUpstream` says whether models answer, or the platform's own stand-ins. */
async function walk(hasUpstream, all) {
  const output = join(root, hasUpstream ? 'upstream' : 'keyless');
  mkdirSync(output, {recursive: true});
  console.log(`\n== ${hasUpstream ? 'with a stand-in upstream' : 'without a key'}`);
  const upstream = hasUpstream ? await startUpstream() : null;
  const platform = await startPlatform(upstream?.address);
  const watcher = await watch(platform.address);
  const w = await openBrowser({chromiumPath, watcher, output, hasUpstream});
  try {
    for (const part of all) await part(w);
  } finally {
    await w.browser.close();
    await watcher.end();
    await platform.end();
    await upstream?.end();
    passed += w.results.filter((one) => one.passed).length;
    failed += w.results.filter((one) => !one.passed).length;
  }
}

const only = process.env.WALK;
// The looks of screens do not depend on who answers; what they show of stand-ins is seen on the keyless walk.
if (only !== 'keyless') await walk(true, [start, pictures, speech, chat, texts, offline, settings, looks, words, quick]);
if (only !== 'upstream') await walk(false, [start, pictures, speech, chat, texts, offline]);

console.log(`\n${passed} passed, ${failed} failed in ${Math.round((Date.now() - startedAt) / 1000)} s; pictures of every screen are in mobile_client/test-output`);
process.exit(failed === 0 ? 0 : 1);
