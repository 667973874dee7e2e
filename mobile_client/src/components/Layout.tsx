import type {ReactNode} from 'react';
import {KeyboardAvoidingView, Platform, ScrollView, type StyleProp, View, type ViewStyle} from 'react-native';
import {useSafeAreaInsets} from 'react-native-safe-area-context';

import {radius, readable, space, wide} from '../theme/tokens';
import {useIsWide, useTheme} from '../theme/ThemeContext';
import {Words} from './Words';

/** The frame of a screen: scrolls, keeps lines readable, moves out of the keyboard's way. */
export function Screen({children, scrolls = true, broad = false}: {children: ReactNode; scrolls?: boolean; broad?: boolean}) {
  const {colors} = useTheme();
  const insets = useSafeAreaInsets();
  return (
    <KeyboardAvoidingView
      style={{flex: 1, backgroundColor: colors.ground}}
      behavior={Platform.OS === 'ios' ? 'padding' : undefined}>
      <ScrollView
        scrollEnabled={scrolls}
        keyboardShouldPersistTaps="handled"
        contentContainerStyle={{
          padding: space.large,
          paddingStart: space.large + insets.left,
          paddingEnd: space.large + insets.right,
          paddingBottom: space.vast + insets.bottom,
          gap: space.large,
          width: '100%',
          maxWidth: broad ? wide * 1.6 : readable,
          alignSelf: 'center',
        }}>
        {children}
      </ScrollView>
    </KeyboardAvoidingView>
  );
}

/** Two columns where there is room: what is wanted, and what came of it. */
export function Columns({first, second}: {first: ReactNode; second: ReactNode}) {
  const isWide = useIsWide();
  return (
    <View style={{flexDirection: isWide ? 'row' : 'column', gap: space.large, alignItems: isWide ? 'flex-start' : 'stretch'}}>
      <View style={[{gap: space.large}, isWide && {flex: 1, minWidth: 0}]}>{first}</View>
      <View style={[{gap: space.large}, isWide && {flex: 1, minWidth: 0}]}>{second}</View>
    </View>
  );
}

export function Card({title, children, style}: {title?: string; children: ReactNode; style?: StyleProp<ViewStyle>}) {
  const {colors} = useTheme();
  return (
    <View
      style={[
        {
          backgroundColor: colors.surface,
          borderRadius: radius.large,
          borderWidth: 1,
          borderColor: colors.line,
          padding: space.large,
          gap: space.medium,
        },
        style,
      ]}>
      {title !== undefined && <Words look="title">{title}</Words>}
      {children}
    </View>
  );
}

export function Row({children, style}: {children: ReactNode; style?: StyleProp<ViewStyle>}) {
  return <View style={[{flexDirection: 'row', alignItems: 'center', gap: space.small, flexWrap: 'wrap'}, style]}>{children}</View>;
}
