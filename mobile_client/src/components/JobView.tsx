import {useNavigation} from '@react-navigation/native';

import {useText} from '../i18n';
import type {Job} from '../services/app';
import {Button} from './Button';
import {Row} from './Layout';
import {LoadingIndicator} from './LoadingIndicator';
import {Notice} from './Notice';
import {ProblemView} from './ProblemView';

/** What is going on with a request, except its result. */
export function JobView<T>({job, label, onCancel, onRetry}: {job: Job<T>; label: string; onCancel: () => void; onRetry: () => void}) {
  const t = useText();
  const navigation = useNavigation();
  switch (job.state) {
    case 'sending':
      return <LoadingIndicator label={label} since={job.since} onCancel={onCancel} />;
    case 'queued':
      return (
        <Notice look="info" icon="queue" title={t('queuedTitle')} text={t('queuedText')}>
          <Row>
            <Button label={t('showQueue')} onPress={() => navigation.navigate('Tabs', {screen: 'Queue'})} />
          </Row>
        </Notice>
      );
    case 'refused':
      return <ProblemView problem={job.problem} onRetry={onRetry} />;
    default:
      return null;
  }
}
