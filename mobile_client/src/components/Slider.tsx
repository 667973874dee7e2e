import {useRef, useState} from 'react';
import {type GestureResponderEvent, Platform, View} from 'react-native';

import {useIsRightToLeft} from '../i18n';
import {radius, space, touch} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {clamp} from '../utils/helpers';
import {Words} from './Words';

type SliderProps = {
  label: string;
  value: number;
  min: number;
  max: number;
  step: number;
  onChange: (value: number) => void;
  /** The value in words, for eyes and ears. */
  shown?: string;
  hideLabel?: boolean;
};

const thumb = 22;

export function Slider({label, value, min, max, step, onChange, shown, hideLabel = false}: SliderProps) {
  const {colors} = useTheme();
  const rightToLeft = useIsRightToLeft();
  const [width, setWidth] = useState(0);
  const left = useRef(0);
  const area = useRef<View>(null);
  const text = shown ?? String(value);
  const part = max > min ? clamp((value - min) / (max - min), 0, 1) : 0;

  const set = (next: number) => {
    const stepped = clamp(min + Math.round((next - min) / step) * step, min, max);
    // Steps like 0.05 leave dust behind the comma.
    const clean = Number(stepped.toFixed(4));
    if (clean !== value) onChange(clean);
  };
  const follow = (event: GestureResponderEvent) => {
    const along = clamp((event.nativeEvent.pageX - left.current - thumb / 2) / Math.max(1, width - thumb), 0, 1);
    set(min + (rightToLeft ? 1 - along : along) * (max - min));
  };
  const keys = {
    ArrowRight: rightToLeft ? -1 : 1, ArrowLeft: rightToLeft ? 1 : -1, ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10,
  } as const;

  return (
    <View style={{gap: space.tiny, flexShrink: 1}}>
      {!hideLabel && (
        <View style={{flexDirection: 'row', justifyContent: 'space-between', gap: space.small, flexWrap: 'wrap'}}>
          <Words look="small" style={{fontWeight: '600'}} color={colors.text}>
            {label}
          </Words>
          <Words look="small">{text}</Words>
        </View>
      )}
      <View
        ref={area}
        tabIndex={0}
        role="slider"
        accessibilityLabel={label}
        accessibilityValue={{min, max, now: value, text}}
        {...(Platform.OS === 'web' && {'aria-valuemin': min, 'aria-valuemax': max, 'aria-valuenow': value, 'aria-valuetext': text})}
        accessibilityActions={[{name: 'increment'}, {name: 'decrement'}]}
        onAccessibilityAction={({nativeEvent}) => set(value + (nativeEvent.actionName === 'increment' ? step : -step))}
        {...(Platform.OS === 'web' && {
          onKeyDown: (event: {key: string; preventDefault(): void}) => {
            const by = keys[event.key as keyof typeof keys];
            if (by === undefined) return;
            event.preventDefault();
            set(value + by * step);
          },
        })}
        onLayout={({nativeEvent}) => setWidth(nativeEvent.layout.width)}
        onStartShouldSetResponder={() => true}
        onMoveShouldSetResponder={() => true}
        onResponderTerminationRequest={() => false}
        onResponderGrant={(event) => {
          const {pageX, locationX} = event.nativeEvent;
          left.current = pageX - locationX;
          follow(event);
        }}
        onResponderMove={follow}
        style={[{height: touch, justifyContent: 'center'}, Platform.OS === 'web' && webOnly]}>
        <View pointerEvents="none" style={{height: space.tiny, borderRadius: radius.round, backgroundColor: colors.edge}}>
          <View style={{height: '100%', width: `${part * 100}%`, borderRadius: radius.round, backgroundColor: colors.accent}} />
        </View>
        <View
          pointerEvents="none"
          style={{
            position: 'absolute',
            start: part * Math.max(0, width - thumb),
            width: thumb,
            height: thumb,
            borderRadius: radius.round,
            backgroundColor: colors.accent,
            borderWidth: space.hair,
            borderColor: colors.surface,
          }}
        />
      </View>
    </View>
  );
}

// A finger that moves the slider does not scroll the page.
const webOnly = {touchAction: 'none', cursor: 'pointer'} as object;
