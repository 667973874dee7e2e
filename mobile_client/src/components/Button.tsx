import {ActivityIndicator, Pressable, type StyleProp, View, type ViewStyle} from 'react-native';

import {radius, space, touch} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {useHaptics} from '../hooks/useHaptics';
import {Icon, type IconName} from './Icon';
import {Words} from './Words';

type ButtonProps = {
  label: string;
  onPress: () => void;
  look?: 'main' | 'soft' | 'plain' | 'danger';
  icon?: IconName;
  disabled?: boolean;
  busy?: boolean;
  style?: StyleProp<ViewStyle>;
  testID?: string;
};

export function Button({label, onPress, look = 'soft', icon, disabled = false, busy = false, style, testID}: ButtonProps) {
  const {colors} = useTheme();
  const feel = useHaptics();
  const ground = {main: colors.accent, soft: colors.raised, plain: 'transparent', danger: colors.dangerSoft}[look];
  const ink = {main: colors.onAccent, soft: colors.text, plain: colors.accent, danger: colors.onDangerSoft}[look];
  return (
    <Pressable
      testID={testID}
      role="button"
      accessibilityLabel={label}
      aria-disabled={disabled || busy}
      aria-busy={busy}
      disabled={disabled || busy}
      onPress={() => {
        feel('tap');
        onPress();
      }}
      style={({pressed}) => [
        {
          minHeight: touch,
          maxWidth: '100%',
          borderRadius: radius.medium,
          paddingVertical: space.small,
          paddingHorizontal: look === 'plain' ? space.small : space.large,
          backgroundColor: disabled ? colors.raised : ground,
          flexDirection: 'row',
          alignItems: 'center',
          justifyContent: 'center',
          gap: space.small,
          opacity: pressed ? 0.75 : 1,
        },
        style,
      ]}>
      {busy ? <ActivityIndicator color={ink} /> : icon && <Icon name={icon} color={disabled ? colors.quiet : ink} size={20} />}
      <Words style={{fontWeight: '600', flexShrink: 1, minWidth: 0, textAlign: 'center'}} color={disabled ? colors.quiet : ink}>
        {label}
      </Words>
    </Pressable>
  );
}

type IconButtonProps = {
  icon: IconName;
  label: string;
  onPress: () => void;
  disabled?: boolean;
  chosen?: boolean;
  color?: string;
  testID?: string;
};

/** Only a picture, but with a name for everybody who cannot see it. */
export function IconButton({icon, label, onPress, disabled = false, chosen, color, testID}: IconButtonProps) {
  const {colors} = useTheme();
  const feel = useHaptics();
  return (
    <Pressable
      testID={testID}
      role="button"
      accessibilityLabel={label}
      aria-disabled={disabled}
      {...(chosen !== undefined && {'aria-pressed': chosen, accessibilityState: {selected: chosen, disabled}})}
      disabled={disabled}
      onPress={() => {
        feel('tap');
        onPress();
      }}
      style={({pressed}) => ({
        width: touch,
        height: touch,
        borderRadius: radius.medium,
        alignItems: 'center',
        justifyContent: 'center',
        backgroundColor: chosen ? colors.accentSoft : pressed ? colors.raised : 'transparent',
      })}>
      <View style={{opacity: disabled ? 0.35 : 1}}>
        <Icon name={icon} color={chosen ? colors.onAccentSoft : (color ?? colors.text)} />
      </View>
    </Pressable>
  );
}
