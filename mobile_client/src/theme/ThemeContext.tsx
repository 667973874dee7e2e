import {createContext, type ReactNode, useContext, useEffect, useMemo, useState} from 'react';
import {AccessibilityInfo, Platform, useColorScheme, useWindowDimensions} from 'react-native';

import {type Colors, dark, light, wide} from './tokens';

export type Theme = {
  colors: Colors;
  isDark: boolean;
  /** Movement is asked to be left out. */
  still: boolean;
};

const ThemeContext = createContext<Theme>({colors: light, isDark: false, still: false});

export function ThemeProvider({choice, children}: {choice: 'system' | 'light' | 'dark'; children: ReactNode}) {
  const system = useColorScheme();
  const still = useStillness();
  const isDark = choice === 'system' ? system === 'dark' : choice === 'dark';
  const theme = useMemo<Theme>(() => ({colors: isDark ? dark : light, isDark, still}), [isDark, still]);

  useEffect(() => {
    if (Platform.OS !== 'web') return;
    // Scroll bars, the space behind the app and the browser's own controls follow too.
    document.documentElement.style.colorScheme = isDark ? 'dark' : 'light';
    document.body.style.backgroundColor = theme.colors.ground;
    document.querySelector('meta[name="theme-color"]')?.setAttribute('content', theme.colors.ground);
  }, [isDark, theme]);

  return <ThemeContext.Provider value={theme}>{children}</ThemeContext.Provider>;
}

export function useTheme(): Theme {
  return useContext(ThemeContext);
}

export function useIsWide(): boolean {
  return useWindowDimensions().width >= wide;
}

function useStillness(): boolean {
  const [still, setStill] = useState(false);
  useEffect(() => {
    let gone = false;
    void AccessibilityInfo.isReduceMotionEnabled().then((value) => {
      if (!gone) setStill(value);
    });
    const watch = AccessibilityInfo.addEventListener('reduceMotionChanged', setStill);
    return () => {
      gone = true;
      watch.remove();
    };
  }, []);
  return still;
}
