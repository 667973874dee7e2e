// Comparing texts, and finding one's own.
import {expect} from '../browser.mjs';

export async function texts(w) {
  const {page, step, see, go, button, state} = w;

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
  if (w.hasUpstream) {
    await step('asking for the same texts again asks no server', async () => {
      const before = w.posts('/embedding').length;
      await go('embedding');
      await button('Examples').click();
      await page.getByTestId('embed').click();
      await see('How alike');
      expect(w.posts('/embedding').length === before, 'the cache was not used');
    });
  }

  await step('one’s own words are found, also without the server', async () => {
    await go('search');
    await page.getByLabel('What are you looking for?').fill('lighthouse dusk');
    await button('Search').click();
    await see(/A lighthouse at dusk/);
    // Everything has its vector now; the question has none yet.
    await page.waitForFunction(() => !/not yet searchable/.test(document.body.innerText));
    state.reachable = false;
    await page.getByLabel('What are you looking for?').fill('dusk over the lighthouse');
    await button('Search').click();
    await see(/Found by/);
    await see(/A lighthouse at dusk/);
    state.reachable = true;
  });
}
