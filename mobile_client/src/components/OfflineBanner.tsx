import {View} from 'react-native';

import {useServices, useStore} from '../hooks/useServices';
import {useText} from '../i18n';
import {space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {Button} from './Button';
import {Icon} from './Icon';
import {Words} from './Words';

/** Says that the backend is out of reach, what still works, and how many requests wait. */
export function OfflineBanner() {
  const t = useText();
  const {colors} = useTheme();
  const {reachability, outbox, settings} = useServices();
  const reach = useStore(reachability.reach);
  const jobs = useStore(outbox.jobs);
  useStore(settings.store);
  if (reach.state !== 'unreachable' || settings.current() === null) return null;
  const waiting = jobs.filter((job) => job.state === 'waiting').length;
  return (
    <View
      testID="offline"
      role="status"
      aria-live="polite"
      style={{flexDirection: 'row', flexWrap: 'wrap', alignItems: 'center', gap: space.small, paddingHorizontal: space.large, paddingVertical: space.tiny, backgroundColor: colors.warnSoft}}>
      <Icon name="offline" color={colors.onWarnSoft} size={20} />
      <Words look="small" color={colors.onWarnSoft} style={{flex: 1, minWidth: 160}}>
        {t('offline')} {waiting > 0 ? t('offlineWaiting', {n: waiting}) : t('offlineStill')}
      </Words>
      <Button look="plain" label={t('checkNow')} onPress={() => void reachability.look()} />
    </View>
  );
}
