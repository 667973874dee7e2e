import {View} from 'react-native';

import {useText} from '../i18n';
import {radius, space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {Notice} from './Notice';
import {Words} from './Words';

/** Said wherever an answer came from a stand-in: nobody should take it for a model's. */
export function StandIn({short = false}: {short?: boolean}) {
  const t = useText();
  const {colors} = useTheme();
  if (!short) return <Notice look="warn" icon="info" title={t('standIn')} text={t('standInText')} />;
  return (
    <View style={{backgroundColor: colors.warnSoft, borderRadius: radius.small, paddingHorizontal: space.small, alignSelf: 'flex-start'}}>
      <Words look="small" color={colors.onWarnSoft}>
        {t('standIn')}
      </Words>
    </View>
  );
}
