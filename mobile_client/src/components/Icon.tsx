import {memo} from 'react';
import Svg, {Path} from 'react-native-svg';

import {useIsRightToLeft} from '../i18n';

/** Drawn here rather than loaded as a font: nothing can be missing, and only what is used is shipped. */
const paths = {
  home: 'M3 11 12 4l9 7M5 10v10h5v-6h4v6h5V10',
  image: 'M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M9 9.5h.01',
  edit: 'M4 20l1-5L16 4l4 4L9 19zM13 7l4 4',
  speak: 'M4 9v6h4l5 4V5L8 9zM16 9a4 4 0 0 1 0 6M18.5 6.5a8 8 0 0 1 0 11',
  mic: 'M12 3a3 3 0 0 1 3 3v6a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM6 11a6 6 0 0 0 12 0M12 17v4M9 21h6',
  chat: 'M4 5h16v11H9l-5 4zM8 9h8M8 12h5',
  map: 'M6 7h.01M17 6h.01M10 12h.01M15 15h.01M7 17h.01M4 4v16h16',
  gallery: 'M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z',
  queue: 'M4 6h16M4 12h16M4 18h10M18 16v5M15.5 18.5 18 21l2.5-2.5',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4',
  search: 'M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14zM16 16l5 5',
  plus: 'M12 5v14M5 12h14',
  minus: 'M5 12h14',
  close: 'M6 6l12 12M18 6 6 18',
  check: 'M5 12.5 10 17 19 7',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  back: 'M15 5l-7 7 7 7',
  next: 'M9 5l7 7-7 7',
  down: 'M5 9l7 7 7-7',
  undo: 'M8 5 4 9l4 4M4 9h10a6 6 0 0 1 0 12h-3',
  redo: 'M16 5l4 4-4 4M20 9H10a6 6 0 0 0 0 12h3',
  eraser: 'M9 20l-5-5L14 5l6 6-9 9zM9 10l6 6M9 20h11',
  invert: 'M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16zM12 4v16M12 8h5M12 12h7M12 16h5',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  share: 'M12 15V4M8 8l4-4 4 4M5 12v8h14v-8',
  save: 'M12 4v11M8 11l4 4 4-4M5 20h14',
  play: 'M7 4.5v15l12-7.5z',
  pause: 'M8 5v14M16 5v14',
  stop: 'M6 6h12v12H6z',
  send: 'M4 12 20 4l-5 16-4-7zM11 13l4-4',
  refresh: 'M20 6v5h-5M4 18v-5h5M19 11a7 7 0 0 0-12.5-3.5M5 13a7 7 0 0 0 12.5 3.5',
  fork: 'M7 4v16M7 14c6 0 10-2 10-8M14 8l3-3 3 3',
  star: 'M12 4l2.4 5 5.6.7-4.1 3.8 1 5.5-4.9-2.7L7.1 19l1-5.5L4 9.7 9.6 9z',
  offline: 'M3 9a14 14 0 0 1 5-3M12 5a14 14 0 0 1 9 4M6 13a9 9 0 0 1 4-2.5M15 11a9 9 0 0 1 3 2M12 18h.01M4 4l16 16',
  server: 'M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01',
  eye: 'M3 12s3.5-6 9-6 9 6 9 6-3.5 6-9 6-9-6-9-6zM12 9a3 3 0 1 1 0 6 3 3 0 0 1 0-6z',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  warn: 'M12 4 2.5 20h19zM12 10v4M12 17h.01',
  info: 'M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16zM12 11v5M12 8h.01',
  dice: 'M5 5h14v14H5zM9 9h.01M15 15h.01M12 12h.01',
  hands: 'M4 12h2M9 7v10M13 4v16M17 8v8M21 11v2',
  zoomIn: 'M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14zM16 16l5 5M8 11h6M11 8v6',
  zoomOut: 'M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14zM16 16l5 5M8 11h6',
} as const;

export type IconName = keyof typeof paths;

const directional = new Set<IconName>(['back', 'next', 'send', 'undo', 'redo']);

export const Icon = memo(function Icon({name, color, size = 22}: {name: IconName; color: string; size?: number}) {
  const rightToLeft = useIsRightToLeft();
  const flip = directional.has(name) && rightToLeft;
  return (
    <Svg width={size} height={size} viewBox="0 0 24 24" fill="none" style={flip ? {transform: [{scaleX: -1}]} : undefined}>
      <Path
        d={paths[name]}
        stroke={color}
        strokeWidth={name === 'more' ? 3 : 1.8}
        strokeLinecap="round"
        strokeLinejoin="round"
        fill={name === 'play' ? color : 'none'}
      />
    </Svg>
  );
});
