import * as DocumentPicker from 'expo-document-picker';
import {useEffect, useRef, useState} from 'react';
import {View} from 'react-native';

import {useHaptics} from '../hooks/useHaptics';
import {useText} from '../i18n';
import {readUri, temporaryUri} from '../services/files';
import {MicrophoneError, type MicrophoneRefusal} from '../services/microphone';
import {record} from '../services/recording';
import {radius, space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {sniff} from '../utils/bytes';
import {limits} from '../utils/constants';
import {formatBytes, formatDuration} from '../utils/helpers';
import {AudioPlayer} from './AudioPlayer';
import {Button} from './Button';
import {Row} from './Layout';
import {Notice} from './Notice';
import {Words} from './Words';

export type Sound = {bytes: Uint8Array<ArrayBuffer>; type: string; filename: string; uri: string; durationMs: number | null; release(): void};

/** Records WAV on every platform, or takes a file; either can be heard before it is sent. */
export function AudioRecorder({sound, onSound}: {sound: Sound | null; onSound: (sound: Sound | null) => void}) {
  const t = useText();
  const {colors} = useTheme();
  const feel = useHaptics();
  const [state, setState] = useState<
    {at: 'rest'} | {at: 'opening'} | {at: 'recording'; durationMs: number; level: number} | {at: 'refused'; reason: MicrophoneRefusal | 'file' | 'large'}
  >({at: 'rest'});
  const running = useRef<Awaited<ReturnType<typeof record>> | null>(null);
  const last = useRef<Sound | null>(null);

  useEffect(
    () => () => {
      void running.current?.discard();
      last.current?.release();
    },
    [],
  );

  const give = (next: Sound | null) => {
    last.current?.release();
    last.current = next;
    onSound(next);
  };

  async function start() {
    give(null);
    setState({at: 'opening'});
    try {
      running.current = await record((now) => {
        // Pieces that arrive after the stop do not bring the meter back.
        setState((old) => (old.at === 'recording' || old.at === 'opening' ? {at: 'recording', ...now} : old));
      });
      feel('done');
      setState({at: 'recording', durationMs: 0, level: 0});
    } catch (thrown) {
      feel('wrong');
      setState({at: 'refused', reason: thrown instanceof MicrophoneError ? thrown.reason : 'missing'});
    }
  }

  async function stop() {
    const recording = running.current;
    running.current = null;
    setState({at: 'rest'});
    if (recording === null) return;
    const {bytes, durationMs} = await recording.stop();
    const {uri, release} = await temporaryUri(bytes, 'audio/wav');
    give({bytes, type: 'audio/wav', filename: 'recording.wav', uri, durationMs, release});
  }

  async function pick() {
    const result = await DocumentPicker.getDocumentAsync({type: ['audio/*', 'video/webm', 'video/mp4'], copyToCacheDirectory: true});
    const asset = result.canceled ? undefined : result.assets[0];
    if (asset === undefined) return;
    if ((asset.size ?? 0) > limits.uploadBytes) return setState({at: 'refused', reason: 'large'});
    try {
      const bytes = await readUri(asset.uri);
      const type = sniff(bytes) ?? asset.mimeType ?? '';
      if (bytes.length > limits.uploadBytes) return setState({at: 'refused', reason: 'large'});
      if (!/^(audio|video)\//.test(type)) return setState({at: 'refused', reason: 'file'});
      const {uri, release} = await temporaryUri(bytes, type);
      setState({at: 'rest'});
      give({bytes, type, filename: asset.name, uri, durationMs: null, release});
    } catch {
      setState({at: 'refused', reason: 'file'});
    }
  }

  const recording = state.at === 'recording';
  return (
    <View style={{gap: space.medium}}>
      <Row>
        {recording ? (
          <Button testID="record-stop" look="danger" icon="stop" label={t('stopRecording')} onPress={() => void stop()} />
        ) : (
          <Button testID="record-start" look={sound === null ? 'main' : 'soft'} icon="mic" label={sound === null ? t('record') : t('recordAgain')} busy={state.at === 'opening'} onPress={() => void start()} />
        )}
        {!recording && <Button icon="file" label={t('chooseAudio')} onPress={() => void pick()} />}
      </Row>
      {recording && (
        <View style={{gap: space.small}}>
          <Row>
            <View style={{width: space.medium, height: space.medium, borderRadius: radius.round, backgroundColor: colors.danger}} />
            <Words role="timer" accessibilityLabel={t('recordingFor', {time: formatDuration(state.durationMs)})} testID="record-time">
              {formatDuration(state.durationMs)}
            </Words>
          </Row>
          <Level value={state.level} />
        </View>
      )}
      {state.at === 'refused' && <Refused reason={state.reason} />}
      {sound !== null && !recording && (
        <View style={{gap: space.small}}>
          <Words look="small">
            {sound.filename} · {formatBytes(sound.bytes.length)}
          </Words>
          <AudioPlayer uri={sound.uri} label={t('recordingPlayback')} />
        </View>
      )}
    </View>
  );
}

function Level({value}: {value: number}) {
  const t = useText();
  const {colors} = useTheme();
  // Ears hear in steps of equal ratio: 60 dB from silence to full.
  const part = Math.max(0, Math.min(1, 1 + Math.log10(Math.max(value, 1e-3)) / 3));
  return (
    <View
      role="meter"
      accessibilityLabel={t('level')}
      accessibilityValue={{min: 0, max: 100, now: Math.round(part * 100)}}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(part * 100)}
      style={{height: space.small, borderRadius: radius.round, backgroundColor: colors.raised, overflow: 'hidden'}}>
      <View style={{height: '100%', width: `${part * 100}%`, backgroundColor: colors.accent}} />
    </View>
  );
}

export function Refused({reason}: {reason: MicrophoneRefusal | 'file' | 'large'}) {
  const t = useText();
  const words = {
    denied: [t('micDenied'), t('micDeniedAdvice')],
    missing: [t('micMissing'), t('micMissingAdvice')],
    insecure: [t('micInsecure'), t('micInsecureAdvice')],
    file: [t('audioBroken'), t('audioBrokenAdvice')],
    large: [t('pTooLarge'), t('pTooLargeAdvice', {mb: limits.uploadBytes / 1024 / 1024})],
  }[reason] as [string, string];
  return <Notice look="warn" title={words[0]} text={words[1]} />;
}
