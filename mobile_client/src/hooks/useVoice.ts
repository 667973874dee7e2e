import {useCallback, useState} from 'react';

import {transcriptReply} from '../services/api';
import {speechCall, transcriptCall} from '../services/calls';
import {MicrophoneError, type MicrophoneRefusal} from '../services/microphone';
import {play} from '../services/play';
import {type Problem, problemOfThrown} from '../services/problem';
import {record, type Recording, SilenceDetector} from '../services/recording';
import {Speaker} from '../services/speaker';
import {useServices} from './useServices';

const longestMs = 60_000;

/** Listening until a pause, and speaking; both can be stopped at any time. */
export function useVoice() {
  const services = useServices();
  const [heard, setHeard] = useState<{durationMs: number; level: number} | null>(null);

  /** Records until there is a pause after speech, or until `finish` is called. */
  const listen = useCallback(async (signal: AbortSignal, finish: Promise<void>): Promise<Recording | null> => {
    const detector = new SilenceDetector();
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    let before = 0;
    let spoke = false;
    const recording = await record((now) => {
      setHeard(now);
      const state = detector.push(now.level, now.durationMs - before);
      before = now.durationMs;
      if (state !== 'waiting') spoke = true;
      if (state === 'finished' || now.durationMs > longestMs) end();
    });
    signal.addEventListener('abort', () => end());
    void finish.then(() => {
      spoke = true;
      end();
    });
    if (!signal.aborted) await ended;
    setHeard(null);
    const sound = await recording.stop();
    return signal.aborted || !spoke ? null : sound;
  }, []);

  const transcribe = useCallback(
    async (sound: Recording, signal: AbortSignal): Promise<string> => {
      const call = transcriptCall({audio: sound.bytes, filename: 'recording.wav', type: 'audio/wav'});
      return transcriptReply(await services.api.send(call, {signal, retry: false})).text.trim();
    },
    [services],
  );

  const speaker = useCallback(
    () =>
      new Speaker(async (sentence, signal) => {
        const outcome = await services.submitNow(speechCall({text: sentence}), signal);
        return {bytes: outcome.bytes, type: outcome.type};
      }, play),
    [services],
  );

  return {heard, listen, transcribe, speaker};
}

export function voiceProblem(thrown: unknown): {microphone: MicrophoneRefusal} | {problem: Problem} {
  return thrown instanceof MicrophoneError ? {microphone: thrown.reason} : {problem: problemOfThrown(thrown, false)};
}
