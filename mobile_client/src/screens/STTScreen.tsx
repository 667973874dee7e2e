import {useNavigation} from '@react-navigation/native';
import {useState} from 'react';

import {AudioRecorder, type Sound} from '../components/AudioRecorder';
import {Button} from '../components/Button';
import {Choice} from '../components/Choice';
import {JobView} from '../components/JobView';
import {Card, Columns, Row, Screen} from '../components/Layout';
import {Empty} from '../components/LoadingIndicator';
import {ModelPicker} from '../components/ModelPicker';
import {StandIn} from '../components/StandIn';
import {Words} from '../components/Words';
import {useHaptics} from '../hooks/useHaptics';
import {useJob} from '../hooks/useJob';
import {useServices, useStore} from '../hooks/useServices';
import {useLocale, useText} from '../i18n';
import {transcriptCall} from '../services/calls';
import {copyText} from '../services/files';
import type {Item} from '../services/library';
import {inOneLine} from '../utils/helpers';

const spokenLanguages = ['en', 'de', 'es', 'fr', 'it', 'pt', 'ja', 'zh', 'ar'] as const;

export function STTScreen() {
  const t = useText();
  const language = useLocale();
  const navigation = useNavigation();
  const services = useServices();
  const items = useStore(services.library.items);
  const feel = useHaptics();
  const [sound, setSound] = useState<Sound | null>(null);
  const [spoken, setSpoken] = useState<string>('');
  const [model, setModel] = useState('');
  const [copied, setCopied] = useState<string | null>(null);
  const {job, run, cancel} = useJob<string>(async ({answer, id}, call) => {
    await services.deliver(id, 'stt', call.title, call.about, Date.now(), answer);
    feel('done');
    return id;
  });

  const start = () => {
    if (sound === null) return;
    void run(transcriptCall({audio: sound.bytes, filename: sound.filename, type: sound.type, language: spoken, model}));
  };
  const heard = items.filter((item) => item.kind === 'stt');
  const nameOf = (code: string) => {
    try {
      return new Intl.DisplayNames([language], {type: 'language'}).of(code) ?? code;
    } catch {
      return code;
    }
  };

  const transcript = (item: Item) => (
    <Card key={item.id}>
      {item.placeholder && <StandIn short />}
      <Words selectable testID="transcript">
        {item.text === '' ? t('nothingHeard') : item.text}
      </Words>
      <Words look="small">
        {inOneLine([new Date(item.createdAt).toLocaleString(language), item.title, item.about.language && nameOf(String(item.about.language)), item.model])}
      </Words>
      <Row>
        <Button
          icon={copied === item.id ? 'check' : 'copy'}
          label={copied === item.id ? t('copied') : t('copy')}
          disabled={item.text === ''}
          onPress={() => void copyText(item.text ?? '').then(() => setCopied(item.id))}
        />
        <Button icon="speak" label={t('readAloud')} disabled={item.text === ''} onPress={() => navigation.navigate('TTS', {text: item.text ?? ''})} />
        <Button icon="trash" label={t('delete')} onPress={() => void services.library.remove([item.id])} />
      </Row>
    </Card>
  );

  return (
    <Screen broad>
      <Columns
        show={job.state}
        first={
          <Card>
            <AudioRecorder sound={sound} onSound={setSound} />
            <Choice
              label={t('spokenLanguage')}
              value={spoken}
              onChange={setSpoken}
              options={[{value: '', label: t('detect')}, ...spokenLanguages.map((code) => ({value: code as string, label: nameOf(code)}))]}
            />
            <ModelPicker capability="stt" value={model} onChange={setModel} />
            <Button testID="transcribe" look="main" icon="send" label={t('transcribe')} disabled={sound === null} busy={job.state === 'sending'} onPress={start} />
          </Card>
        }
        second={
          <>
            <JobView job={job} label={t('listening')} onCancel={cancel} onRetry={start} />
            {heard.length === 0 ? <Empty text={t('sttEmpty')} /> : heard.slice(0, 100).map(transcript)}
          </>
        }
      />
    </Screen>
  );
}
