import {useEffect, useState} from 'react';
import {ActivityIndicator, Animated, type DimensionValue, Platform, View} from 'react-native';

import {useText} from '../i18n';
import {radius, space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {formatDuration} from '../utils/helpers';
import {Button} from './Button';
import {Card, Row} from './Layout';
import {Words} from './Words';

/** Something is being made: how long already, and the way to stop it. */
export function LoadingIndicator({label, since, onCancel}: {label: string; since: number; onCancel?: () => void}) {
  const t = useText();
  const {colors} = useTheme();
  const [now, setNow] = useState(since);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  return (
    <Card>
      <Row style={{justifyContent: 'space-between'}}>
        <Row style={{flexShrink: 1}}>
          <ActivityIndicator color={colors.accent} accessibilityLabel={label} />
          <Words role="status" aria-live="polite" style={{flexShrink: 1}}>
            {label}
          </Words>
        </Row>
        <Row>
          <Words look="quiet">{formatDuration(now - since)}</Words>
          {onCancel && <Button label={t('cancel')} icon="close" onPress={onCancel} />}
        </Row>
      </Row>
    </Card>
  );
}

/** The place of something that is on its way. */
export function Skeleton({width = '100%', height, aspect}: {width?: DimensionValue; height?: number; aspect?: number}) {
  const {colors, still} = useTheme();
  const [pulse] = useState(() => new Animated.Value(1));
  useEffect(() => {
    if (still) return;
    const native = Platform.OS !== 'web';
    const loop = Animated.loop(
      Animated.sequence([
        Animated.timing(pulse, {toValue: 0.5, duration: 700, useNativeDriver: native}),
        Animated.timing(pulse, {toValue: 1, duration: 700, useNativeDriver: native}),
      ]),
    );
    loop.start();
    return () => loop.stop();
  }, [pulse, still]);
  return (
    <Animated.View
      style={{
        width,
        ...(height !== undefined && {height}),
        ...(aspect !== undefined && {aspectRatio: aspect}),
        borderRadius: radius.medium,
        backgroundColor: colors.raised,
        opacity: pulse,
      }}
    />
  );
}

/** Nothing here yet, and what to do about it. */
export function Empty({text, children}: {text: string; children?: React.ReactNode}) {
  return (
    <View style={{padding: space.huge, gap: space.large, alignItems: 'center'}}>
      <Words look="quiet" style={{textAlign: 'center'}}>
        {text}
      </Words>
      {children}
    </View>
  );
}
