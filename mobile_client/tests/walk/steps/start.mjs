// The first start, and what a connection test tells.
import {createServer} from 'node:http';

import {expect} from '../browser.mjs';

export async function start(w) {
  const {page, step, see, go, button, field, home, state} = w;

  await step('a browser that asks for the platform finds the app', async () => {
    await page.goto(`${w.watcher.address}/`);
    expect(page.url() === home, `it is at ${page.url()}`);
    const index = state.pages.find((one) => one.pathname === '/app/');
    expect(index.headers['cache-control'] === 'no-cache' && /html/.test(index.headers['content-type']), JSON.stringify(index.headers));
    const main = state.pages.find((one) => one.pathname.includes('_expo/static/js'));
    expect(/immutable/.test(main.headers['cache-control']), JSON.stringify(main.headers));
    expect(['br', 'gzip'].includes(main.headers['content-encoding']), 'the script came uncompressed');
  });

  await step('the first start asks for the server, tests it and leads in', async () => {
    await see('Welcome');
    await button('Test connection').click();
    await see(/It works/);
    await w.still();
    await w.photo('welcome', {fullPage: true});
    const wrong = await w.violations();
    expect(wrong.length === 0, wrong.join('\n'));
    await button('Start').click();
    await see('What shall it be?');
  });

  if (!w.hasUpstream) return;

  await step('the connection test says what is wrong', async () => {
    let head = {};
    let answer = [404, 'text/html', '<p>nothing</p>'];
    const other = createServer((request, response) => {
      if (request.method === 'OPTIONS') {
        response.writeHead(204, head);
        return response.end();
      }
      const [status, type, body] = answer(request.url);
      response.writeHead(status, {'content-type': type, ...head});
      response.end(body);
    });
    await new Promise((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${other.address().port}`;
    const open = {'access-control-allow-origin': '*', 'access-control-allow-headers': '*', 'access-control-allow-methods': '*'};
    const healthy = JSON.stringify({status: 'healthy', timestamp: '2026-01-01T00:00:00Z'});
    const refusal = (error) => JSON.stringify({error, message: 'no', details: {}, timestamp: '2026-01-01T00:00:00Z'});
    try {
      await go('server');
      for (const [typed, words, headers, give] of [
        ['http://127.0.0.1:9', 'Nobody answers there.', {}, () => [200, 'text/plain', '']],
        ['https://a b', 'This is not an address.', {}, () => [200, 'text/plain', '']],
        [address, 'Something else answers there (status 404).', open, () => [404, 'text/html', '<p>nothing</p>']],
        [address, 'The server is there, but does not let this page in.', {}, () => [200, 'application/json', healthy]],
        [address, 'The server refuses the access key.', open, (url) => (url === '/health' ? [200, 'application/json', healthy] : [401, 'application/json', refusal('unauthorized')])],
        [address, 'The server is there, but not well (status 503).', open, () => [503, 'application/json', refusal('overloaded')]],
      ]) {
        head = headers;
        answer = give;
        await field('Address').fill(typed);
        await button('Test connection').click();
        await see(words);
      }
      await w.photo('connection-test');
    } finally {
      other.closeAllConnections();
      other.close();
    }
  });

  await step('a link sets up a server on a device that has none', async () => {
    const fresh = await w.browser.newContext({locale: 'en-GB'});
    const phone = await fresh.newPage();
    await phone.goto(`${home}server?url=${encodeURIComponent(w.watcher.address)}&name=From%20a%20link&token=secret`);
    await phone.getByLabel('Address').filter({visible: true}).first().waitFor();
    await phone.getByText('From a link').filter({visible: true}).first().waitFor();
    await phone.goto(home);
    await phone.getByText(/From a link\W+connected/).filter({visible: true}).first().waitFor();
    const kept = await phone.evaluate(() => localStorage.getItem('hybrid:v1:settings'));
    expect(!kept.includes('secret'), 'the key lies among the settings');
    await fresh.close();
  });
}
