// Servers, themes, the cache and one's own data.
import {expect} from '../browser.mjs';
import {sizeOf} from '../picture.mjs';
import {filesOf} from '../zip.mjs';

export async function settings(w) {
  const {page, step, see, go, button, field, state} = w;

  await step('a server has a QR code, and headers of one’s own go with every request', async () => {
    await go('settings');
    await page.getByRole('button', {name: /^Set up /}).first().click();
    await page.getByRole('img', {name: /^QR code for http/}).waitFor();
    await button('More options').click();
    await button('Add a header').click();
    await field('Header').fill('x-walk');
    await field('Value').fill('yes');
    await field('Access key').fill('a key of mine');
    await button('Save').click();
    await see('Servers');
    await go('tts');
    await field('Text').fill('With a header');
    const count = w.posts('/tts').length;
    await page.getByTestId('speak').click();
    await w.watcher.until(() => w.posts('/tts').length > count, 'nothing was sent');
    const {headers} = w.posts('/tts').at(-1);
    expect(headers['x-walk'] === 'yes' && headers.authorization === 'Bearer a key of mine', JSON.stringify(headers));
    const kept = await page.evaluate(() => localStorage.getItem('hybrid:v1:settings'));
    expect(!kept.includes('a key of mine'), 'the key lies among the settings');
    await go('settings');
    await page.getByRole('button', {name: /^Set up /}).first().click();
    await field('Access key').fill('');
    await button('Save').click();
  });

  await step('the theme changes at once, and motion is left out where it is unwanted', async () => {
    await go('settings');
    const ground = () => page.evaluate(() => {
      for (let at = document.querySelector('[role="radio"]'); at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (at.getBoundingClientRect().height >= innerHeight / 2 && colour !== 'rgba(0, 0, 0, 0)') return colour;
      }
      return null;
    });
    const before = await ground();
    await page.getByRole('radio', {name: 'Dark'}).click();
    await page.waitForFunction(() => document.querySelector('[role="radio"][aria-checked="true"]'));
    expect((await ground()) !== before, 'nothing got darker');
    await page.getByRole('radio', {name: 'As the system'}).first().click();
    await page.emulateMedia({reducedMotion: 'reduce'});
    await button('Log').click();
    await see(/Requests since the start/);
    const moving = await page.evaluate(() => document.getAnimations().filter((one) => Number(one.effect?.getComputedTiming().duration) > 0).length);
    expect(moving === 0, `${moving} animations run`);
    await w.close();
    await page.emulateMedia({reducedMotion: 'no-preference'});
  });

  await step('the cache is shown and cleared', async () => {
    await page.waitForFunction(() => /^[1-9]\d* answers?,/.test(document.querySelector('[data-testid="cache-usage"]')?.textContent ?? ''));
    await button('Clear the cache').click();
    await page.waitForFunction(() => /^0 answers,/.test(document.querySelector('[data-testid="cache-usage"]')?.textContent ?? ''));
  });

  await step('one’s data can be taken out, pictures and sound too, without the keys', async () => {
    const files = filesOf(await w.download(() => button('Export').click()));
    const data = JSON.parse(files.get('data.json').toString());
    expect(data.format === 'hybrid-ai-data' && data.conversations.length > 0 && data.library.length > 0, 'something is missing');
    expect(!JSON.stringify(data).includes('x-walk') && !JSON.stringify(data).includes('token'), 'it has secrets in it');
    for (const item of data.library) expect(files.get(item.file)?.length === item.size, `${item.kind} ${item.id} has no file`);
    const picture = data.library.find((one) => one.kind === 'image');
    expect(sizeOf(files.get(picture.file)).width === picture.width, 'the picture is another');
    return `${files.size} files`;
  });

  if (state.failures !== 0) throw new Error('a refusal is left over');
}
