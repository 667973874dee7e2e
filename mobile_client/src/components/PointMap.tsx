import {useState} from 'react';
import {View} from 'react-native';
import Svg, {Circle, G, Line, Text as SvgText} from 'react-native-svg';

import {useText} from '../i18n';
import {font, radius, space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';

const dot = 14;

/** Texts as points: what is alike is near. Numbers, because whole texts would cover each other. */
export function PointMap({points, labels, chosen, onPress}: {points: readonly {x: number; y: number}[]; labels: readonly string[]; chosen: number | null; onPress: (index: number) => void}) {
  const t = useText();
  const {colors} = useTheme();
  const [width, setWidth] = useState(0);
  const height = Math.min(width, 380);
  const place = (value: number, length: number) => dot * 2 + ((value + 1) / 2) * (length - dot * 4);
  return (
    <View
      accessible
      role="img"
      accessibilityLabel={t('mapOf', {texts: labels.map((label, index) => `${index + 1}: ${label}`).join('; ')})}
      onLayout={({nativeEvent}) => setWidth(nativeEvent.layout.width)}
      style={{width: '100%', borderRadius: radius.medium, backgroundColor: colors.raised, overflow: 'hidden', minHeight: space.vast}}>
      {width > 0 && (
        <Svg width={width} height={height}>
          <Line x1={0} x2={width} y1={height / 2} y2={height / 2} stroke={colors.edge} strokeWidth={0.5} />
          <Line x1={width / 2} x2={width / 2} y1={0} y2={height} stroke={colors.edge} strokeWidth={0.5} />
          {points.map((point, index) => {
            const x = place(point.x, width);
            const y = place(-point.y, height);
            const isChosen = index === chosen;
            return (
              <G key={index} onPress={() => onPress(index)}>
                <Circle cx={x} cy={y} r={dot} fill={isChosen ? colors.accent : colors.surface} stroke={colors.accent} strokeWidth={2} />
                <SvgText x={x} y={y + font.small / 3} fontSize={font.small} textAnchor="middle" fill={isChosen ? colors.onAccent : colors.text}>
                  {String(index + 1)}
                </SvgText>
              </G>
            );
          })}
        </Svg>
      )}
    </View>
  );
}
