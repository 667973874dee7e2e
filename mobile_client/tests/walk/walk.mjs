// A walk through every screen of the web build in a real Chromium, against the stand-in:
// what a person does, what the server then sees, pictures of every screen, and axe's opinion.
// WALK_BACKEND=http://… walks against a real platform instead, which need not have a model.
import {existsSync, mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {inflateSync} from 'node:zlib';

import {picture, sizeOf, startStandIn} from './standin.mjs';

const root = new URL('../..', import.meta.url).pathname;
const dist = join(root, 'dist');
const output = join(root, 'test-output');
const chromiumPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', process.env.CHROMIUM_PATH].find((path) => path && existsSync(path));

if (!chromiumPath) {
  console.log('SKIPPED: NO CHROMIUM IS INSTALLED, SO NOBODY HAS WALKED THROUGH THE APP. Install it (apt-get install chromium).');
  process.exit(0);
}
if (!existsSync(join(dist, 'index.html'))) {
  console.log('There is no web build to walk through; make it with `npm run build:web`.');
  process.exit(1);
}

const require = createRequire(import.meta.url);
const {chromium} = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
rmSync(output, {recursive: true, force: true});
mkdirSync(output, {recursive: true});

const results = [];
async function step(name, work) {
  const startedAt = Date.now();
  try {
    const more = await work();
    results.push({name, passed: true});
    console.log(`ok    ${name}${typeof more === 'string' ? ` (${more})` : ''} ${Date.now() - startedAt} ms`);
  } catch (thrown) {
    results.push({name, passed: false});
    console.log(`FAIL  ${name}: ${thrown instanceof Error ? thrown.message.split('\n').slice(0, 12).join('\n      ') : thrown}`);
    await page.screenshot({path: join(output, `failed-${results.length}.png`)}).catch(() => undefined);
  }
}
function expect(truth, words) {
  if (!truth) throw new Error(words);
}

const backend = process.env.WALK_BACKEND?.replace(/\/$/, '');
const standIn = await startStandIn({dist, backend});
const home = `${standIn.address}/app/`;
const browser = await chromium.launch({
  executablePath: chromiumPath,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
    '--autoplay-policy=no-user-gesture-required',
  ],
});
const sizes = {phone: {width: 390, height: 844}, tablet: {width: 1024, height: 768}};
const context = await browser.newContext({viewport: sizes.phone, hasTouch: true, colorScheme: 'light', locale: 'en-GB', permissions: ['microphone', 'clipboard-read', 'clipboard-write'], acceptDownloads: true});
const page = await context.newPage();
const complaints = [];
page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
page.on('console', (message) => {
  // Requests to a server that is away are part of the walk.
  if (['error', 'warning'].includes(message.type()) && !/net::ERR|Failed to load resource|status of (404|422)/.test(message.text())) complaints.push(`${message.type()}: ${message.text()}`);
});
const button = (name, exact = true) => page.getByRole('button', {name, exact}).filter({visible: true}).first();
const see = (text, timeout = 15_000) => page.getByText(text).filter({visible: true}).first().waitFor({timeout});
const go = async (path) => {
  await page.goto(`${home}${path}`);
  await page.waitForFunction(() => document.querySelector('#root')?.childElementCount > 0);
};
const deeds = (path) => standIn.state.seen.filter((one) => one.path === path).length;

// --- First steps

await step('the first start asks for the server, tests it and leads in', async () => {
  await go('');
  await see('Welcome');
  await button('Test connection').click();
  await see(/It works/);
  await page.screenshot({path: join(output, 'welcome.png'), fullPage: true});
  await button('Start').click();
  await see('What shall it be?');
});

await step('the connection test knows a wrong address', async () => {
  await go('server');
  await page.getByLabel('Address').filter({visible: true}).fill('http://127.0.0.1:9');
  await button('Test connection').click();
  await see('Nobody answers there.');
});

// --- Pictures

await step('a picture is made from a description and kept', async () => {
  await go('image');
  await page.getByLabel('Description').filter({visible: true}).fill('A lighthouse at dusk');
  await page.getByRole('radio', {name: 'Wide'}).click();
  await page.getByTestId('generate').click();
  await see('Use in editor');
  expect(standIn.state.seen.at(-1).path === '/image', 'no request arrived');
  await page.getByRole('img', {name: 'A lighthouse at dusk'}).first().waitFor();
});

await step('an empty description is refused here, a model unknown to the server there', async () => {
  const before = deeds('/image');
  await go('image');
  await page.getByTestId('generate').click();
  await see('must not be empty');
  expect(deeds('/image') === before, 'it was sent all the same');
  await page.getByLabel('Description').filter({visible: true}).fill('x');
  await button('More options').click();
  await button('Model: The server’s choice').click();
  await page.getByLabel('Search, or type a name').fill('none/such');
  await button('Use none/such').click();
  await page.getByTestId('generate').click();
  await see(backend ? /This model is not available|The model could not do it|Stand-in answer/ : 'This model is not available');
});

const files = join(output, 'files');
mkdirSync(files);
const odd = join(files, 'odd.png');
writeFileSync(odd, picture(1537, 1025, 'odd'));

async function choose(file) {
  await go('edit-image');
  const chooser = page.waitForEvent('filechooser');
  await page.getByTestId('pick-picture').click();
  await (await chooser).setFiles(file);
  await page.getByTestId('mask-board').waitFor({timeout: 30_000});
  await page.waitForTimeout(300);
}
const board = async () => {
  await page.getByTestId('mask-board').scrollIntoViewIfNeeded();
  return page.getByTestId('mask-board').boundingBox();
};

/** Reads a 1-bit PNG without filters, as ours is. */
function readMask(png) {
  const {width, height} = sizeOf(png);
  expect(png[24] === 1 && png[25] === 0, `the mask has ${png[24]} bits and colour type ${png[25]}`);
  let data = Buffer.alloc(0);
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT') data = Buffer.concat([data, png.subarray(at + 8, at + 8 + png.readUInt32BE(at))]);
  }
  const raw = inflateSync(data);
  const stride = Math.ceil(width / 8) + 1;
  return {width, height, at: (x, y) => (raw[Math.floor(y) * stride + 1 + (Math.floor(x) >> 3)] >> (7 - (Math.floor(x) & 7))) & 1};
}

await step('a mask drawn with the mouse has exactly the picture’s pixels, black and white', async () => {
  await choose(odd);
  const box = await board();
  const at = (x, y) => [box.x + box.width * x, box.y + box.height * y];
  await page.mouse.move(...at(0.25, 0.5));
  await page.mouse.down();
  await page.mouse.move(...at(0.75, 0.5), {steps: 30});
  await page.mouse.up();
  await page.getByRole('radio', {name: 'Eraser'}).click();
  await page.mouse.move(...at(0.5, 0.3));
  await page.mouse.down();
  await page.mouse.move(...at(0.5, 0.7), {steps: 20});
  await page.mouse.up();
  await page.getByLabel('What shall be there?').filter({visible: true}).fill('A red balloon');
  await page.getByTestId('edit').click();
  await see('Go on with this', 30_000);
  const {image, mask} = standIn.state.lastEdit;
  const size = sizeOf(image);
  const read = readMask(mask);
  expect(size.width === 1537 && size.height === 1025, `the picture went out as ${size.width}×${size.height}`);
  expect(read.width === 1537 && read.height === 1025, `the mask is ${read.width}×${read.height}`);
  expect(read.at(1537 * 0.3, 1025 * 0.5) === 1, 'the brush left nothing');
  expect(read.at(1537 * 0.5, 1025 * 0.5) === 0, 'the eraser took nothing away');
  expect(read.at(1537 * 0.7, 1025 * 0.5) === 1, 'the stroke ends too early');
  expect(read.at(20, 20) === 0, 'the corner is painted');
});

await step('undo, redo, swap, preview and zoom do what they say', async () => {
  await button('Undo').click();
  await button('Redo').click();
  await button('Swap painted and unpainted').click();
  await button('Mask as it is sent').click();
  await see(/White is made anew: 9\d/);
  await page.screenshot({path: join(output, 'mask-preview.png')});
  await button('Close').click();
  await button('Zoom in').click();
  await button('Zoom out').click();
  await button('Clear the mask').click();
  await page.getByTestId('edit').click();
  await see('Paint over the part that shall change.');
});

await step('a finger draws too, and two fingers zoom', async () => {
  const box = await board();
  const client = await context.newCDPSession(page);
  const touch = (type, ...points) => client.send('Input.dispatchTouchEvent', {type, touchPoints: points.map(([x, y], id) => ({x: box.x + box.width * x, y: box.y + box.height * y, id}))});
  await page.getByRole('radio', {name: 'Brush'}).click();
  await touch('touchStart', [0.4, 0.4], [0.6, 0.6]);
  for (let i = 1; i <= 8; i++) await touch('touchMove', [0.4 - i * 0.02, 0.4 - i * 0.02], [0.6 + i * 0.02, 0.6 + i * 0.02]);
  await touch('touchEnd');
  const zoomed = await button('Zoom out').isEnabled();
  while (await button('Zoom out').isEnabled()) await button('Zoom out').click();
  await touch('touchStart', [0.2, 0.2]);
  for (let i = 1; i <= 10; i++) await touch('touchMove', [0.2 + i * 0.03, 0.2]);
  await touch('touchEnd');
  await page.getByTestId('edit').click();
  await page.waitForFunction(() => true);
  await see('Go on with this', 30_000);
  const read = readMask(standIn.state.lastEdit.mask);
  expect(read.at(1537 * 0.35, 1025 * 0.2) === 1, 'the finger left nothing');
  expect(zoomed, 'two fingers did not zoom');
  await page.screenshot({path: join(output, 'editing-phone.png'), fullPage: true});
});

await step('drawing keeps up with the finger', async () => {
  const box = await board();
  await page.evaluate(() => {
    window.longest = [];
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => window.longest.push(entry.duration))).observe({type: 'event', durationThreshold: 16});
  });
  const startedAt = Date.now();
  await page.mouse.move(box.x + 20, box.y + 20);
  await page.mouse.down();
  for (let i = 0; i < 150; i++) await page.mouse.move(box.x + 20 + ((i * 7) % (box.width - 40)), box.y + 20 + ((i * 11) % (box.height - 40)));
  await page.mouse.up();
  const perMove = (Date.now() - startedAt) / 150;
  // The promise is 16 ms on an idle machine; this one may be shared.
  expect(perMove < 60, `a move took ${perMove.toFixed(1)} ms`);
  return `${perMove.toFixed(1)} ms per move`;
});

// --- Speech

await step('a recording is a WAV of 16 kHz mono, and becomes text', async () => {
  await go('stt');
  await page.getByTestId('record-start').click();
  await page.getByTestId('record-stop').waitFor();
  await page.waitForFunction(() => document.querySelector('[data-testid="record-time"]')?.textContent >= '0:02', null, {timeout: 15_000});
  await page.screenshot({path: join(output, 'recording.png')});
  await page.getByTestId('record-stop').click();
  await see('recording.wav');
  await page.getByTestId('transcribe').click();
  await see(backend ? /No words were heard/ : 'The quick brown fox');
  const wav = standIn.state.lastAudio;
  expect(wav.toString('latin1', 0, 4) === 'RIFF', 'no WAV arrived');
  expect(wav.readUInt16LE(22) === 1 && wav.readUInt32LE(24) === 16_000 && wav.readUInt16LE(34) === 16, `it has ${wav.readUInt32LE(24)} Hz`);
  const seconds = (wav.length - 44) / 32_000;
  expect(seconds > 1.5 && seconds < 10, `it lasts ${seconds} s`);
  let loudest = 0;
  for (let i = 44; i < wav.length; i += 2) loudest = Math.max(loudest, Math.abs(wav.readInt16LE(i)));
  expect(loudest > 500, 'it is silent');
  return `${seconds.toFixed(1)} s`;
});

await step('a sound file can be picked instead', async () => {
  writeFileSync(join(files, 'voice.wav'), standIn.state.lastAudio);
  const chooser = page.waitForEvent('filechooser');
  await button('Choose a file').click();
  await (await chooser).setFiles(join(files, 'voice.wav'));
  await see('voice.wav');
});

await step('a text is spoken, played and kept', async () => {
  await go('tts');
  await page.getByLabel('Text', {exact: true}).filter({visible: true}).fill('Good morning.');
  await page.getByTestId('speak').click();
  await button('Play').click();
  await button('Pause').waitFor({timeout: 10_000});
  await see(/0:01/);
});

// --- Chat

await step('an answer appears while it is written, with table and code', async () => {
  await go('chat');
  await page.getByTestId('chat-input').fill('What do planets have?');
  await page.keyboard.press('Enter');
  if (backend) {
    // Without a model the answer is there at once.
    await button('Answer again').waitFor();
    return;
  }
  await page.getByTestId('writing').waitFor();
  const early = await page.getByTestId('writing').innerText();
  await page.getByTestId('writing').waitFor({state: 'detached', timeout: 30_000});
  expect(early.length < 300, 'everything came at once');
  await see('Planet');
  await button('Copy code').click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect(copied.startsWith('export const greet'), `copied: ${copied}`);
});

if (!backend) await step('an answer can be stopped; the server hears of it and the words stay', async () => {
  await page.getByTestId('chat-input').fill('Be slow');
  await page.keyboard.press('Enter');
  await see(/One word/);
  await page.getByTestId('stop').click();
  await see('Stopped here.');
  await page.waitForTimeout(600);
  expect(standIn.state.canceledChats > 0, 'the server was not told');
});

await step('a message can be changed and sent again, and answered by another model', async () => {
  await button('Edit and send again').click();
  expect((await page.getByTestId('chat-input').inputValue()).length > 0, 'nothing to edit');
  await page.getByTestId('chat-input').fill('And moons?');
  await page.getByTestId('send').click();
  if (!backend) await page.getByTestId('writing').waitFor();
  await page.getByTestId('writing').waitFor({state: 'detached', timeout: 30_000});
  await see(backend ? 'And moons?' : /You asked: “And moons/);
  await button('Answer by another model').click();
  await page.getByRole('radio', {name: 'tiiuae/falcon-7b-instruct'}).click();
  await page.getByTestId('writing').waitFor({state: 'detached', timeout: 30_000});
  if (!backend) await see('tiiuae/falcon-7b-instruct', 30_000);
});

await step('a draft survives a reload, and chats can be found', async () => {
  await page.getByTestId('chat-input').fill('half a thou');
  await page.waitForTimeout(800);
  await page.reload();
  await page.getByTestId('chat-input').waitFor();
  await page.waitForTimeout(500);
  const draft = await page.getByTestId('chat-input').inputValue();
  expect(draft === 'half a thou', `the draft is “${draft}”`);
  await page.getByTestId('chat-input').fill('');
  await button('Chats').click();
  await page.getByLabel('Search chats').filter({visible: true}).fill('moons');
  await see(/And moons/);
  await button('Close').click();
});

// --- Embeddings and search

await step('texts are compared: heat map, neighbours, map', async () => {
  await go('embedding');
  await button('Examples').click();
  await page.getByTestId('embed').click();
  await see('How alike');
  await see('Nearest');
  await page.getByRole('img', {name: /Map of the texts/}).waitFor();
  await button('Copy as JSON').click();
  const copied = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  expect(copied.length === 5 && copied[0].embedding.length === 384, 'the JSON is not whole');
});

// Answers of stand-ins are not kept.
if (!backend) await step('asking for the same texts again asks no server', async () => {
  const before = deeds('/embedding');
  await page.getByTestId('embed').click();
  await page.waitForTimeout(1000);
  expect(deeds('/embedding') === before, 'the cache was not used');
});

await step('one’s own words are found', async () => {
  await go('search');
  await page.getByLabel('What are you looking for?').fill('lighthouse dusk');
  await button('Search').click();
  await see(/A lighthouse at dusk/);
});

// --- Offline

await step('without the server: three requests wait, survive a reload, and are each sent once', async () => {
  await go('image');
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.waitForTimeout(500);
  const before = new Map(standIn.state.deeds);
  standIn.state.reachable = false;
  await page.getByLabel('Description').filter({visible: true}).fill('Offline harbour');
  await page.getByTestId('generate').click();
  await see('Waiting for the server', 40_000);
  await page.getByTestId('offline').filter({visible: true}).first().waitFor();
  await go('tts');
  await page.getByLabel('Text', {exact: true}).filter({visible: true}).fill('Offline words');
  await page.getByTestId('speak').click();
  await see('Waiting for the server', 40_000);
  await go('chat');
  await button('New chat').click();
  await page.getByTestId('chat-input').fill('Offline question');
  await page.keyboard.press('Enter');
  await see('Waiting for the server', 40_000);
  await go('queue');
  await page.waitForTimeout(500);
  expect((await page.getByTestId('job-waiting').count()) === 3, 'not three wait');
  await page.screenshot({path: join(output, 'offline-queue.png')});
  await page.reload();
  await page.getByTestId('job-waiting').nth(2).waitFor();
  await go('gallery');
  await page.getByRole('button', {name: 'A lighthouse at dusk'}).first().waitFor();
  await go('queue');
  standIn.state.reachable = true;
  await page.getByTestId('job-done').nth(2).waitFor({timeout: 30_000});
  const fresh = [...standIn.state.deeds].filter(([key]) => !before.has(key));
  expect(fresh.length === 3, `${fresh.length} keys arrived`);
  expect(fresh.every(([, times]) => times === 1), `some arrived more than once: ${JSON.stringify(fresh)}`);
  await page.waitForTimeout(3000);
  expect([...standIn.state.deeds].filter(([key]) => !before.has(key)).every(([, times]) => times === 1), 'one was sent again later');
});

await step('what came of them is where it belongs', async () => {
  await go('chat');
  await see(backend ? 'Offline question' : /You asked: “Offline question/);
  await button('Answer again').waitFor();
  await go('gallery');
  await page.getByRole('button', {name: 'Offline harbour'}).first().waitFor();
  await go('tts');
  await see('Offline words');
});

await step('a waiting request can be taken back', async () => {
  standIn.state.reachable = false;
  await go('image');
  await page.getByLabel('Description').filter({visible: true}).fill('Never mind');
  await page.getByTestId('generate').click();
  await see('Waiting for the server', 40_000);
  await button('Show the queue').click();
  await page.getByTestId('job-waiting').waitFor();
  await button('Cancel').click();
  await page.getByTestId('job-waiting').waitFor({state: 'detached'});
  standIn.state.reachable = true;
  await button('Check now').click().catch(() => undefined);
  await page.waitForTimeout(1500);
  expect(!standIn.state.seen.some((one) => one.path === '/image' && one.bytes === 0), 'it was sent');
});

await step('stand-ins are labelled', async () => {
  standIn.state.placeholder = true;
  await go('image');
  await page.getByLabel('Description').filter({visible: true}).fill('A made-up one');
  await page.getByTestId('generate').click();
  await see('Stand-in answer');
  standIn.state.placeholder = false;
});

// --- Looks

const item = await page.evaluate(() => JSON.parse(localStorage.getItem('hybrid:v1:library') ?? '[]').find((one) => one.kind === 'image')?.id);
const screens = {
  home: '', chat: 'chat', gallery: 'gallery', queue: 'queue', settings: 'settings', image: 'image', edit: 'edit-image', tts: 'tts', stt: 'stt',
  embedding: 'embedding', search: 'search', item: `item/${item}`, server: 'server',
};
const prepare = {
  image: async () => {
    await page.getByLabel('Description').filter({visible: true}).fill('A lighthouse at dusk');
    await button('More options').click();
    await page.getByTestId('generate').click();
    await see('Use in editor');
  },
  edit: async () => {
    await choose(odd);
    const box = await board();
    await page.mouse.move(box.x + box.width * 0.3, box.y + box.height * 0.4);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.6, {steps: 10});
    await page.mouse.up();
  },
  embedding: async () => {
    await button('Examples').click();
    await page.getByTestId('embed').click();
    await see('How alike');
  },
};

/** What sticks out of the page sideways, or is cut off inside its own box. */
const overflow = () =>
  page.evaluate(() => {
    const found = [];
    const inScroller = (element) => {
      for (let at = element.parentElement; at; at = at.parentElement) if (/auto|scroll/.test(getComputedStyle(at).overflowX) && at.scrollWidth > at.clientWidth + 1) return true;
      return false;
    };
    for (const element of document.querySelectorAll('#root *')) {
      const box = element.getBoundingClientRect();
      if (box.width === 0 || box.height === 0 || element.closest('[aria-hidden="true"], svg') || getComputedStyle(element).visibility === 'hidden') continue;
      const words = element.childElementCount === 0 ? element.textContent.trim() : '';
      if (words === '') continue;
      if ((box.right > innerWidth + 1 || box.left < -1) && !inScroller(element)) found.push(`sticks out: ${words.slice(0, 40)}`);
      const style = getComputedStyle(element);
      if (style.overflow === 'hidden' && style.webkitLineClamp === 'none' && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 2) && element.tagName !== 'TEXTAREA') {
        found.push(`is cut: ${words.slice(0, 40)}`);
      }
    }
    return found;
  });

for (const [sizeName, viewport] of Object.entries(sizes)) {
  for (const colorScheme of ['light', 'dark']) {
    await page.setViewportSize(viewport);
    await page.emulateMedia({colorScheme});
    for (const [name, path] of Object.entries(screens)) {
      await step(`${name} on a ${sizeName}, ${colorScheme}`, async () => {
        await go(path);
        await page.waitForTimeout(400);
        await prepare[name]?.();
        await page.waitForTimeout(400);
        const out = await overflow();
        await page.screenshot({path: join(output, `${name}-${sizeName}-${colorScheme}.png`)});
        expect(out.length === 0, out.slice(0, 8).join('; '));
        await page.evaluate(axe);
        const {violations} = await page.evaluate(() => window.axe.run(document, {resultTypes: ['violations']}));
        const serious = violations.filter(({impact}) => impact === 'serious' || impact === 'critical');
        expect(serious.length === 0, serious.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} — ${node.any[0]?.message ?? node.all[0]?.message ?? ''}`).join(' | ')}`).join('\n'));
      });
    }
  }
}

await step('at 200 % nothing is cut', async () => {
  await page.emulateMedia({colorScheme: 'light'});
  // A phone of 390 points at 200 % has the room of 195; 320 is the narrowest WCAG asks for.
  await page.setViewportSize({width: 320, height: 640});
  const wrong = [];
  for (const [name, path] of Object.entries(screens)) {
    await go(path);
    await page.addStyleTag({content: ':root { -webkit-text-size-adjust: 130%; text-size-adjust: 130%; }'});
    await page.waitForTimeout(300);
    for (const one of await overflow()) wrong.push(`${name} ${one}`);
    await page.screenshot({path: join(output, `narrow-${name}.png`)});
  }
  expect(wrong.length === 0, wrong.slice(0, 8).join('; '));
});

for (const [code, name, settings, english] of [['de', 'Deutsch', 'Einstellungen', 'English'], ['ar', 'العربية', 'الإعدادات', 'English']]) {
  await step(`in ${name} every screen has its words, and nothing sticks out`, async () => {
    await page.setViewportSize(sizes.phone);
    await go('settings');
    await page.getByRole('radio', {name}).click();
    await see(settings);
    expect((await page.evaluate(() => document.documentElement.dir)) === (code === 'ar' ? 'rtl' : 'ltr'), 'it runs the wrong way');
    const wrong = [];
    for (const [screen, path] of Object.entries(screens)) {
      await go(path);
      await page.waitForTimeout(300);
      for (const one of await overflow()) wrong.push(`${screen} ${one}`);
      await page.screenshot({path: join(output, `${code}-${screen}.png`)});
    }
    await go('settings');
    await page.getByRole('radio', {name: english}).click();
    expect(wrong.length === 0, wrong.slice(0, 8).join('; '));
  });
}

await step('the gallery stays smooth with 500 pictures', async () => {
  await go('gallery');
  await page.evaluate(async (id) => {
    const database = await new Promise((resolve, reject) => {
      const request = indexedDB.open('hybrid-ai', 1);
      request.onsuccess = () => resolve(request.result);
      request.onerror = reject;
    });
    const store = database.transaction('media', 'readwrite').objectStore('media');
    const small = await new Promise((resolve) => {
      const request = store.get(`${id}-small`);
      request.onsuccess = () => resolve(request.result);
    });
    const list = JSON.parse(localStorage.getItem('hybrid:v1:library'));
    const like = list.find((one) => one.id === id);
    for (let i = 0; i < 500; i++) {
      store.put(small, `many-${i}-small`);
      list.push({...like, id: `many-${i}`, title: `Picture ${i}`});
    }
    localStorage.setItem('hybrid:v1:library', JSON.stringify(list));
  }, item);
  await go('gallery');
  await page.getByRole('button', {name: 'A lighthouse at dusk'}).first().waitFor();
  const {worst, mounted} = await page.evaluate(async () => {
    const list = [...document.querySelectorAll('#root *')].filter((one) => one.scrollHeight > one.clientHeight + 500).at(-1);
    let worst = 0;
    let mounted = 0;
    let before = performance.now();
    for (let i = 0; i < 90; i++) {
      list.scrollTop += 120;
      await new Promise((resolve) => requestAnimationFrame(resolve));
      const now = performance.now();
      worst = Math.max(worst, now - before);
      before = now;
      mounted = Math.max(mounted, document.querySelectorAll('#root img').length);
    }
    return {worst, mounted};
  });
  expect(mounted > 5 && mounted < 200, `${mounted} pictures at once`);
  // A frame is 16 ms on an idle machine; this one may be shared.
  expect(worst < 400, `a frame took ${worst.toFixed(0)} ms`);
  return `at most ${mounted} pictures at once, the longest frame ${worst.toFixed(0)} ms`;
});

await step('starts fast on a slow device', async () => {
  const slow = await browser.newContext({viewport: sizes.phone});
  const fresh = await slow.newPage();
  const client = await slow.newCDPSession(fresh);
  await client.send('Emulation.setCPUThrottlingRate', {rate: 4});
  const startedAt = Date.now();
  await fresh.goto(home);
  await fresh.getByRole('button', {name: 'Start', exact: true}).waitFor();
  const ms = Date.now() - startedAt;
  await slow.close();
  // The promise is 3 s on an idle machine; this one may be shared.
  expect(ms < 9000, `${ms} ms`);
  return `${ms} ms to the first button`;
});

await step('everything can be deleted', async () => {
  await go('settings');
  await button('Delete everything').click();
  await page.getByRole('dialog').getByRole('button', {name: 'Delete everything'}).click();
  await see('Welcome');
  const left = await page.evaluate(() => Object.keys(localStorage).filter((key) => /library|chat|token/.test(key)));
  expect(left.length === 0, `left: ${left}`);
});

await step('the browser has nothing to complain about', async () => {
  const own = [...new Set(complaints)];
  expect(own.length === 0, own.slice(0, 10).join('\n'));
});

await browser.close();
await standIn.close();
const failed = results.filter((one) => !one.passed);
console.log(`${results.length - failed.length} passed, ${failed.length} failed`);
process.exit(failed.length === 0 ? 0 : 1);
