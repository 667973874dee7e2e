/** 16-bit mono WAV. The same file on every platform, whatever recorded it. */
export function encodeWav(samples: Int16Array, rate: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(44 + samples.length * 2);
  const view = new DataView(bytes.buffer);
  const word = (at: number, text: string) => {
    for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  };
  word(0, 'RIFF');
  view.setUint32(4, 36 + samples.length * 2, true);
  word(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  word(36, 'data');
  view.setUint32(40, samples.length * 2, true);
  for (let i = 0; i < samples.length; i++) view.setInt16(44 + i * 2, samples[i]!, true);
  return bytes;
}

/** How long a WAV plays, from its header; null when it is not one. */
export function wavDurationMs(bytes: Uint8Array): number | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 12 || word(0) !== 'RIFF' || word(8) !== 'WAVE') return null;
  let bytesPerSecond = 0;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    if (word(at) === 'fmt ' && at + 20 <= bytes.length) bytesPerSecond = view.getUint32(at + 16, true);
    if (word(at) === 'data') {
      // Writers that stream leave the size open; then the file's own end counts.
      const played = Math.min(size, bytes.length - at - 8);
      return bytesPerSecond > 0 ? (played / bytesPerSecond) * 1000 : null;
    }
    at += 8 + size + (size & 1);
  }
  return null;
}

/** Root mean square of a piece of sound, 0 to 1. */
export function level(samples: Int16Array): number {
  if (samples.length === 0) return 0;
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / samples.length) / 32768;
}

export function toInt16(samples: Float32Array): Int16Array {
  const out = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    const sample = Math.max(-1, Math.min(1, samples[i]!));
    out[i] = Math.round(sample * 32767);
  }
  return out;
}

/** Averages interleaved channels into one. */
export function toMono(samples: Int16Array, channels: number): Int16Array {
  if (channels === 1) return samples;
  const out = new Int16Array(Math.floor(samples.length / channels));
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += samples[i * channels + c]!;
    out[i] = Math.round(sum / channels);
  }
  return out;
}

/**
 * Another sample rate, by a windowed sinc: tones above the new limit are taken out rather than
 * folded down into the voice.
 */
export function resample(samples: Int16Array, from: number, to: number): Int16Array {
  if (from === to) return samples;
  const out = new Int16Array(Math.floor((samples.length * to) / from));
  const cut = Math.min(1, to / from);
  const reach = Math.ceil(16 / cut);
  // Where an output falls between two inputs repeats; each such place has its weights once.
  const kernels = new Map<number, Float64Array>();
  const kernelAt = (place: number): Float64Array => {
    const known = kernels.get(place);
    if (known !== undefined) return known;
    const weights = Float64Array.from({length: 2 * reach + 1}, (_, k) => {
      const x = k - reach - place / to;
      const turn = Math.PI * x * cut;
      return (x === 0 ? 1 : Math.sin(turn) / turn) * (0.5 + 0.5 * Math.cos((Math.PI * x) / (reach + 1)));
    });
    const sum = weights.reduce((total, weight) => total + weight, 0);
    const kernel = weights.map((weight) => weight / sum);
    kernels.set(place, kernel);
    return kernel;
  };
  for (let i = 0; i < out.length; i++) {
    const whole = Math.floor((i * from) / to);
    const kernel = kernelAt((i * from) % to);
    let sum = 0;
    for (let k = 0; k < kernel.length; k++) {
      const j = whole + k - reach;
      if (j >= 0 && j < samples.length) sum += samples[j]! * kernel[k]!;
    }
    out[i] = Math.max(-32768, Math.min(32767, Math.round(sum)));
  }
  return out;
}

export function join(pieces: readonly Int16Array[]): Int16Array {
  const out = new Int16Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}
