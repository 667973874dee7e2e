import {useState} from 'react';
import {Image, View} from 'react-native';

import {useText} from '../i18n';
import {radius, space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {Slider} from './Slider';

/** Two pictures in one frame, divided where the slider stands. */
export function BeforeAfter({before, after, aspect}: {before: string; after: string; aspect: number}) {
  const t = useText();
  const {colors} = useTheme();
  const [part, setPart] = useState(50);
  const [width, setWidth] = useState(0);
  const whole = {width, height: width / aspect};
  return (
    <View style={{gap: space.small}}>
      <View
        onLayout={({nativeEvent}) => setWidth(nativeEvent.layout.width)}
        style={{width: '100%', aspectRatio: aspect, borderRadius: radius.medium, overflow: 'hidden', backgroundColor: colors.raised}}>
        <Image source={{uri: after}} accessibilityLabel={t('after')} style={whole} resizeMode="stretch" />
        <View style={{position: 'absolute', left: 0, top: 0, bottom: 0, width: `${part}%`, overflow: 'hidden'}}>
          <Image source={{uri: before}} accessibilityLabel={t('before')} style={whole} resizeMode="stretch" />
        </View>
        <View style={{position: 'absolute', top: 0, bottom: 0, left: `${part}%`, width: space.hair, backgroundColor: colors.surface}} />
      </View>
      <Slider label={t('beforeAfter')} value={part} min={0} max={100} step={1} shown={`${part} %`} onChange={setPart} />
    </View>
  );
}
