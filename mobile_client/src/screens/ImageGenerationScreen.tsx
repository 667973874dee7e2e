import {type RouteProp, useNavigation, useRoute} from '@react-navigation/native';
import {useState} from 'react';

import {Button, IconButton} from '../components/Button';
import {Choice} from '../components/Choice';
import {Field} from '../components/Field';
import {JobView} from '../components/JobView';
import {Card, Columns, Row, Screen} from '../components/Layout';
import {LibraryPicture} from '../components/LibraryPicture';
import {Empty, Skeleton} from '../components/LoadingIndicator';
import {ModelPicker} from '../components/ModelPicker';
import {PromptField} from '../components/PromptField';
import {StandIn} from '../components/StandIn';
import {Words} from '../components/Words';
import {useHaptics} from '../hooks/useHaptics';
import {useJob} from '../hooks/useJob';
import {useServices, useStore} from '../hooks/useServices';
import {useText} from '../i18n';
import {ruleWords} from '../i18n/problems';
import type {Routes} from '../navigation/routes';
import {imageCall, refusal} from '../services/calls';
import {save, share} from '../services/files';
import {type Item, promptsOf} from '../services/library';
import {limits, pictureSizes} from '../utils/constants';
import {inOneLine} from '../utils/helpers';

const shapes = {square: [1, 1], wide: [3, 2], tall: [2, 3]} as const;
type Shape = keyof typeof shapes;

export function ImageGenerationScreen() {
  const t = useText();
  const navigation = useNavigation();
  const {params} = useRoute<RouteProp<Routes, 'ImageGeneration'>>();
  const services = useServices();
  const items = useStore(services.library.items);
  const feel = useHaptics();
  const [prompt, setPrompt] = useState(params?.prompt ?? '');
  const [negative, setNegative] = useState('');
  const [size, setSize] = useState<number>(512);
  const [shape, setShape] = useState<Shape>('square');
  const [seed, setSeed] = useState('');
  const [model, setModel] = useState('');
  const [more, setMore] = useState(false);
  const [wrong, setWrong] = useState<Record<string, string>>({});

  const {width, height} = sides(size, shape);
  const {job, run, cancel} = useJob<Item>(async ({answer, id}, call) => {
    await services.deliver(id, 'image', call.title, call.about, Date.now(), answer);
    feel('done');
    return services.library.items.get().find((item) => item.id === id)!;
  });

  const start = () => {
    const wish = {prompt, negativePrompt: negative, width, height, model, ...(seed !== '' && {seed: Number(seed)})};
    const refused = refusal(wish, limits.promptChars);
    setWrong(refused);
    if (Object.keys(refused).length === 0) void run(imageCall(wish));
  };

  const item = job.state === 'done' ? job.value : null;
  const out = async (how: typeof share) => {
    const file = item === null ? null : await services.library.read(item.id);
    if (file !== null && item !== null) await how(file.bytes, file.type, `picture-${item.id}.png`);
  };

  return (
    <Screen broad>
      <Columns
        show={job.state}
        first={
          <Card>
            <PromptField
              label={t('prompt')}
              value={prompt}
              onChange={(words) => {
                setPrompt(words);
                setWrong({});
              }}
              max={limits.promptChars}
              history={promptsOf(items, ['image'])}
              placeholder={t('imagePlaceholder')}
              error={wrong.prompt === undefined ? undefined : ruleWords(wrong.prompt, t)}
            />
            <Choice label={t('size')} value={size} onChange={setSize} options={pictureSizes.map((value) => ({value, label: String(value)}))} />
            <Choice
              label={t('shape')}
              value={shape}
              onChange={setShape}
              options={[
                {value: 'square' as const, label: t('square')},
                {value: 'wide' as const, label: t('wide')},
                {value: 'tall' as const, label: t('tall')},
              ]}
            />
            <Words look="small">{t('pixels', {width, height})}</Words>
            {more ? (
              <>
                <Field label={t('negativePrompt')} hint={t('negativeHint')} value={negative} onChangeText={setNegative} max={limits.promptChars} lines={2} />
                <Row style={{alignItems: 'flex-end', flexWrap: 'nowrap'}}>
                  <Field
                    label={t('seed')}
                    value={seed}
                    onChangeText={(text) => setSeed(text.replace(/\D/g, '').slice(0, 10))}
                    inputMode="numeric"
                    placeholder={t('random')}
                  />
                  <IconButton icon="dice" label={t('newSeed')} onPress={() => setSeed(String(Math.floor(Math.random() * 2 ** 31)))} />
                </Row>
                <ModelPicker capability="image" value={model} onChange={setModel} />
              </>
            ) : (
              <Button look="plain" icon="down" label={t('moreOptions')} onPress={() => setMore(true)} />
            )}
            <Button testID="generate" look="main" icon="image" label={t('generate')} busy={job.state === 'sending'} onPress={start} />
          </Card>
        }
        second={
          <>
            <JobView job={job} label={t('makingPicture')} onCancel={cancel} onRetry={start} />
            {job.state === 'sending' && <Skeleton aspect={width / height} />}
            {item !== null && (
              <Card>
                {item.placeholder && <StandIn />}
                <LibraryPicture id={item.id} label={item.title} aspect={(item.width ?? 1) / (item.height ?? 1)} />
                <Words look="small">
                  {inOneLine([item.model, item.width && t('pixels', {width: item.width, height: item.height ?? 0}), job.state === 'done' && job.fromCache && t('fromCache')])}
                </Words>
                <Row>
                  <Button icon="edit" label={t('useInEditor')} onPress={() => navigation.navigate('ImageEditing', {itemId: item.id})} />
                  <Button icon="share" label={t('share')} onPress={() => void out(share)} />
                  <Button icon="save" label={t('saveFile')} onPress={() => void out(save)} />
                </Row>
              </Card>
            )}
            {job.state === 'idle' && <Empty text={t('imageEmpty')} />}
          </>
        }
      />
    </Screen>
  );
}

/** The longer side as chosen, the other by the shape, both in the steps the server takes. */
export function sides(size: number, shape: Shape): {width: number; height: number} {
  const [x, y] = shapes[shape];
  const step = (value: number) => Math.max(limits.minSide, Math.round(value / limits.sideStep) * limits.sideStep);
  return {width: step((size * x) / Math.max(x, y)), height: step((size * y) / Math.max(x, y))};
}
