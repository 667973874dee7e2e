// Recording, transcripts and speech.
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';

import {expect} from '../browser.mjs';

export async function speech(w) {
  const {page, step, see, go, button, field, state} = w;

  await step('a recording is a WAV of 16 kHz mono, is heard before it is sent, and becomes text', async () => {
    await go('stt');
    await page.getByTestId('record-start').click();
    await page.getByTestId('record-stop').waitFor();
    await page.waitForFunction(() => document.querySelector('[data-testid="record-time"]')?.textContent >= '0:02');
    await page.getByRole('meter', {name: 'Loudness'}).waitFor();
    await w.photo('recording');
    await page.getByTestId('record-stop').click();
    await see(/recording\.wav/);
    await button('Play').click();
    await page.getByRole('radio', {name: 'English'}).first().click();
    await page.getByTestId('transcribe').click();
    await page.getByTestId('transcript').first().waitFor();
    if (w.hasUpstream) await see(/seconds of wav/);
    const wav = state.lastAudio;
    expect(wav.toString('latin1', 0, 4) === 'RIFF', 'no WAV arrived');
    expect(wav.readUInt16LE(22) === 1 && wav.readUInt32LE(24) === 16_000 && wav.readUInt16LE(34) === 16, `it has ${wav.readUInt32LE(24)} Hz`);
    const seconds = (wav.length - 44) / 32_000;
    expect(seconds > 1 && seconds < 30, `it lasts ${seconds} s`);
    let loudest = 0;
    for (let i = 44; i + 1 < wav.length; i += 2) loudest = Math.max(loudest, Math.abs(wav.readInt16LE(i)));
    expect(loudest > 500, 'it is silent');
    if (w.hasUpstream) {
      await button('Copy').click();
      expect(/seconds of wav/.test(await page.evaluate(() => navigator.clipboard.readText())), 'nothing was copied');
    }
    return `${seconds.toFixed(1)} s`;
  });

  await step('a sound file can be picked instead', async () => {
    writeFileSync(join(w.files, 'voice.wav'), state.lastAudio);
    await w.choose('voice.wav', () => button('Choose a file').click());
    await see(/voice\.wav/);
    writeFileSync(join(w.files, 'notes.txt'), 'no sound at all');
    await w.choose('notes.txt', () => button('Choose a file').click());
    await see('This is not a sound file.');
  });

  await step('a text is spoken, played with seeking and speed, and kept', async () => {
    await go('tts');
    await field('Text').fill('Good morning. This is read aloud.');
    await page.getByTestId('speak').click();
    if (!w.hasUpstream) await page.getByText(/Good morning/).nth(1).waitFor();
    await button('Play').waitFor();
    await page.getByRole('radio', {name: '0.75×'}).click();
    await button('Play').click();
    await button('Pause').waitFor();
    const position = page.getByRole('slider', {name: 'Position'});
    await page.waitForFunction(() => Number(document.querySelector('[role="slider"][aria-label="Position"]')?.getAttribute('aria-valuenow')) > 0);
    await position.focus();
    await page.keyboard.press('ArrowRight');
  });
}
