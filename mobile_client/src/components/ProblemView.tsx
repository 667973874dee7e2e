import {View} from 'react-native';

import {useText} from '../i18n';
import {fieldWords, problemWords} from '../i18n/problems';
import type {Problem} from '../services/problem';
import {space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {Button} from './Button';
import {Row} from './Layout';
import {Notice} from './Notice';
import {Words} from './Words';

/** What went wrong, what it means, and what can be done about it. */
export function ProblemView({problem, onRetry}: {problem: Problem; onRetry?: () => void}) {
  const t = useText();
  const {colors} = useTheme();
  const {title, advice} = problemWords(problem, t);
  const fields = Object.entries(problem.fields ?? {});
  return (
    <Notice look="danger" title={title} text={advice}>
      <View style={{gap: space.tiny}}>
        {fields.map(([name, words]) => (
          <Words key={name} color={colors.onDangerSoft}>
            • {fieldWords(name, words, t)}
          </Words>
        ))}
        {problem.requestId !== undefined && problem.kind !== 'invalid' && (
          <Words look="small" color={colors.onDangerSoft} selectable>
            {t('requestId', {id: problem.requestId})}
          </Words>
        )}
        {onRetry && problem.retryable && (
          <Row>
            <Button label={t('tryAgain')} icon="refresh" onPress={onRetry} />
          </Row>
        )}
      </View>
    </Notice>
  );
}
