import {ScrollView, View} from 'react-native';

import {useText} from '../i18n';
import {radius, space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {Words} from './Words';

const side = 56;

/** How alike each two texts are, as numbers on colour. */
export function HeatMap({matrix, labels}: {matrix: readonly (readonly number[])[]; labels: readonly string[]}) {
  const t = useText();
  const {colors, isDark} = useTheme();
  return (
    <ScrollView horizontal tabIndex={0} aria-label={t('similarities')}>
      <View role="table" aria-label={t('similarities')} style={{gap: space.hair}}>
        <View role="row" style={{flexDirection: 'row', gap: space.hair}}>
          <View role="cell" style={{width: side}} />
          {labels.map((_, index) => (
            <View role="columnheader" key={index} style={{width: side, alignItems: 'center'}}>
              <Words look="small">{index + 1}</Words>
            </View>
          ))}
        </View>
        {matrix.map((row, y) => (
          <View role="row" key={y} style={{flexDirection: 'row', gap: space.hair}}>
            <View role="rowheader" style={{width: side, justifyContent: 'center', alignItems: 'center'}}>
              <Words look="small">{y + 1}</Words>
            </View>
            {row.map((value, x) => {
              const {ground, ink} = shade(value, isDark);
              return (
                <View
                  key={x}
                  role="cell"
                  aria-label={t('similarityOf', {a: labels[y] ?? '', b: labels[x] ?? '', value: value.toFixed(2)})}
                  style={{minWidth: side, minHeight: side, alignItems: 'center', justifyContent: 'center', borderRadius: radius.small, backgroundColor: ground, borderWidth: 1, borderColor: colors.line}}>
                  <Words look="small" color={ink}>
                    {value.toFixed(2)}
                  </Words>
                </View>
              );
            })}
          </View>
        ))}
      </View>
    </ScrollView>
  );
}

/** From the ground colour to full violet; the number stays readable on each. */
export function shade(value: number, isDark: boolean): {ground: string; ink: string} {
  const part = Math.max(0, Math.min(1, value));
  const mix = (from: number, to: number) => Math.round(from + (to - from) * part);
  const from = isDark ? [25, 28, 37] : [255, 255, 255];
  const to = isDark ? [190, 187, 255] : [56, 51, 170];
  const [r, g, b] = [0, 1, 2].map((i) => mix(from[i]!, to[i]!)) as [number, number, number];
  const bright = luminance(r, g, b);
  return {ground: `rgb(${r}, ${g}, ${b})`, ink: bright > 0.18 ? '#000000' : '#ffffff'};
}

/** WCAG's relative luminance: above about 0.18 black reads better than white. */
function luminance(r: number, g: number, b: number): number {
  const [x, y, z] = [r, g, b].map((c) => {
    const s = c / 255;
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}
