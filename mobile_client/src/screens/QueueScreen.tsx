import {useNavigation} from '@react-navigation/native';
import {ActivityIndicator, View} from 'react-native';

import {Button} from '../components/Button';
import {Icon, type IconName} from '../components/Icon';
import {Card, Row, Screen} from '../components/Layout';
import {Empty} from '../components/LoadingIndicator';
import {ProblemView} from '../components/ProblemView';
import {Words} from '../components/Words';
import {useServices, useStore} from '../hooks/useServices';
import {useLocale, useText} from '../i18n';
import type {Key} from '../i18n/en';
import type {QueuedJob} from '../services/outbox';
import {space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import type {Capability} from '../utils/constants';
import {formatBytes, inOneLine, titleOf} from '../utils/helpers';

const kinds: Record<Capability, {icon: IconName; title: Key}> = {
  image: {icon: 'image', title: 'imageGeneration'},
  'edit-image': {icon: 'edit', title: 'imageEditing'},
  tts: {icon: 'speak', title: 'tts'},
  stt: {icon: 'mic', title: 'stt'},
  llm: {icon: 'chat', title: 'chat'},
  embedding: {icon: 'map', title: 'embeddings'},
};
const states: Record<QueuedJob['state'], Key> = {waiting: 'jobWaiting', sending: 'jobSending', done: 'jobDone', failed: 'jobFailed'};

/** Everything that waits for the backend, and what became of it. */
export function QueueScreen() {
  const t = useText();
  const {outbox, reachability} = useServices();
  const jobs = useStore(outbox.jobs);
  const reach = useStore(reachability.reach);
  const count = (state: QueuedJob['state']) => jobs.filter((job) => job.state === state).length;
  const done = count('done');
  const failed = count('failed');
  const waiting = count('waiting');
  const again = jobs.filter((job) => job.state === 'failed' && job.problem?.retryable !== false);

  return (
    <Screen>
      {jobs.length === 0 ? (
        <Empty text={t('queueEmpty')} />
      ) : (
        <>
          <Words role="status" aria-live="polite">
            {t('queueCounts', {waiting: waiting + count('sending'), done, failed})}
          </Words>
          <Row>
            {waiting > 0 && (
              <Button
                icon="send"
                label={t('sendNow')}
                onPress={() => void reachability.look().then((reachable) => (reachable ? outbox.flush() : undefined))}
              />
            )}
            {again.length > 0 && (
              <Button
                icon="refresh"
                label={t('retryFailed')}
                onPress={() => {
                  void Promise.all(again.map((job) => outbox.retry(job.id))).then(() => outbox.flush());
                }}
              />
            )}
            {done > 0 && <Button icon="check" label={t('clearDone')} onPress={() => void outbox.clearDone()} />}
          </Row>
          {waiting > 0 && reach.state === 'unreachable' && <Words look="quiet">{t('queueOffline')}</Words>}
          <View role="list" style={{gap: space.medium}}>
            {[...jobs].reverse().map((job) => (
              <JobCard key={job.id} job={job} />
            ))}
          </View>
        </>
      )}
    </Screen>
  );
}

function JobCard({job}: {job: QueuedJob}) {
  const t = useText();
  const language = useLocale();
  const {colors} = useTheme();
  const navigation = useNavigation();
  const {outbox} = useServices();
  const kind = kinds[job.capability];
  const open = () => {
    if (job.capability === 'image' || job.capability === 'edit-image') navigation.navigate('Item', {id: job.id});
    else if (job.capability === 'llm') navigation.navigate('Tabs', {screen: 'Chat', params: {id: String(job.about.chat_id ?? '')}});
    else navigation.navigate(({tts: 'TTS', stt: 'STT', embedding: 'Embeddings'} as const)[job.capability]);
  };
  return (
    <View role="listitem">
      <Card>
        <Row style={{flexWrap: 'nowrap', alignItems: 'flex-start'}}>
          <Icon name={kind.icon} color={colors.quiet} />
          <View style={{flex: 1, minWidth: 0}}>
            <Words style={{fontWeight: '600'}}>{titleOf(job.title, 120) || t(kind.title)}</Words>
            <Words look="small">
              {inOneLine([t(kind.title), formatBytes(job.size), new Date(job.createdAt).toLocaleString(language)])}
            </Words>
          </View>
        </Row>
        <Row>
          {job.state === 'sending' && <ActivityIndicator color={colors.accent} accessibilityLabel={t('jobSending')} />}
          <Words testID={`job-${job.state}`}>{t(states[job.state])}</Words>
        </Row>
        {job.state === 'failed' && job.problem && <ProblemView problem={job.problem} />}
        <Row>
          {job.state === 'failed' && job.problem?.retryable !== false && (
            <Button icon="refresh" label={t('tryAgain')} onPress={() => void outbox.retry(job.id).then(() => outbox.flush())} />
          )}
          {job.state === 'done' ? (
            <Button icon="next" label={t('open')} onPress={open} />
          ) : (
            <Button icon="close" label={job.state === 'failed' ? t('remove') : t('cancel')} onPress={() => void outbox.cancel(job.id)} />
          )}
        </Row>
      </Card>
    </View>
  );
}
