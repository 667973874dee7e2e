export const languages = {
  en: 'English',
  de: 'Deutsch',
} as const;

export type Language = keyof typeof languages;

export function isLanguage(value: unknown): value is Language {
  return typeof value === 'string' && Object.hasOwn(languages, value);
}

const rightToLeft: readonly string[] = ['ar', 'fa', 'he', 'ur'];

export function isRightToLeft(language: Language): boolean {
  return rightToLeft.includes(language);
}
