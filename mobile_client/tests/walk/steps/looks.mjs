// Every screen, light and dark, on a phone and a tablet, at twice the size of letters, and in other languages.
import {expect, sizes} from '../browser.mjs';
import {pick, stroke} from './pictures.mjs';

async function screensOf(w) {
  const item = await w.page.evaluate(() => JSON.parse(localStorage.getItem('hybrid:v1:library') ?? '[]').find((one) => one.kind === 'image')?.id);
  return {
    home: '', chat: 'chat', gallery: 'gallery', queue: 'queue', settings: 'settings', image: 'image', edit: 'edit-image', tts: 'tts', stt: 'stt',
    embedding: 'embedding', search: 'search', item: `item/${item}`, server: 'server',
  };
}

/** What a screen shows when somebody has used it. */
const used = {
  image: async (w) => {
    await w.field('Description').fill('A lighthouse at dusk');
    await w.button('More options').click();
    await w.page.getByTestId('generate').click();
    await w.see('Use in editor');
  },
  edit: async (w) => {
    await pick(w, 'odd.png');
    await stroke(w, [0.3, 0.4], [0.6, 0.6]);
  },
  embedding: async (w) => {
    await w.button('Examples').click();
    await w.page.getByTestId('embed').click();
    await w.see('How alike');
  },
  search: async (w) => {
    await w.page.getByLabel('What are you looking for?').fill('lighthouse');
    await w.button('Search').click();
    await w.see(/A lighthouse at dusk/);
  },
  tts: async (w) => {
    await w.page.getByRole('button', {name: /^Listen to/}).first().click();
    await w.button('Play').waitFor();
  },
};

export async function looks(w) {
  const {page, step} = w;
  for (const [name, path] of Object.entries(await screensOf(w))) {
    await step(`${name}: on a phone and a tablet, light and dark`, async () => {
      await page.setViewportSize(sizes.phone);
      await page.emulateMedia({colorScheme: 'light'});
      await w.go(path);
      await used[name]?.(w);
      const wrong = [];
      for (const [sizeName, viewport] of Object.entries(sizes)) {
        await page.setViewportSize(viewport);
        for (const colorScheme of ['light', 'dark']) {
          await page.emulateMedia({colorScheme});
          await w.still();
          await w.photo(`${name}-${sizeName}-${colorScheme}`);
          for (const one of [...(await w.overflow()), ...(await w.violations())]) wrong.push(`${sizeName}, ${colorScheme}: ${one}`);
        }
      }
      await w.photo(`${name}-tablet-whole`, {fullPage: true});
      expect(wrong.length === 0, wrong.slice(0, 8).join('\n'));
    });
  }
  await page.setViewportSize(sizes.phone);
  await page.emulateMedia({colorScheme: 'light'});
}

export async function words(w) {
  const {page, step} = w;
  const screens = await screensOf(w);

  await step('at 200 % nothing is cut and nothing sticks out', async () => {
    const wrong = [];
    for (const [name, path] of Object.entries(screens)) {
      await w.go(path);
      await w.still();
      // Every letter twice as large in the same room, as a phone's own setting does it. The bar of tabs asks the system
      // for the setting, which no browser has, so it stays as it is.
      await page.evaluate(() => {
        const bar = document.querySelector('[role="tablist"]');
        const sized = [...document.querySelectorAll('#root *')].filter((one) => !bar?.contains(one) && !one.closest('svg'));
        const sizes = sized.map((one) => [one, getComputedStyle(one)]).filter(([one]) => [...one.childNodes].some((child) => child.nodeType === 3) || /INPUT|TEXTAREA/.test(one.tagName)).map(([one, style]) => [one, parseFloat(style.fontSize), parseFloat(style.lineHeight)]);
        for (const [one, size, line] of sizes) {
          one.style.fontSize = `${size * 2}px`;
          if (!Number.isNaN(line)) one.style.lineHeight = `${line * 2}px`;
        }
      });
      await w.still();
      for (const one of await w.overflow()) wrong.push(`${name}: ${one}`);
      await w.photo(`large-${name}`);
    }
    expect(wrong.length === 0, wrong.slice(0, 12).join('\n'));
  });

  for (const [code, name, settings] of [['de', 'Deutsch', 'Einstellungen'], ['ar', 'العربية', 'الإعدادات']]) {
    await step(`in ${name} every screen has its words, and nothing sticks out`, async () => {
      await w.go('settings');
      await page.getByRole('radio', {name}).click();
      await w.see(settings);
      expect((await page.evaluate(() => document.documentElement.dir)) === (code === 'ar' ? 'rtl' : 'ltr'), 'it runs the wrong way');
      const wrong = [];
      for (const [screen, path] of Object.entries(screens)) {
        await w.go(path);
        await w.still();
        for (const one of await w.overflow()) wrong.push(`${screen}: ${one}`);
        await w.photo(`${code}-${screen}`);
      }
      await w.go('settings');
      await page.getByRole('radio', {name: 'English'}).click();
      await w.see('Servers');
      expect(wrong.length === 0, wrong.slice(0, 8).join('\n'));
    });
  }
}
