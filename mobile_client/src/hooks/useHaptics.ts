import * as Haptics from 'expo-haptics';
import {useCallback} from 'react';
import {Platform} from 'react-native';

import {useSettings} from './useServices';

export function useHaptics(): (what: 'tap' | 'done' | 'wrong') => void {
  const {haptics} = useSettings();
  return useCallback(
    (what) => {
      if (!haptics || Platform.OS === 'web') return;
      const feel =
        what === 'tap'
          ? Haptics.selectionAsync()
          : Haptics.notificationAsync(
              what === 'done' ? Haptics.NotificationFeedbackType.Success : Haptics.NotificationFeedbackType.Error,
            );
      // A device without a motor is no reason to stop.
      feel.catch(() => undefined);
    },
    [haptics],
  );
}
