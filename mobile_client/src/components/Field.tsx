import {type Ref, useId, useState} from 'react';
import {Platform, TextInput, type TextInputProps, View} from 'react-native';

import {font, radius, space, touch} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {Words} from './Words';

// Browsers without it scroll inside the field instead.
const growing = {fieldSizing: 'content'} as object;

type FieldProps = Omit<TextInputProps, 'onChange'> & {
  label: string;
  hint?: string;
  error?: string | undefined;
  /** Shown as a count once the text is near it. */
  max?: number;
  lines?: number;
  inputRef?: Ref<TextInput>;
};

export function Field({label, hint, error, max, lines = 1, inputRef, value = '', style, ...rest}: FieldProps) {
  const {colors} = useTheme();
  const id = useId();
  const [focused, setFocused] = useState(false);
  const length = [...value].length;
  const over = max !== undefined && length > max;
  const wrong = error !== undefined || over;
  return (
    <View style={{gap: space.tiny}}>
      <Words nativeID={`${id}-label`} look="small" style={{fontWeight: '600'}} color={colors.text}>
        {label}
      </Words>
      <TextInput
        ref={inputRef}
        accessibilityLabel={label}
        aria-labelledby={`${id}-label`}
        accessibilityHint={hint}
        {...(Platform.OS === 'web' && {'aria-invalid': wrong})}
        placeholderTextColor={colors.quiet}
        multiline={lines > 1}
        {...(Platform.OS === 'web' && (lines > 1 || rest.multiline) && {rows: lines})}
        value={value}
        {...rest}
        onFocus={(event) => {
          setFocused(true);
          rest.onFocus?.(event);
        }}
        onBlur={(event) => {
          setFocused(false);
          rest.onBlur?.(event);
        }}
        style={[
          {
            minHeight: lines > 1 ? lines * font.body * 1.5 + space.medium * 2 : touch,
            borderWidth: 1,
            borderColor: wrong ? colors.danger : focused ? colors.accent : colors.edge,
            borderRadius: radius.medium,
            paddingHorizontal: space.medium,
            paddingVertical: space.medium,
            fontSize: font.body,
            color: colors.text,
            backgroundColor: colors.surface,
            textAlignVertical: lines > 1 ? 'top' : 'center',
          },
          Platform.OS === 'web' && rest.multiline && growing,
          Platform.OS === 'web' && {outlineColor: colors.accent, outlineWidth: focused ? 1 : 0},
          style,
        ]}
      />
      {(error !== undefined || hint !== undefined || (max !== undefined && length > max * 0.8)) && (
        <View style={{flexDirection: 'row', gap: space.small, justifyContent: 'space-between'}}>
          <Words look="small" role={wrong ? 'alert' : undefined} color={wrong ? colors.danger : colors.quiet} style={{flexShrink: 1}}>
            {error ?? hint ?? ''}
          </Words>
          {max !== undefined && length > max * 0.8 && (
            <Words look="small" color={over ? colors.danger : colors.quiet}>
              {length} / {max}
            </Words>
          )}
        </View>
      )}
    </View>
  );
}
