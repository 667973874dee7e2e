import {useEffect, useRef, useState} from 'react';
import {View} from 'react-native';

import {Refused} from '../../components/AudioRecorder';
import {Button} from '../../components/Button';
import {Row} from '../../components/Layout';
import {ProblemView} from '../../components/ProblemView';
import {Sheet} from '../../components/Sheet';
import {Words} from '../../components/Words';
import {useVoice, voiceProblem} from '../../hooks/useVoice';
import {useText} from '../../i18n';
import {spoken} from '../../services/markdown';
import {SentenceCutter} from '../../services/sentences';
import {radius, space} from '../../theme/tokens';
import {useTheme} from '../../theme/ThemeContext';

type Phase = 'listening' | 'understanding' | 'answering';

/**
 * Speech in, speech out: listens until a pause, asks, and speaks the answer sentence by sentence
 * while it is still being written.
 */
export function HandsFree({open, onClose, ask}: {open: boolean; onClose: () => void; ask: (text: string, onPiece: (text: string) => void) => Promise<string | null>}) {
  const t = useText();
  const {colors} = useTheme();
  const {heard, listen, transcribe, speaker} = useVoice();
  const [phase, setPhase] = useState<Phase>('listening');
  const [said, setSaid] = useState('');
  const [wrong, setWrong] = useState<ReturnType<typeof voiceProblem> | null>(null);
  const [round, setRound] = useState(0);
  const finish = useRef<() => void>(() => undefined);
  const latest = useRef({ask, listen, transcribe, speaker});
  useEffect(() => {
    latest.current = {ask, listen, transcribe, speaker};
  });

  useEffect(() => {
    if (!open) return;
    const abort = new AbortController();
    let voice: ReturnType<typeof speaker> | null = null;
    abort.signal.addEventListener('abort', () => voice?.stop());
    const talk = async () => {
      setWrong(null);
      while (!abort.signal.aborted) {
        setPhase('listening');
        const enough = new Promise<void>((resolve) => {
          finish.current = resolve;
        });
        const sound = await latest.current.listen(abort.signal, enough);
        if (sound === null) continue;
        setPhase('understanding');
        const text = await latest.current.transcribe(sound, abort.signal);
        setSaid(text);
        if (text === '') continue;
        setPhase('answering');
        const mouth = latest.current.speaker();
        voice = mouth;
        const cutter = new SentenceCutter();
        const say = (sentences: string[]) => {
          for (const sentence of sentences.map(spoken)) if (sentence !== '') mouth.say(sentence);
        };
        const answer = await latest.current.ask(text, (piece) => say(cutter.push(piece)));
        if (answer === null) return onClose();
        say(cutter.end());
        await mouth.finished();
      }
    };
    talk().catch((thrown: unknown) => {
      if (!abort.signal.aborted) setWrong(voiceProblem(thrown));
    });
    return () => abort.abort();
    // One conversation of sound per opening; the functions are read through `latest`.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [open, round]);

  const words = {listening: t('hearing'), understanding: t('understanding'), answering: t('answering')}[phase];
  return (
    <Sheet open={open} title={t('handsFree')} onClose={onClose}>
      {wrong === null ? (
        <View style={{alignItems: 'center', gap: space.large, padding: space.large}}>
          <View style={{height: space.vast * 3, justifyContent: 'center'}}>
            <View
              style={{
                width: space.vast * (1.5 + Math.min(1, (heard?.level ?? 0) * 8)),
                aspectRatio: 1,
                borderRadius: radius.round,
                backgroundColor: phase === 'listening' ? colors.accent : colors.accentSoft,
              }}
            />
          </View>
          <Words look="large" role="status" aria-live="polite">
            {words}
          </Words>
          {said !== '' && <Words look="quiet">{`“${said}”`}</Words>}
          <Row>
            {phase === 'listening' && <Button icon="send" label={t('saidAll')} onPress={() => finish.current()} />}
            <Button look="main" icon="stop" label={t('endHandsFree')} onPress={onClose} />
          </Row>
        </View>
      ) : (
        <>
          {'microphone' in wrong ? <Refused reason={wrong.microphone} /> : <ProblemView problem={wrong.problem} />}
          <Row>
            <Button icon="refresh" label={t('tryAgain')} onPress={() => setRound(round + 1)} />
          </Row>
        </>
      )}
    </Sheet>
  );
}
