import {speechRate} from '../utils/constants';
import {type Microphone, MicrophoneError} from './microphone';
import {toInt16} from './wav';

export {type Microphone, MicrophoneError} from './microphone';

export async function openMicrophone(onPiece: (samples: Int16Array) => void): Promise<Microphone> {
  // Browsers hide the microphone from pages over plain HTTP other than localhost.
  if (!globalThis.isSecureContext || !navigator.mediaDevices) throw new MicrophoneError('insecure');
  let media: MediaStream;
  try {
    media = await navigator.mediaDevices.getUserMedia({
      audio: {channelCount: 1, echoCancellation: true, noiseSuppression: true},
    });
  } catch (thrown) {
    throw new MicrophoneError(thrown instanceof DOMException && thrown.name === 'NotFoundError' ? 'missing' : 'denied');
  }
  const release = () => media.getTracks().forEach((track) => track.stop());
  let context: AudioContext | null = null;
  try {
    context = new AudioContext({sampleRate: speechRate});
    let source: MediaStreamAudioSourceNode;
    try {
      source = context.createMediaStreamSource(media);
    } catch {
      // Some browsers do not join a microphone and a context of different rates.
      await context.close();
      context = new AudioContext();
      source = context.createMediaStreamSource(media);
    }
    await context.audioWorklet.addModule(`${process.env.EXPO_BASE_URL ?? ''}/recorder-worklet.js`);
    const node = new AudioWorkletNode(context, 'recorder', {numberOfOutputs: 0, channelCount: 1, channelCountMode: 'explicit'});
    node.port.onmessage = (event: MessageEvent<Float32Array>) => onPiece(toInt16(event.data));
    source.connect(node);
    const open = context;
    return {
      rate: open.sampleRate,
      stop: async () => {
        source.disconnect();
        // Asks for the last piece, which is not full yet, and waits for it.
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 300);
          const onmessage = node.port.onmessage;
          node.port.onmessage = (event: MessageEvent<Float32Array | 'end'>) => {
            if (event.data === 'end') {
              clearTimeout(timer);
              resolve();
            } else onmessage?.call(node.port, event);
          };
          node.port.postMessage('end');
        });
        release();
        await open.close();
      },
    };
  } catch {
    release();
    await context?.close().catch(() => undefined);
    throw new MicrophoneError('missing');
  }
}
