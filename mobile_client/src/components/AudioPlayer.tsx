import {useAudioPlayer, useAudioPlayerStatus} from 'expo-audio';
import {useEffect, useState} from 'react';
import {View} from 'react-native';

import {useText} from '../i18n';
import {radius, space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {formatDuration} from '../utils/helpers';
import {IconButton} from './Button';
import {Choice} from './Choice';
import {Slider} from './Slider';
import {Words} from './Words';

const speeds = [0.75, 1, 1.25, 1.5, 2] as const;

/** Plays one sound: start, pause, seek, speed. */
export function AudioPlayer({uri, label, autoPlay = false}: {uri: string; label: string; autoPlay?: boolean}) {
  const t = useText();
  const {colors} = useTheme();
  const player = useAudioPlayer(uri, {updateInterval: 200});
  const status = useAudioPlayerStatus(player);
  const [speed, setSpeed] = useState<number>(1);

  useEffect(() => {
    if (autoPlay) player.play();
  }, [autoPlay, player]);

  const duration = Number.isFinite(status.duration) ? status.duration : 0;
  const toggle = () => {
    if (status.playing) return player.pause();
    // At its end, playing means once more from the start.
    if (duration > 0 && status.currentTime >= duration - 0.05) void player.seekTo(0);
    player.play();
  };
  return (
    <View role="group" aria-label={label} style={{gap: space.small, backgroundColor: colors.raised, borderRadius: radius.medium, padding: space.small}}>
      <View style={{flexDirection: 'row', alignItems: 'center', gap: space.small}}>
        <IconButton icon={status.playing ? 'pause' : 'play'} label={status.playing ? t('pause') : t('play')} onPress={toggle} />
        <View style={{flex: 1}}>
          <Slider
            label={t('position')}
            hideLabel
            value={Math.min(status.currentTime, duration)}
            min={0}
            max={Math.max(duration, 0.1)}
            step={0.1}
            shown={formatDuration(status.currentTime * 1000)}
            onChange={(seconds) => void player.seekTo(seconds)}
          />
        </View>
        <Words look="small">
          {formatDuration(status.currentTime * 1000)} / {formatDuration(duration * 1000)}
        </Words>
      </View>
      <Choice
        label={t('speed')}
        hideLabel
        value={speed}
        onChange={(next) => {
          setSpeed(next);
          player.setPlaybackRate(next);
        }}
        options={speeds.map((value) => ({value, label: `${value}×`}))}
      />
    </View>
  );
}
