import {createAudioPlayer} from 'expo-audio';

import {temporaryUri} from './files';
import type {Play} from './speaker';

/** Plays through the device, once. */
export const play: Play = async (bytes, type, signal) => {
  const {uri, release} = await temporaryUri(bytes, type);
  const player = createAudioPlayer(uri, {updateInterval: 100});
  try {
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => resolve());
      // A sound that never starts must not stop everything behind it.
      const timer = setTimeout(() => {
        if (!player.playing && player.currentTime === 0) reject(new Error('no sound'));
      }, 8000);
      player.addListener('playbackStatusUpdate', (status) => {
        if (status.didJustFinish) {
          clearTimeout(timer);
          resolve();
        }
      });
      player.play();
    });
  } finally {
    player.pause();
    player.remove();
    release();
  }
};
