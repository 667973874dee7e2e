import {getLocales} from 'expo-localization';
import {createContext, type ReactNode, useContext, useEffect, useMemo} from 'react';
import {I18nManager, Platform, View} from 'react-native';

import {ar} from './ar';
import {de} from './de';
import {en, type Dictionary, type Key} from './en';
import {es} from './es';
import {fr} from './fr';
import {ja} from './ja';
import {isLanguage, isRightToLeft, type Language} from './languages';

const dictionaries: Record<Language, Dictionary> = {en, de, es, fr, ja, ar};

export type Translate = (key: Key, values?: Record<string, string | number>) => string;

export function translator(language: Language): Translate {
  const words = dictionaries[language];
  return (key, values) => fill(words[key], values ?? {}, language);
}

/** `{name}` is replaced; `{n|one|many}` chooses by the language's own rule and shows the number as `#`. */
function fill(text: string, values: Record<string, string | number>, language: Language): string {
  return text
    .replace(/\{(\w+)\|([^|}]*)\|([^}]*)\}/g, (_, name: string, one: string, many: string) => {
      const n = Number(values[name] ?? 0);
      const form = plural(n, language) === 'one' ? one : many;
      return form.replace('#', n.toLocaleString(language));
    })
    .replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

function plural(n: number, language: Language): string {
  // Hermes comes without plural rules on some versions; English's is right for most here.
  return typeof Intl !== 'undefined' && 'PluralRules' in Intl
    ? new Intl.PluralRules(language).select(n)
    : n === 1 ? 'one' : 'other';
}

export function systemLanguage(): Language {
  for (const {languageCode} of getLocales()) if (isLanguage(languageCode)) return languageCode;
  return 'en';
}

const TextContext = createContext<{t: Translate; language: Language}>({t: translator('en'), language: 'en'});

export function TextProvider({choice, children}: {choice: 'system' | Language; children: ReactNode}) {
  const language = choice === 'system' ? systemLanguage() : choice;
  const value = useMemo(() => ({t: translator(language), language}), [language]);
  const rtl = isRightToLeft(language);
  useEffect(() => {
    if (Platform.OS === 'web') {
      document.documentElement.lang = language;
      document.documentElement.dir = rtl ? 'rtl' : 'ltr';
    } else if (I18nManager.isRTL !== rtl) {
      // Takes effect at the next start; the system lays everything out anew only then.
      I18nManager.allowRTL(rtl);
      I18nManager.forceRTL(rtl);
    }
  }, [language, rtl]);
  return (
    <TextContext.Provider value={value}>
      {/* In a browser `start` and `end` follow this; phones have their own switch. */}
      {Platform.OS === 'web' ? (
        <View {...{dir: rtl ? 'rtl' : 'ltr'}} style={{flex: 1}}>
          {children}
        </View>
      ) : (
        children
      )}
    </TextContext.Provider>
  );
}

/** How dates and numbers are written: by the system's region where its language is the chosen one. */
export function useLocale(): string {
  const {language} = useContext(TextContext);
  return getLocales().find((locale) => locale.languageCode === language)?.languageTag ?? language;
}

export function useText(): Translate {
  return useContext(TextContext).t;
}

/** Whether the screen runs from right to left now; phones switch at the next start only. */
export function useIsRightToLeft(): boolean {
  const {language} = useContext(TextContext);
  return Platform.OS === 'web' ? isRightToLeft(language) : I18nManager.isRTL;
}

export function useLanguage(): Language {
  return useContext(TextContext).language;
}
