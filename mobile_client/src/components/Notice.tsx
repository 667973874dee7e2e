import type {ReactNode} from 'react';
import {View} from 'react-native';

import {radius, space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {Icon, type IconName} from './Icon';
import {Words} from './Words';

type Look = 'info' | 'warn' | 'danger' | 'fine';
const icons: Record<Look, IconName> = {info: 'info', warn: 'warn', danger: 'warn', fine: 'check'};

/** A sentence or two about how things stand. Read out when it appears. */
export function Notice({look = 'info', title, text, icon, children}: {look?: Look; title?: string; text?: string; icon?: IconName; children?: ReactNode}) {
  const {colors} = useTheme();
  const [ground, ink] = {
    info: [colors.accentSoft, colors.onAccentSoft],
    warn: [colors.warnSoft, colors.onWarnSoft],
    danger: [colors.dangerSoft, colors.onDangerSoft],
    fine: [colors.fineSoft, colors.onFineSoft],
  }[look] as [string, string];
  return (
    <View
      role={look === 'danger' ? 'alert' : 'status'}
      aria-live={look === 'danger' ? 'assertive' : 'polite'}
      style={{backgroundColor: ground, borderRadius: radius.medium, padding: space.medium, flexDirection: 'row', gap: space.medium}}>
      <Icon name={icon ?? icons[look]} color={ink} />
      <View style={{flex: 1, gap: space.tiny, minWidth: 0}}>
        {title !== undefined && (
          <Words color={ink} style={{fontWeight: '600'}}>
            {title}
          </Words>
        )}
        {text !== undefined && text !== '' && <Words color={ink}>{text}</Words>}
        {children}
      </View>
    </View>
  );
}
