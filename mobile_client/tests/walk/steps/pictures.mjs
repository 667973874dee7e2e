// Pictures from words, and edited under a mask.
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';

import {expect} from '../browser.mjs';
import {picture, readMask, sizeOf} from '../picture.mjs';

export async function pick(w, name) {
  await w.go('edit-image');
  await w.choose(name, () => w.page.getByTestId('pick-picture').click());
  await w.page.getByTestId('mask-board').waitFor();
  await w.still();
}

/** The board in view; fractions of its sides become places on the page. */
export async function board(w) {
  await w.page.getByTestId('mask-board').scrollIntoViewIfNeeded();
  const box = await w.page.getByTestId('mask-board').boundingBox();
  return {...box, at: (x, y) => [box.x + box.width * x, box.y + box.height * y]};
}

export async function stroke(w, from, to, steps = 20) {
  const {at} = await board(w);
  await w.page.mouse.move(...at(...from));
  await w.page.mouse.down();
  await w.page.mouse.move(...at(...to), {steps});
  await w.page.mouse.up();
}

export async function pictures(w) {
  const {page, step, see, go, button, field, state} = w;
  writeFileSync(join(w.files, 'odd.png'), picture(1537, 1025));

  await step('a picture is made from a description and kept', async () => {
    await go('image');
    await field('Description').fill('A lighthouse at dusk');
    await page.getByRole('radio', {name: 'Wide'}).click();
    await button('More options').click();
    await field('Leave out').fill('people');
    await page.getByRole('textbox', {name: 'Seed'}).fill('7');
    await page.getByTestId('generate').click();
    await see('Use in editor');
    if (!w.hasUpstream) await see('Stand-in answer');
    const {json, key} = w.posts('/image').at(-1);
    expect(json.width === 512 && json.height === 344 && json.seed === 7 && json.negative_prompt === 'people', JSON.stringify(json));
    expect(/^app-/.test(key), 'it had no idempotency key');
    await page.getByRole('img', {name: 'A lighthouse at dusk'}).first().waitFor();
  });

  await step('an empty description is refused here; what the provider refuses is told', async () => {
    const before = w.posts('/image').length;
    await go('image');
    await page.getByTestId('generate').click();
    await see('must not be empty');
    expect(w.posts('/image').length === before, 'it was sent all the same');
    if (!w.hasUpstream) return;
    await field('Description').fill('x');
    await button('More options').click();
    await button('Model: The server’s choice').click();
    // The server's own list, stand-ins as such.
    await page.getByRole('radio', {name: /local\/.*Stand-in answer/}).first().waitFor();
    await w.still();
    await w.photo('models');
    await page.getByLabel('Search, or type a name').fill('fault/always-402-walk');
    await button('Use fault/always-402-walk').click();
    await page.getByTestId('generate').click();
    await see('The model could not do it');
  });

  await step('a mask drawn with the mouse has exactly the picture’s pixels, black and white', async () => {
    await pick(w, 'odd.png');
    await stroke(w, [0.25, 0.5], [0.75, 0.5], 30);
    await page.getByRole('radio', {name: 'Eraser'}).click();
    await stroke(w, [0.5, 0.3], [0.5, 0.7]);
    await field('What shall be there?').fill(w.hasUpstream ? 'A red balloon' : 'Make it red');
    await page.getByTestId('edit').click();
    await see('Go on with this');
    const {image, mask} = state.lastEdit;
    const size = sizeOf(image);
    const read = readMask(mask);
    expect(size.width === 1537 && size.height === 1025, `the picture went out as ${size.width}×${size.height}`);
    expect(read.width === 1537 && read.height === 1025, `the mask is ${read.width}×${read.height}`);
    expect(read.at(1537 * 0.3, 1025 * 0.5) === 1, 'the brush left nothing');
    expect(read.at(1537 * 0.5, 1025 * 0.5) === 0, 'the eraser took nothing away');
    expect(read.at(1537 * 0.7, 1025 * 0.5) === 1, 'the stroke ends too early');
    expect(read.at(20, 20) === 0, 'the corner is painted');
  });

  await step('before and after are compared, and the mask stays for the next prompt', async () => {
    const slider = page.getByRole('slider', {name: 'Before and after'});
    await slider.scrollIntoViewIfNeeded();
    await slider.focus();
    for (let i = 0; i < 3; i++) await page.keyboard.press('PageUp');
    expect((await slider.getAttribute('aria-valuenow')) === '80', 'the slider did not move');
    await w.photo('before-after');
    const count = w.posts('/edit-image').length;
    const before = await page.getByTestId('mask-board').locator('img').getAttribute('src');
    await button('Go on with this').click();
    await page.waitForFunction((before) => document.querySelector('[data-testid="mask-board"] img')?.getAttribute('src') !== before, before);
    await field('What shall be there?').fill(w.hasUpstream ? 'A blue balloon' : 'Make it blue');
    await page.getByTestId('edit').click();
    await w.watcher.until(() => w.posts('/edit-image').length > count, 'no second edit');
    await see('Go on with this');
    // What came back may be smaller than what was sent; the mask fits it all the same.
    const {width, height} = sizeOf(state.lastEdit.image);
    const read = readMask(state.lastEdit.mask);
    expect(read.width === width && read.height === height, `the mask is ${read.width}×${read.height}, the picture ${width}×${height}`);
    expect(read.at(width * 0.3, height * 0.5) === 1 && read.at(width * 0.5, height * 0.5) === 0, 'the mask was another');
  });

  await step('undo, redo, swap, preview and zoom do what they say', async () => {
    await button('Undo').click();
    await button('Redo').click();
    await button('Swap painted and unpainted').click();
    await button('Mask as it is sent').click();
    await see(/White is made anew: 9\d/);
    await w.still();
    await w.photo('mask-preview');
    await w.close();
    await button('Zoom in').click();
    await button('Zoom out').click();
    await button('Clear the mask').click();
    await page.getByTestId('edit').click();
    await see('Paint over the part that shall change.');
  });

  await step('a finger draws too, and two fingers zoom', async () => {
    const {at} = await board(w);
    const client = await w.context.newCDPSession(page);
    const touch = (type, ...points) => client.send('Input.dispatchTouchEvent', {type, touchPoints: points.map((point, id) => ({x: at(...point)[0], y: at(...point)[1], id}))});
    await page.getByRole('radio', {name: 'Brush'}).click();
    await touch('touchStart', [0.4, 0.4], [0.6, 0.6]);
    for (let i = 1; i <= 8; i++) await touch('touchMove', [0.4 - i * 0.02, 0.4 - i * 0.02], [0.6 + i * 0.02, 0.6 + i * 0.02]);
    await touch('touchEnd');
    const zoomed = await button('Zoom out').isEnabled();
    while (await button('Zoom out').isEnabled()) await button('Zoom out').click();
    await touch('touchStart', [0.2, 0.2]);
    for (let i = 1; i <= 10; i++) await touch('touchMove', [0.2 + i * 0.03, 0.2]);
    await touch('touchEnd');
    const count = w.posts('/edit-image').length;
    await page.getByTestId('edit').click();
    await w.watcher.until(() => w.posts('/edit-image').length > count, 'nothing was sent');
    await see('Go on with this');
    const read = readMask(state.lastEdit.mask);
    expect(read.at(read.width * 0.35, read.height * 0.2) === 1, 'the finger left nothing');
    expect(zoomed, 'two fingers did not zoom');
    await w.photo('editing-phone', {fullPage: true});
  });

  await step('a picture of the gallery goes on in the editor', async () => {
    await go('gallery');
    await page.getByRole('button', {name: 'A lighthouse at dusk'}).first().click();
    await button('Use in editor').click();
    await page.getByTestId('mask-board').waitFor();
    await page.getByRole('radio', {name: 'The whole picture'}).click();
    await field('What shall be there?').fill(w.hasUpstream ? 'As a drawing' : 'Turn it into a sketch');
    const count = w.posts('/edit-image').length;
    await page.getByTestId('edit').click();
    await w.watcher.until(() => w.posts('/edit-image').length > count, 'nothing was sent');
    await see('Go on with this');
    const {json} = w.posts('/edit-image').at(-1);
    expect(json.mask === undefined && json.strength === 0.75, 'it went out with a mask');
  });
}
