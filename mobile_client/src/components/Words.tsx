import {Text, type TextProps} from 'react-native';

import {font} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';

type Look = 'huge' | 'title' | 'large' | 'body' | 'quiet' | 'small';

/** Text in the app's own sizes. It grows with the system's setting; nothing holds it to one line. */
export function Words({look = 'body', style, color, ...rest}: TextProps & {look?: Look; color?: string}) {
  const {colors} = useTheme();
  const size = look === 'quiet' ? font.body : font[look];
  const heading = look === 'huge' || look === 'title';
  return (
    <Text
      {...(heading && {role: 'heading' as const, 'aria-level': look === 'huge' ? 1 : 2})}
      {...rest}
      style={[
        {
          color: color ?? (look === 'quiet' || look === 'small' ? colors.quiet : colors.text),
          fontSize: size,
          lineHeight: Math.round(size * (heading ? 1.25 : 1.45)),
          fontWeight: heading ? '700' : look === 'large' ? '600' : '400',
        },
        style,
      ]}
    />
  );
}
