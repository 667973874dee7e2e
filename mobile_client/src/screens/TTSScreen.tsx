import {type RouteProp, useRoute} from '@react-navigation/native';
import {useEffect, useState} from 'react';
import {View} from 'react-native';

import {AudioPlayer} from '../components/AudioPlayer';
import {Button, IconButton} from '../components/Button';
import {Field} from '../components/Field';
import {JobView} from '../components/JobView';
import {Card, Columns, Row, Screen} from '../components/Layout';
import {Empty} from '../components/LoadingIndicator';
import {ModelPicker} from '../components/ModelPicker';
import {PromptField} from '../components/PromptField';
import {StandIn} from '../components/StandIn';
import {Words} from '../components/Words';
import {useHaptics} from '../hooks/useHaptics';
import {useJob} from '../hooks/useJob';
import {useServices, useStore} from '../hooks/useServices';
import {useLocale, useText} from '../i18n';
import {ruleWords} from '../i18n/problems';
import type {Routes} from '../navigation/routes';
import {refusal, speechCall} from '../services/calls';
import {save, share} from '../services/files';
import {type Item, promptsOf} from '../services/library';
import {space} from '../theme/tokens';
import {limits} from '../utils/constants';
import {formatDuration, inOneLine} from '../utils/helpers';

export function TTSScreen() {
  const t = useText();
  const language = useLocale();
  const {params} = useRoute<RouteProp<Routes, 'TTS'>>();
  const services = useServices();
  const items = useStore(services.library.items);
  const feel = useHaptics();
  const [text, setText] = useState(params?.text ?? '');
  const [speaker, setSpeaker] = useState('');
  const [model, setModel] = useState('');
  const [more, setMore] = useState(false);
  const [wrong, setWrong] = useState<Record<string, string>>({});
  const [open, setOpen] = useState<string | null>(null);
  const {job, run, cancel} = useJob<string>(async ({answer, id}, call) => {
    await services.deliver(id, 'tts', call.title, call.about, Date.now(), answer);
    feel('done');
    setOpen(id);
    return id;
  });

  const start = () => {
    const refused = refusal({text, model}, limits.speechChars);
    setWrong(refused);
    if (Object.keys(refused).length > 0) return;
    void run(speechCall({text, model, ...(speaker !== '' && {speakerId: Number(speaker)})}));
  };
  const spoken = items.filter((item) => item.kind === 'tts');

  return (
    <Screen broad>
      <Columns
        show={job.state}
        first={
          <Card>
            <PromptField
              label={t('text')}
              value={text}
              onChange={(words) => {
                setText(words);
                setWrong({});
              }}
              max={limits.speechChars}
              history={promptsOf(items, ['tts'])}
              placeholder={t('ttsPlaceholder')}
              lines={5}
              error={wrong.text === undefined ? undefined : ruleWords(wrong.text, t)}
            />
            {more ? (
              <>
                <Field label={t('speaker')} hint={t('speakerHint')} value={speaker} inputMode="numeric" onChangeText={(value) => setSpeaker(value.replace(/\D/g, '').slice(0, 5))} />
                <ModelPicker capability="tts" value={model} onChange={setModel} />
              </>
            ) : (
              <Button look="plain" icon="down" label={t('moreOptions')} onPress={() => setMore(true)} />
            )}
            <Button testID="speak" look="main" icon="speak" label={t('speak')} busy={job.state === 'sending'} onPress={start} />
          </Card>
        }
        second={
          <>
            <JobView job={job} label={t('makingSpeech')} onCancel={cancel} onRetry={start} />
            <Words look="title">{t('history')}</Words>
            {spoken.length === 0 && <Empty text={t('ttsEmpty')} />}
            {spoken.slice(0, 100).map((item) => (
              <SpokenItem key={item.id} item={item} isOpen={open === item.id} onOpen={() => setOpen(open === item.id ? null : item.id)} when={new Date(item.createdAt).toLocaleString(language)} />
            ))}
          </>
        }
      />
    </Screen>
  );
}

function SpokenItem({item, isOpen, onOpen, when}: {item: Item; isOpen: boolean; onOpen: () => void; when: string}) {
  const t = useText();
  const {library} = useServices();
  const [uri, setUri] = useState<string | null>(null);
  useEffect(() => {
    let gone = false;
    if (isOpen) {
      void library.uri(item.id).then((found) => {
        if (!gone) setUri(found);
      });
    }
    return () => {
      gone = true;
    };
  }, [isOpen, item.id, library]);
  const out = async (how: typeof share) => {
    const file = await library.read(item.id);
    if (file !== null) await how(file.bytes, file.type, `speech-${item.id}.wav`);
  };
  return (
    <Card>
      <Row style={{flexWrap: 'nowrap', alignItems: 'flex-start'}}>
        <View style={{flex: 1, gap: space.hair}}>
          <Words numberOfLines={isOpen ? undefined : 2}>{item.title}</Words>
          <Words look="small">{inOneLine([when, item.durationMs !== undefined && formatDuration(item.durationMs), item.model])}</Words>
          {item.placeholder && <StandIn short />}
        </View>
        <IconButton icon={isOpen ? 'close' : 'play'} label={isOpen ? t('close') : t('listenTo', {title: item.title})} onPress={onOpen} />
      </Row>
      {isOpen && uri !== null && <AudioPlayer uri={uri} label={item.title} />}
      {isOpen && (
        <Row>
          <Button icon="share" label={t('share')} onPress={() => void out(share)} />
          <Button icon="save" label={t('saveFile')} onPress={() => void out(save)} />
          <Button icon="trash" label={t('delete')} onPress={() => void library.remove([item.id])} />
        </Row>
      )}
    </Card>
  );
}
