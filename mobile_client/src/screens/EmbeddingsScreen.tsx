import {useMemo, useState} from 'react';
import {Pressable, View} from 'react-native';

import {Button, IconButton} from '../components/Button';
import {Field} from '../components/Field';
import {HeatMap} from '../components/HeatMap';
import {JobView} from '../components/JobView';
import {Card, Columns, Row, Screen} from '../components/Layout';
import {Empty} from '../components/LoadingIndicator';
import {ModelPicker} from '../components/ModelPicker';
import {Notice} from '../components/Notice';
import {PointMap} from '../components/PointMap';
import {StandIn} from '../components/StandIn';
import {Words} from '../components/Words';
import {useHaptics} from '../hooks/useHaptics';
import {useServices} from '../hooks/useServices';
import {useText} from '../i18n';
import {ruleWords} from '../i18n/problems';
import {embeddingReply} from '../services/api';
import type {Job} from '../services/app';
import {embeddingCall, refusal} from '../services/calls';
import {copyText} from '../services/files';
import {problemOfThrown} from '../services/problem';
import {neighbours, pca, similarityMatrix} from '../services/vectors';
import {radius, space, touch} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {limits} from '../utils/constants';
import {titleOf} from '../utils/helpers';

type Made = {texts: string[]; vectors: number[][]; model: string | null; placeholder: boolean};
/** Each text is a request; and nobody reads a larger matrix. */
const mostTexts = 20;

export function EmbeddingsScreen() {
  const t = useText();
  const {colors} = useTheme();
  const services = useServices();
  const feel = useHaptics();
  const [texts, setTexts] = useState(['', '']);
  const [model, setModel] = useState('');
  const [job, setJob] = useState<Job<Made>>({state: 'idle'});
  const [wrong, setWrong] = useState<Record<number, string>>({});
  const [chosen, setChosen] = useState(0);
  const [copied, setCopied] = useState(false);

  async function start() {
    const wanted = texts.map((text) => text.trim()).filter((text) => text !== '');
    const refused: Record<number, string> = {};
    texts.forEach((text, index) => {
      const rule = text.trim() === '' ? undefined : refusal({text, model}, limits.embeddingChars).text;
      if (rule !== undefined) refused[index] = rule;
    });
    if (wanted.length === 0) refused[0] = 'empty';
    setWrong(refused);
    if (Object.keys(refused).length > 0) return;

    const abort = new AbortController();
    setJob({state: 'sending', since: Date.now(), abort});
    setCopied(false);
    setChosen(0);
    try {
      const vectors: number[][] = [];
      let name: string | null = null;
      let placeholder = false;
      let fromCache = true;
      let queuedId: string | null = null;
      for (const text of wanted) {
        const outcome = await services.submit(embeddingCall({text, model}), abort.signal);
        // Offline: the others are put in line too, so that nothing has to be asked twice.
        if (outcome.state === 'queued') {
          queuedId = outcome.job.id;
          continue;
        }
        const reply = embeddingReply(outcome.answer);
        vectors.push(reply.vector);
        name = reply.model;
        placeholder ||= outcome.answer.placeholder;
        fromCache &&= outcome.fromCache;
      }
      if (queuedId !== null) return setJob({state: 'queued', id: queuedId});
      feel('done');
      setJob({state: 'done', value: {texts: wanted, vectors, model: name, placeholder}, fromCache});
    } catch (thrown) {
      const what = problemOfThrown(thrown, abort.signal.aborted);
      setJob(what.kind === 'cancelled' ? {state: 'idle'} : {state: 'refused', problem: what});
    }
  }

  const cancel = () => {
    if (job.state === 'sending') job.abort.abort();
    setJob({state: 'idle'});
  };

  const made = job.state === 'done' ? job.value : null;
  const matrix = useMemo(() => (made === null ? [] : similarityMatrix(made.vectors)), [made]);
  const points = useMemo(() => (made === null ? [] : pca(made.vectors)), [made]);
  const near = useMemo(() => (made === null || made.vectors.length < 2 ? [] : neighbours(made.vectors, chosen)), [chosen, made]);
  const labels = useMemo(() => made?.texts.map((text) => titleOf(text, 60)) ?? [], [made]);

  return (
    <Screen broad>
      <Columns
        first={
          <Card>
            {texts.map((text, index) => (
              <Row key={index} style={{flexWrap: 'nowrap', alignItems: 'flex-end'}}>
                <View style={{flex: 1}}>
                  <Field
                    label={t('textNumber', {n: index + 1})}
                    value={text}
                    lines={2}
                    max={limits.embeddingChars}
                    error={wrong[index] === undefined ? undefined : ruleWords(wrong[index], t)}
                    onChangeText={(next) => setTexts(texts.map((old, i) => (i === index ? next : old)))}
                  />
                </View>
                {texts.length > 1 && <IconButton icon="close" label={t('removeText', {n: index + 1})} onPress={() => setTexts(texts.filter((_, i) => i !== index))} />}
              </Row>
            ))}
            <Row>
              <Button icon="plus" label={t('addText')} disabled={texts.length >= mostTexts} onPress={() => setTexts([...texts, ''])} />
              <Button look="plain" label={t('exampleTexts')} onPress={() => setTexts(t('exampleList').split('|'))} />
            </Row>
            <ModelPicker capability="embedding" value={model} onChange={setModel} />
            <Button testID="embed" look="main" icon="map" label={t('compare')} busy={job.state === 'sending'} onPress={() => void start()} />
          </Card>
        }
        second={
          <>
            <JobView job={job} label={t('comparing')} onCancel={cancel} onRetry={() => void start()} />
            {job.state === 'idle' && <Empty text={t('embeddingsEmpty')} />}
            {made !== null && (
              <>
                {made.placeholder && <StandIn />}
                <Card title={t('similarities')}>
                  <Words look="small">{t('dimensions', {n: made.vectors[0]?.length ?? 0, model: made.model ?? ''})}</Words>
                  <HeatMap matrix={matrix} labels={labels} />
                </Card>
                {near.length > 0 && (
                  <Card title={t('neighbours')}>
                    <Words>{t('nearestTo', {text: labels[chosen] ?? ''})}</Words>
                    <View role="list">
                      {near.map(({index, similarity}) => (
                        <Pressable
                          role="listitem"
                          key={index}
                          onPress={() => setChosen(index)}
                          style={{minHeight: touch, flexDirection: 'row', alignItems: 'center', gap: space.small}}>
                          <View style={{width: `${Math.max(0, similarity) * 30}%`, height: space.small, borderRadius: radius.round, backgroundColor: colors.accent}} />
                          <Words look="small">{similarity.toFixed(2)}</Words>
                          <Words style={{flex: 1}} numberOfLines={2}>{`${index + 1}. ${labels[index]}`}</Words>
                        </Pressable>
                      ))}
                    </View>
                  </Card>
                )}
                {made.vectors.length > 2 && (
                  <Card title={t('map')}>
                    <Words look="small">{t('mapText')}</Words>
                    <PointMap points={points} labels={labels} chosen={chosen} onPress={setChosen} />
                  </Card>
                )}
                {made.vectors.length < 2 && <Notice text={t('oneText')} />}
                <Row>
                  <Button
                    icon={copied ? 'check' : 'copy'}
                    label={copied ? t('copied') : t('copyJson')}
                    onPress={() =>
                      void copyText(
                        JSON.stringify(made.texts.map((text, index) => ({text, embedding: made.vectors[index], model: made.model})), null, 1),
                      ).then(() => setCopied(true))
                    }
                  />
                </Row>
              </>
            )}
          </>
        }
      />
    </Screen>
  );
}
