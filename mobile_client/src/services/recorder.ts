import {AudioModule, requestRecordingPermissionsAsync, setAudioModeAsync} from 'expo-audio';

import {speechRate} from '../utils/constants';
import {type Microphone, MicrophoneError} from './microphone';

export {type Microphone, MicrophoneError} from './microphone';

/** The phone's microphone. `recorder.web.ts` is the browser's. */
export async function openMicrophone(onPiece: (samples: Int16Array) => void): Promise<Microphone> {
  const permission = await requestRecordingPermissionsAsync();
  if (!permission.granted) throw new MicrophoneError('denied');
  await setAudioModeAsync({allowsRecording: true, playsInSilentMode: true});
  // The rule takes the module object for a namespace; its types are the module's own.
  // eslint-disable-next-line import/namespace
  const stream = new AudioModule.AudioStream({sampleRate: speechRate, channels: 1, encoding: 'int16'});
  const listener = stream.addListener('audioStreamBuffer', (buffer) => onPiece(new Int16Array(buffer.data)));
  const close = async () => {
    listener.remove();
    stream.stop();
    stream.release();
    // Otherwise iOS plays through the small speaker at the ear.
    await setAudioModeAsync({allowsRecording: false, playsInSilentMode: true});
  };
  try {
    await stream.start();
  } catch {
    await close();
    throw new MicrophoneError('missing');
  }
  return {rate: stream.sampleRate, stop: close};
}
