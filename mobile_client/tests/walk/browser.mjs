// Chromium, and what the steps of the walk say to it.
import {mkdirSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';

const require = createRequire(import.meta.url);
const {chromium} = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

export const sizes = {phone: {width: 390, height: 844}, tablet: {width: 1024, height: 768}};
/** Longer than anything takes on a machine with better things to do. */
const patienceMs = 60_000;

export function expect(truth, words) {
  if (!truth) throw new Error(words);
}

export async function openBrowser({chromiumPath, watcher, output, hasUpstream}) {
  const browser = await chromium.launch({
    executablePath: chromiumPath,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
      '--autoplay-policy=no-user-gesture-required',
    ],
  });
  const home = `${watcher.address}/app/`;
  const context = await browser.newContext({
    viewport: sizes.phone, hasTouch: true, colorScheme: 'light', locale: 'en-GB', acceptDownloads: true,
    permissions: ['microphone', 'clipboard-read', 'clipboard-write'],
  });
  context.setDefaultTimeout(patienceMs);
  const page = await context.newPage();
  const complaints = [];
  const listen = (to) => {
    to.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
    to.on('console', (message) => {
      // Requests to a server that is away, and refusals, are part of the walk.
      if (['error', 'warning'].includes(message.type()) && !/net::ERR|Failed to load resource|blocked by CORS policy/.test(message.text())) {
        complaints.push(`${message.type()}: ${message.text()}`);
      }
    });
  };
  listen(page);
  const files = join(output, 'files');
  mkdirSync(files, {recursive: true});

  const results = [];
  const w = {
    browser, context, page, watcher, output, files, hasUpstream, home, results, complaints, listen,
    state: watcher.state,

    /** One promise, kept or not; the others are tried all the same. */
    async step(name, work) {
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
    },

    button: (name, exact = true) => page.getByRole('button', {name, exact}).filter({visible: true}).first(),
    field: (label, exact = true) => page.getByLabel(label, {exact}).filter({visible: true}).first(),
    see: (text, timeout = patienceMs) => page.getByText(text).filter({visible: true}).first().waitFor({timeout}),
    gone: (text) => page.waitForFunction((words) => ![...document.querySelectorAll('#root *')].some((one) => one.childElementCount === 0 && one.textContent === words && one.getClientRects().length > 0), text),
    photo: (name, options = {}) => page.screenshot({path: join(output, `${name}.png`), ...options}),
    posts: (path) => watcher.state.seen.filter((one) => one.path === path),

    async go(path) {
      await page.goto(`${home}${path}`, {waitUntil: 'domcontentloaded'});
      await page.waitForFunction(() => document.querySelector('#root')?.childElementCount > 0);
    },

    /** Until nothing moves: layout has come to rest and every picture is there. */
    async still() {
      await page.evaluate(async () => {
        await document.fonts.ready;
        let before = '';
        for (let i = 0; i < 40; i++) {
          await new Promise((resolve) => setTimeout(resolve, 60));
          const loading = [...document.images].filter((image) => !image.complete).length;
          // What turns for ever is no movement to wait for.
          const moving = document.getAnimations().filter((one) => one.playState === 'running' && Number.isFinite(one.effect?.getComputedTiming().endTime)).length;
          const now = `${document.querySelector('#root').innerText.length} ${document.querySelectorAll('#root *').length}`;
          if (now === before && loading === 0 && moving === 0) return;
          before = now;
        }
      });
    },

    async choose(name, click) {
      const [chooser] = await Promise.all([page.waitForEvent('filechooser'), click()]);
      await chooser.setFiles(join(files, name));
    },

    async download(click) {
      const [download] = await Promise.all([page.waitForEvent('download'), click()]);
      return readFileSync(await download.path());
    },

    /** Closes the sheet in front; while it fades, it keeps the focus. */
    async close() {
      const sheets = page.locator('[role="dialog"][aria-label]');
      const before = await sheets.count();
      await page.getByRole('button', {name: 'Close', exact: true}).filter({visible: true}).last().click();
      await page.waitForFunction((n) => document.querySelectorAll('[role="dialog"][aria-label]').length < n, before);
    },

    /** Serious violations as axe sees them, in words. */
    async violations() {
      if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe);
      const found = await page.evaluate(() => window.axe.run(document, {resultTypes: ['violations']}));
      return found.violations
        .filter(({impact}) => impact === 'serious' || impact === 'critical')
        .map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} — ${node.any[0]?.message ?? node.all[0]?.message ?? ''}`).join(' | ')}`);
    },

    /** What sticks out of the page sideways, or is cut off inside its own box. */
    overflow: () =>
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
          // A conversation's title in the bar above is shortened, and says so; it is whole in the list.
          if (style.textOverflow === 'ellipsis' && element.getAttribute('role') === 'heading') continue;
          if (style.overflow === 'hidden' && style.webkitLineClamp === 'none' && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 2) && element.tagName !== 'TEXTAREA') {
            found.push(`is cut: ${words.slice(0, 40)}`);
          }
        }
        return found;
      }),
  };
  return w;
}
