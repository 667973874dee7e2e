/** Every colour, space and size of the app. Text on its ground has a contrast of at least 4.5. */
export type Colors = {
  ground: string;
  surface: string;
  raised: string;
  line: string;
  /** The edge of a field or a control that is off: 3 to 1 against its ground. */
  edge: string;
  text: string;
  quiet: string;
  accent: string;
  onAccent: string;
  accentSoft: string;
  onAccentSoft: string;
  danger: string;
  onDanger: string;
  dangerSoft: string;
  onDangerSoft: string;
  warnSoft: string;
  onWarnSoft: string;
  fineSoft: string;
  onFineSoft: string;
  code: string;
  mask: string;
  shade: string;
};

export const light: Colors = {
  ground: '#f5f6fa',
  surface: '#ffffff',
  raised: '#eceef5',
  line: '#dfe2ec',
  edge: '#868ba0',
  text: '#171a24',
  quiet: '#565c70',
  accent: '#4a45c9',
  onAccent: '#ffffff',
  accentSoft: '#e7e6fb',
  onAccentSoft: '#34309c',
  danger: '#b3261e',
  onDanger: '#ffffff',
  dangerSoft: '#fbe6e4',
  onDangerSoft: '#8a1c15',
  warnSoft: '#fbeed0',
  onWarnSoft: '#6a4a00',
  fineSoft: '#dcf3e4',
  onFineSoft: '#145c34',
  code: '#f0f1f7',
  mask: '#e0338a',
  shade: 'rgba(10, 12, 20, 0.5)',
};

export const dark: Colors = {
  ground: '#0f1117',
  surface: '#191c25',
  raised: '#252935',
  line: '#303546',
  edge: '#777d93',
  text: '#f0f1f6',
  quiet: '#a9afc2',
  accent: '#a5a1ff',
  onAccent: '#15123f',
  accentSoft: '#2b2a55',
  onAccentSoft: '#d2d0ff',
  danger: '#ff9c93',
  onDanger: '#3f0a06',
  dangerSoft: '#4a1d1a',
  onDangerSoft: '#ffc9c4',
  warnSoft: '#443511',
  onWarnSoft: '#ffdf9a',
  fineSoft: '#173a27',
  onFineSoft: '#a8ecc4',
  code: '#12151d',
  mask: '#ff5cab',
  shade: 'rgba(0, 0, 0, 0.6)',
};

export const space = {hair: 2, tiny: 4, small: 8, medium: 12, large: 16, huge: 24, vast: 32} as const;
export const radius = {small: 8, medium: 12, large: 18, round: 999} as const;
export const font = {small: 13, body: 16, large: 18, title: 22, huge: 28} as const;
/** The least a finger can hit: both platforms' rule. */
export const touch = 44;
/** Lines longer than this are hard to read. */
export const readable = 760;
/** From this width on there is room for two columns. */
export const wide = 840;
/** The tabs at the side on wide screens: enough for the longest name in every language. */
export const tabsWidth = 208;
