// Conversations: streamed, stopped, changed, forked, found, taken out and brought in, spoken.
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';

import {expect} from '../browser.mjs';

const question = `Show me

| Planet | Moons |
|:-------|------:|
| Mars   |     2 |

1. First, **look** at it.

\`\`\`ts
export const greet = (name: string): string => \`Hello \${name}, this is a rather long line of code that has to scroll\`;
\`\`\`
`;

export async function chat(w) {
  const {page, step, see, go, button, field} = w;
  const write = async (text) => {
    await page.getByTestId('chat-input').fill(text);
    await page.getByTestId('send').click();
  };
  const answered = async () => {
    await page.getByTestId('writing').waitFor({state: 'detached'});
    await button('Answer again').waitFor();
  };
  const use = async (model) => {
    await button('Chat options').click();
    await page.getByRole('dialog').getByRole('button', {name: /^Model: /}).click();
    await page.getByLabel('Search, or type a name').fill(model);
    await button(`Use ${model}`).click();
    await w.close();
  };

  await step('an answer appears while it is written, with table, list and code', async () => {
    await go('chat');
    if (!w.hasUpstream) {
      await write('What do planets have?');
      await answered();
      await see('Stand-in answer');
      return;
    }
    await use('fault/stream-slow-40-walk');
    await write(question);
    await page.waitForFunction(() => /You said/.test(document.querySelector('[data-testid="writing"]')?.innerText ?? ''));
    const early = await page.getByTestId('writing').innerText();
    await answered();
    expect(!early.includes('scroll'), 'everything came at once');
    await see('Planet');
    await button('Copy code').click();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    expect(copied.startsWith('export const greet'), `copied: ${copied}`);
    await button('Copy message').click();
    await w.photo('chat-markdown', {fullPage: true});
  });

  if (w.hasUpstream) {
    await step('an answer can be stopped; the server hears of it and the words stay', async () => {
      await use('fault/stream-slow-300-walk');
      await write(`Be slow. ${'One word after another. '.repeat(20)}`);
      await page.waitForFunction(() => /You said: Be/.test(document.querySelector('[data-testid="writing"]')?.innerText ?? ''));
      await page.getByTestId('stop').click();
      await see('Stopped here.');
      await w.watcher.until(({canceledChats}) => canceledChats > 0, 'the server was not told');
    });

    await step('an answer that breaks off says so, and what had come is kept', async () => {
      await use('fault/stream-cut-walk');
      await write('One two three four five six');
      await see(/The answer broke off|The model could not do it/);
      await use('walk/plain');
    });
  }

  await step('a message can be changed and sent again, and answered by another model', async () => {
    await page.getByRole('button', {name: 'Edit and send again'}).filter({visible: true}).last().click();
    expect((await page.getByTestId('chat-input').inputValue()).length > 0, 'nothing to edit');
    await write('And moons?');
    await answered();
    await see(w.hasUpstream ? /You said: And moons/ : 'And moons?');
    await page.getByRole('button', {name: 'Answer by another model'}).filter({visible: true}).last().click();
    await page.getByLabel('Search, or type a name').fill('walk/other');
    await button('Use walk/other').click();
    await w.watcher.until(() => w.posts('/llm').at(-1).json.model === 'walk/other', 'the other model was not asked');
    await answered();
    if (w.hasUpstream) await see('walk/other');
  });

  await step('a conversation is forked, named, found, taken out, deleted and brought in again', async () => {
    await page.getByRole('button', {name: 'Go on from here in a new chat'}).filter({visible: true}).last().click();
    await button('Chats').click();
    const items = page.getByRole('dialog').getByRole('listitem');
    await items.nth(1).waitFor();
    const before = await items.count();
    await page.getByRole('button', {name: /^Rename or delete/}).first().click();
    await field('Title').fill('About the moons of all planets that turn around the sun');
    await button('Save').click();
    await see('About the moons');
    const file = await w.download(() => button('Export all').click());
    const taken = JSON.parse(file.toString());
    expect(taken.conversations.length === before, `${taken.conversations.length} were taken out`);
    await button('Select').click();
    await page.getByRole('dialog').getByRole('button', {name: /About the moons/}).first().click();
    await button('Delete').click();
    await page.getByRole('dialog').getByRole('button', {name: 'Delete', exact: true}).last().click();
    await page.waitForFunction((n) => document.querySelectorAll('[role="dialog"] [role="listitem"]').length === n, before - 1);
    writeFileSync(join(w.files, 'chats.json'), file);
    await w.choose('chats.json', () => button('Import').click());
    await see(/chats? imported/);
    await see('About the moons');
    await page.getByLabel('Search chats').filter({visible: true}).fill('moons');
    await see(/And moons/);
    await w.close();
    const [title, first] = await Promise.all([page.getByRole('heading', {name: /About the moons/}).boundingBox(), button('Talk hands-free').boundingBox()]);
    expect(title.x + title.width <= first.x, 'the title runs under the buttons');
  });

  await step('a draft survives a reload', async () => {
    await page.getByTestId('chat-input').fill('half a thou');
    await page.waitForFunction(() => JSON.stringify(Object.values(localStorage)).includes('half a thou'));
    await page.reload();
    await page.waitForFunction(() => document.querySelector('[data-testid="chat-input"]')?.value === 'half a thou');
    await page.getByTestId('chat-input').fill('');
  });

  await step('speaking instead of typing, and having an answer read aloud', async () => {
    await button('Speak instead of typing').click();
    await button('Stop recording').waitFor();
    await page.waitForTimeout(1000);
    const count = w.posts('/stt').length;
    await button('Stop recording').click();
    await w.watcher.until(() => w.posts('/stt').length > count, 'nothing was sent to be written down');
    if (w.hasUpstream) await page.waitForFunction(() => /seconds of wav/.test(document.querySelector('[data-testid="chat-input"]')?.value ?? ''));
    await page.getByTestId('chat-input').fill('');
    const spoken = w.posts('/tts').length;
    await page.getByRole('button', {name: 'Read aloud'}).filter({visible: true}).last().click();
    await w.watcher.until(() => w.posts('/tts').length > spoken, 'nothing was spoken');
  });

  if (w.hasUpstream) {
    await step('hands-free: what is said is asked, and the answer is spoken sentence by sentence', async () => {
      const count = {stt: w.posts('/stt').length, llm: w.posts('/llm').length, tts: w.posts('/tts').length};
      await button('Talk hands-free').click();
      await see('I am listening');
      await page.waitForTimeout(1500);
      await w.photo('hands-free');
      await button('That was all').click();
      await w.watcher.until(() => w.posts('/stt').length > count.stt && w.posts('/llm').length > count.llm && w.posts('/tts').length > count.tts, 'nobody was asked');
      expect(/seconds of wav/.test(w.posts('/llm').at(-1).json.messages.at(-1).content), 'something else was asked');
      await button('End').click();
      await see(/You said: .*seconds of wav/);
    });
  }
}
