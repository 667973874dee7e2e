/** Raw sound from the microphone, a piece at a time. */
export type Microphone = {rate: number; stop(): Promise<void>};

/** Why there is none: not allowed, none there, or a page over plain HTTP, from which browsers hide it. */
export type MicrophoneRefusal = 'denied' | 'missing' | 'insecure';

export class MicrophoneError extends Error {
  constructor(readonly reason: MicrophoneRefusal) {
    super(reason);
    this.name = 'MicrophoneError';
  }
}
