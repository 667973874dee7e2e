/** Plays sound and resolves when it is over or stopped. */
export type Play = (bytes: Uint8Array<ArrayBuffer>, type: string, signal: AbortSignal) => Promise<void>;

/**
 * Speaks sentences one after the other. While one is heard the next is being made, so that
 * there is no pause between them.
 */
export class Speaker {
  private readonly abort = new AbortController();
  private line: Promise<void> = Promise.resolve();
  private last: Promise<unknown> = Promise.resolve();
  private failure: unknown = null;

  constructor(
    private readonly make: (sentence: string, signal: AbortSignal) => Promise<{bytes: Uint8Array<ArrayBuffer>; type: string}>,
    private readonly play: Play,
  ) {}

  say(sentence: string): void {
    const {signal} = this.abort;
    // One at a time is made: a server with one model would only make them wait for each other.
    const made = this.last.then(() => (signal.aborted || this.failure !== null ? null : this.make(sentence, signal)));
    this.last = made.catch(() => undefined);
    this.line = this.line.then(async () => {
      try {
        const sound = await made;
        if (sound !== null && !signal.aborted) await this.play(sound.bytes, sound.type, signal);
      } catch (thrown) {
        if (!signal.aborted) this.failure ??= thrown;
      }
    });
  }

  /** Resolves when everything said so far has been heard; throws what went wrong first. */
  async finished(): Promise<void> {
    await this.line;
    if (this.failure !== null) throw this.failure;
  }

  stop(): void {
    this.abort.abort();
  }
}
