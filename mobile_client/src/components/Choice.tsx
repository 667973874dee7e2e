import {Platform, Pressable, Switch as SystemSwitch, View} from 'react-native';

import {radius, space, touch} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {useHaptics} from '../hooks/useHaptics';
import {Words} from './Words';

type ChoiceProps<T> = {
  label: string;
  options: readonly {value: T; label: string}[];
  value: T;
  onChange: (value: T) => void;
  hideLabel?: boolean;
};

/** One of a few, all in sight. */
export function Choice<T extends string | number>({label, options, value, onChange, hideLabel = false}: ChoiceProps<T>) {
  const {colors} = useTheme();
  const feel = useHaptics();
  return (
    <View style={{gap: space.tiny}}>
      {!hideLabel && (
        <Words look="small" style={{fontWeight: '600'}} color={colors.text}>
          {label}
        </Words>
      )}
      <View role="radiogroup" aria-label={label} style={{flexDirection: 'row', flexWrap: 'wrap', gap: space.small}}>
        {options.map((option) => {
          const chosen = option.value === value;
          return (
            <Pressable
              key={option.value}
              role="radio"
              aria-checked={chosen}
              accessibilityState={{checked: chosen}}
              accessibilityLabel={option.label}
              onPress={() => {
                feel('tap');
                onChange(option.value);
              }}
              style={({pressed}) => ({
                minHeight: touch,
                minWidth: touch,
                justifyContent: 'center',
                alignItems: 'center',
                paddingHorizontal: space.medium,
                paddingVertical: space.tiny,
                borderRadius: radius.round,
                borderWidth: 1,
                borderColor: chosen ? colors.accent : colors.edge,
                backgroundColor: chosen ? colors.accentSoft : colors.surface,
                opacity: pressed ? 0.75 : 1,
              })}>
              <Words color={chosen ? colors.onAccentSoft : colors.text} style={{fontWeight: chosen ? '600' : '400'}}>
                {option.label}
              </Words>
            </Pressable>
          );
        })}
      </View>
    </View>
  );
}

export function Toggle({label, hint, value, onChange}: {label: string; hint?: string; value: boolean; onChange: (value: boolean) => void}) {
  const {colors} = useTheme();
  return (
    <View style={{flexDirection: 'row', alignItems: 'center', gap: space.medium, minHeight: touch}}>
      <View style={{flex: 1}}>
        <Words>{label}</Words>
        {hint !== undefined && <Words look="small">{hint}</Words>}
      </View>
      <SystemSwitch
        accessibilityLabel={label}
        value={value}
        onValueChange={onChange}
        trackColor={{true: colors.accent, false: colors.edge}}
        thumbColor={colors.surface}
        {...(Platform.OS === 'web' && {activeThumbColor: colors.surface})}
      />
    </View>
  );
}
