// Without the server: what is kept, what waits, and what becomes of it.
import {expect} from '../browser.mjs';

export async function offline(w) {
  const {page, step, see, go, button, field, state} = w;
  const waiting = 'Waiting for the server';

  await step('without the server: three requests wait, survive a reload, and are each sent once', async () => {
    await go('image');
    await page.evaluate(async () => {
      await navigator.serviceWorker.ready;
      const kept = async () => (await (await caches.open('hybrid-ai-app-v1')).keys()).some((one) => one.url.includes('/_expo/static/'));
      while (!(await kept())) await new Promise((resolve) => setTimeout(resolve, 100));
    });
    const before = new Map(state.deeds);
    state.reachable = false;
    await field('Description').fill('Offline harbour');
    await page.getByTestId('generate').click();
    await see(waiting);
    await page.getByTestId('offline').filter({visible: true}).first().waitFor();
    await go('tts');
    await field('Text').fill('Offline words');
    await page.getByTestId('speak').click();
    await see(waiting);
    await go('chat');
    await button('New chat').click();
    await page.getByTestId('chat-input').fill('Offline question');
    await page.keyboard.press('Enter');
    await see(waiting);
    await go('queue');
    await page.getByTestId('job-waiting').nth(2).waitFor();
    expect((await page.getByTestId('job-waiting').count()) === 3, 'not three wait');
    await w.still();
    await w.photo('offline-queue');
    await page.reload();
    await page.getByTestId('job-waiting').nth(2).waitFor();
    await go('gallery');
    await page.getByRole('button', {name: 'A lighthouse at dusk'}).first().waitFor();
    await w.still();
    await w.photo('offline-gallery');
    await go('queue');
    state.reachable = true;
    await page.getByTestId('job-done').nth(2).waitFor();
    const sent = () => [...state.deeds].filter(([key]) => !before.has(key));
    expect(sent().length === 3, `${sent().length} keys arrived`);
    // Time in which a second one would come: the next look at the outbox is 5 s away at most.
    await page.waitForTimeout(6000);
    expect(sent().length === 3 && sent().every(([, times]) => times === 1), `some arrived more than once: ${JSON.stringify(sent())}`);
  });

  await step('what came of them is where it belongs', async () => {
    await go('chat');
    await see(w.hasUpstream ? /You said: Offline question/ : 'Offline question');
    await button('Answer again').waitFor();
    await go('gallery');
    await page.getByRole('button', {name: 'Offline harbour'}).first().waitFor();
    await go('tts');
    await see('Offline words');
  });

  await step('of several that waited, the one that is refused says why; the others are done', async () => {
    await go('queue');
    await button('Clear done ones').click();
    state.reachable = false;
    for (const words of ['This one is refused', 'This one is spoken']) {
      await go('tts');
      await field('Text').fill(words);
      await page.getByTestId('speak').click();
      await see(waiting);
    }
    state.failures = 1;
    state.reachable = true;
    await go('queue');
    await page.getByTestId('job-failed').waitFor();
    await page.getByTestId('job-done').waitFor();
    await see('Something in the request is not right');
    await see('Waiting: 0, done: 1, failed: 1');
    await w.still();
    await w.photo('partial-failure');
    await button('Remove').click();
    await page.getByTestId('job-failed').waitFor({state: 'detached'});
  });

  await step('a waiting request can be taken back', async () => {
    const before = w.posts('/image').length;
    state.reachable = false;
    await go('image');
    await field('Description').fill('Never mind');
    await page.getByTestId('generate').click();
    await see(waiting);
    await button('Show the queue').click();
    await page.getByTestId('job-waiting').waitFor();
    await button('Cancel').click();
    await page.getByTestId('job-waiting').waitFor({state: 'detached'});
    state.reachable = true;
    await page.getByTestId('offline').filter({visible: true}).first().waitFor({state: 'detached'});
    expect(w.posts('/image').length === before, 'it was sent');
  });
}
