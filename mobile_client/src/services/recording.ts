import {speechRate} from '../utils/constants';
import {openMicrophone} from './recorder';
import type {Microphone} from './microphone';
import {encodeWav, join, level, resample} from './wav';

export type Recording = {bytes: Uint8Array<ArrayBuffer>; durationMs: number};

/** One recording, from the first sample to a WAV of 16 kHz mono. */
export async function record(watch: (now: {durationMs: number; level: number}) => void, open: typeof openMicrophone = openMicrophone): Promise<{
  stop(): Promise<Recording>;
  discard(): Promise<void>;
}> {
  const pieces: Int16Array[] = [];
  let samples = 0;
  let microphone: Microphone | null = null;
  microphone = await open((piece) => {
    pieces.push(piece.slice());
    samples += piece.length;
    watch({durationMs: (samples / (microphone?.rate ?? speechRate)) * 1000, level: level(piece)});
  });
  const opened = microphone;
  return {
    async stop() {
      await opened.stop();
      const sound = resample(join(pieces), opened.rate, speechRate);
      return {bytes: encodeWav(sound, speechRate), durationMs: (sound.length / speechRate) * 1000};
    },
    discard: () => opened.stop(),
  };
}

/**
 * Hears when somebody has finished: after speech, a while of quiet. What counts as quiet follows
 * the room, because no two rooms are equally quiet.
 */
export class SilenceDetector {
  private floor = 0.01;
  private quietMs = 0;
  private spokenMs = 0;

  constructor(private readonly pauseMs = 1200, private readonly leastMs = 300) {}

  push(loudness: number, ms: number): 'waiting' | 'speaking' | 'finished' {
    const loud = loudness > Math.max(0.015, this.floor * 3);
    if (loud) {
      this.spokenMs += ms;
      this.quietMs = 0;
    } else {
      this.floor = this.floor * 0.95 + loudness * 0.05;
      this.quietMs += ms;
      // A click is not speech.
      if (this.spokenMs < this.leastMs && this.quietMs > 500) this.spokenMs = 0;
    }
    if (this.spokenMs < this.leastMs) return 'waiting';
    return this.quietMs >= this.pauseMs ? 'finished' : 'speaking';
  }
}
