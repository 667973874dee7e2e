// Collects the microphone's samples, 128 at a time, into pieces of a tenth of a second.
class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Float32Array(Math.round(sampleRate / 10));
    this.filled = 0;
    this.port.onmessage = () => {
      this.port.postMessage(this.piece.slice(0, this.filled));
      this.filled = 0;
      this.port.postMessage('end');
    };
  }

  process(inputs) {
    const samples = inputs[0][0];
    if (samples === undefined) return true;
    for (let i = 0; i < samples.length; i++) {
      this.piece[this.filled++] = samples[i];
      if (this.filled === this.piece.length) {
        this.port.postMessage(this.piece.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor('recorder', Recorder);
