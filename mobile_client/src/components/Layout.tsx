import {createContext, type ReactNode, useCallback, useContext, useEffect, useRef} from 'react';
import {KeyboardAvoidingView, Platform, ScrollView, type StyleProp, View, type ViewStyle} from 'react-native';
import {useSafeAreaInsets} from 'react-native-safe-area-context';

import {radius, readable, space, wide} from '../theme/tokens';
import {useIsWide, useTheme} from '../theme/ThemeContext';
import {Words} from './Words';

/** Brings a place of the page into view. */
const ScrollTo = createContext<(y: number) => void>(() => undefined);

/** The frame of a screen: scrolls, keeps lines readable, moves out of the keyboard's way. */
export function Screen({children, scrolls = true, broad = false}: {children: ReactNode; scrolls?: boolean; broad?: boolean}) {
  const {colors, still} = useTheme();
  const insets = useSafeAreaInsets();
  const page = useRef<ScrollView>(null);
  const scrollTo = useCallback((y: number) => page.current?.scrollTo({y, animated: !still}), [still]);
  return (
    <KeyboardAvoidingView
      style={{flex: 1, backgroundColor: colors.ground}}
      behavior={Platform.OS === 'ios' ? 'padding' : undefined}>
      <ScrollView
        ref={page}
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
        <ScrollTo value={scrollTo}>{children}</ScrollTo>
      </ScrollView>
    </KeyboardAvoidingView>
  );
}

/**
 * Two columns where there is room: what is wanted, and what came of it. In one column the second lies below the page's
 * edge; `show` changes when there is something new in it that should be seen.
 */
export function Columns({first, second, show}: {first: ReactNode; second: ReactNode; show?: string}) {
  const isWide = useIsWide();
  const scrollTo = useContext(ScrollTo);
  const place = useRef({columns: 0, second: 0});
  useEffect(() => {
    if (show === undefined || show === 'idle' || isWide) return;
    // When what is new has been laid out.
    const timer = setTimeout(() => scrollTo(place.current.columns + place.current.second - space.large), 50);
    return () => clearTimeout(timer);
    // Turning the device is no news.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [scrollTo, show]);
  return (
    <View
      onLayout={({nativeEvent}) => {
        place.current.columns = nativeEvent.layout.y;
      }}
      style={{flexDirection: isWide ? 'row' : 'column', gap: space.large, alignItems: isWide ? 'flex-start' : 'stretch'}}>
      <View style={[{gap: space.large}, isWide && {flex: 1, minWidth: 0}]}>{first}</View>
      <View
        onLayout={({nativeEvent}) => {
          place.current.second = nativeEvent.layout.y;
        }}
        style={[{gap: space.large}, isWide && {flex: 1, minWidth: 0}]}>
        {second}
      </View>
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
