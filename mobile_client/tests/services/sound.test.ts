import {record, SilenceDetector} from '../../src/services/recording';
import {Speaker} from '../../src/services/speaker';
import {encodeWav, join, level, resample, toInt16, toMono, wavDurationMs} from '../../src/services/wav';

const tone = (hertz: number, rate: number, seconds: number) =>
  Int16Array.from({length: rate * seconds}, (_, i) => Math.round(12_000 * Math.sin((2 * Math.PI * hertz * i) / rate)));
const loudness = (samples: Int16Array) => level(samples.subarray(samples.length >> 2, (samples.length * 3) >> 2));

test('a WAV is 16-bit mono with true lengths in its header', () => {
  const wav = encodeWav(Int16Array.of(0, 1, -1, 32767, -32768), 16_000);
  const buffer = Buffer.from(wav);
  expect(buffer.toString('latin1', 0, 4)).toBe('RIFF');
  expect(buffer.readUInt32LE(4)).toBe(wav.length - 8);
  expect(buffer.toString('latin1', 8, 16)).toBe('WAVEfmt ');
  expect([buffer.readUInt16LE(20), buffer.readUInt16LE(22), buffer.readUInt32LE(24), buffer.readUInt32LE(28), buffer.readUInt16LE(32), buffer.readUInt16LE(34)])
    .toEqual([1, 1, 16_000, 32_000, 2, 16]);
  expect(buffer.readUInt32LE(40)).toBe(10);
  expect([0, 1, 2, 3, 4].map((i) => buffer.readInt16LE(44 + i * 2))).toEqual([0, 1, -1, 32767, -32768]);
});

test('how long it plays is read from any WAV, also with other parts before the sound', () => {
  expect(wavDurationMs(encodeWav(new Int16Array(8000), 16_000))).toBe(500);
  const wav = encodeWav(new Int16Array(16_000), 16_000);
  const withList = new Uint8Array(wav.length + 10);
  withList.set(wav.subarray(0, 36));
  withList.set([0x4c, 0x49, 0x53, 0x54, 2, 0, 0, 0, 1, 1], 36);
  withList.set(wav.subarray(36), 46);
  expect(wavDurationMs(withList)).toBe(1000);
  expect(wavDurationMs(Uint8Array.of(1, 2, 3))).toBeNull();
});

test('another sample rate keeps a voice and takes out what would fold down', () => {
  const voice = resample(tone(440, 48_000, 1), 48_000, 16_000);
  expect(voice.length).toBe(16_000);
  expect(loudness(voice)).toBeCloseTo(loudness(tone(440, 16_000, 1)), 2);
  expect(loudness(resample(tone(12_000, 48_000, 1), 48_000, 16_000))).toBeLessThan(0.01);
  expect(resample(tone(440, 44_100, 1), 44_100, 16_000).length).toBe(16_000);
});

test('channels become one, floats become integers, pieces become a whole', () => {
  expect([...toMono(Int16Array.of(10, 20, -10, 10), 2)]).toEqual([15, 0]);
  expect([...toInt16(Float32Array.of(0, 1, -1, 2))]).toEqual([0, 32767, -32767, 32767]);
  expect([...join([Int16Array.of(1), Int16Array.of(2, 3)])]).toEqual([1, 2, 3]);
  expect(level(Int16Array.of(32767, -32768))).toBeCloseTo(1, 3);
});

test('a recording is a WAV of 16 kHz, whatever the microphone gives', async () => {
  const seen: number[] = [];
  let stopped = false;
  const recording = await record(
    ({durationMs}) => seen.push(durationMs),
    async (onPiece) => {
      setTimeout(() => {
        onPiece(tone(440, 48_000, 1));
        onPiece(tone(440, 48_000, 1));
      });
      return {rate: 48_000, stop: async () => void (stopped = true)};
    },
  );
  await new Promise((resolve) => setTimeout(resolve, 5));
  const {bytes, durationMs} = await recording.stop();
  expect(stopped).toBe(true);
  expect(seen).toEqual([1000, 2000]);
  expect(durationMs).toBe(2000);
  expect(Buffer.from(bytes).readUInt32LE(24)).toBe(16_000);
  expect(wavDurationMs(bytes)).toBe(2000);
});

test('somebody has finished after speech and a pause, not after a click and not in a noisy room', () => {
  const run = (levels: number[]) => {
    const detector = new SilenceDetector();
    return levels.map((one) => detector.push(one, 100));
  };
  const quiet = (n: number) => new Array<number>(n).fill(0.005);
  const loud = (n: number) => new Array<number>(n).fill(0.2);
  expect(run([...quiet(20), ...loud(1), ...quiet(30)])).not.toContain('finished');
  const spoken = run([...quiet(5), ...loud(8), ...quiet(12)]);
  expect(spoken.at(-1)).toBe('finished');
  expect(spoken.slice(0, -1)).not.toContain('finished');
  expect(run(new Array<number>(60).fill(0.012))).not.toContain('speaking');
});

test('sentences are heard in order, and the next is made while one is heard', async () => {
  const log: string[] = [];
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const speaker = new Speaker(
    async (sentence) => {
      log.push(`make ${sentence}`);
      await wait(2);
      return {bytes: new TextEncoder().encode(sentence) as Uint8Array<ArrayBuffer>, type: 'audio/wav'};
    },
    async (bytes) => {
      const sentence = new TextDecoder().decode(bytes);
      log.push(`play ${sentence}`);
      await wait(20);
      log.push(`end ${sentence}`);
    },
  );
  for (const sentence of ['a', 'b', 'c']) speaker.say(sentence);
  await speaker.finished();
  expect(log.filter((line) => !line.startsWith('make'))).toEqual(['play a', 'end a', 'play b', 'end b', 'play c', 'end c']);
  expect(log.indexOf('make b')).toBeLessThan(log.indexOf('end a'));
});

test('stopping ends the line of sentences', async () => {
  const played: string[] = [];
  const speaker = new Speaker(
    async () => ({bytes: new Uint8Array(0), type: 'audio/wav'}),
    async (_bytes, _type, signal) => {
      played.push('x');
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    },
  );
  speaker.say('a');
  speaker.say('b');
  await new Promise((resolve) => setTimeout(resolve, 5));
  speaker.stop();
  await speaker.finished();
  expect(played).toEqual(['x']);
});
