import {fireEvent, render, screen, waitFor} from '@testing-library/react-native';
import {useState} from 'react';
import {Text} from 'react-native';

import {shade} from '../../src/components/HeatMap';
import {ErrorBoundary} from '../../src/components/ErrorBoundary';
import {Markdown} from '../../src/components/Markdown';
import {MaskDrawer} from '../../src/components/MaskDrawer';
import {ServicesProvider} from '../../src/hooks/useServices';
import {ar} from '../../src/i18n/ar';
import {de} from '../../src/i18n/de';
import {en} from '../../src/i18n/en';
import {es} from '../../src/i18n/es';
import {fr} from '../../src/i18n/fr';
import {ja} from '../../src/i18n/ja';
import {createServices} from '../../src/services/app';
import {copyText} from '../../src/services/files';
import {memoryStorage} from '../../src/services/storage';
import {type Drawing, nothingDrawn, rasterise} from '../../src/services/strokes';
import {dark, light} from '../../src/theme/tokens';

jest.mock('../../src/services/files', () => ({copyText: jest.fn(async () => undefined)}));

const services = createServices({storage: memoryStorage(), fetch: jest.fn(), home: null, shrink: async () => null});
const show = (element: React.ReactElement) => render(<ServicesProvider services={services}>{element}</ServicesProvider>);

test('a screen that breaks can be tried again or left', () => {
  jest.spyOn(console, 'error').mockImplementation(() => undefined);
  let broken = true;
  const Screen = () => {
    if (broken) throw new Error('no');
    return <Text>fine</Text>;
  };
  const onLeave = jest.fn();
  const onError = jest.fn();
  show(
    <ErrorBoundary onLeave={onLeave} onError={onError}>
      <Screen />
    </ErrorBoundary>,
  );
  expect(onError).toHaveBeenCalled();
  broken = false;
  fireEvent.press(screen.getByText('Home'));
  expect(onLeave).toHaveBeenCalled();
  screen.getByText('fine');
  jest.restoreAllMocks();
});

test('code in an answer can be copied as it is', async () => {
  show(<Markdown text={'Look:\n\n```js\nlet a = "*x*"\n```\n\n| a | b |\n|--|--|\n| 1 | 2 |'} />);
  screen.getByText('1');
  fireEvent.press(screen.getByText('Copy code'));
  expect(copyText).toHaveBeenCalledWith('let a = "*x*"');
  await waitFor(() => screen.getByText('Copied'));
});

function Board({onChange}: {onChange: (drawing: Drawing) => void}) {
  const [drawing, setDrawing] = useState(nothingDrawn);
  return (
    <MaskDrawer
      picture={{uri: 'x', width: 1000, height: 500}}
      drawing={drawing}
      onChange={(next) => {
        setDrawing(next);
        onChange(next);
      }}
    />
  );
}

test('what a finger draws is kept in the picture’s own pixels', () => {
  let latest: Drawing = nothingDrawn;
  show(<Board onChange={(drawing) => (latest = drawing)} />);
  // The board is as wide as its frame: 250 points for 1000 pixels.
  fireEvent(screen.UNSAFE_root.findAll((node: {props: {onLayout?: unknown; style?: {alignItems?: string}}}) => node.props.onLayout && node.props.style?.alignItems === 'center')[0]!, 'layout', {
    nativeEvent: {layout: {width: 250, height: 300}},
  });
  const board = screen.getByTestId('mask-board');
  const touch = (x: number, y: number) => ({nativeEvent: {locationX: x, locationY: y, pageX: x, pageY: y, touches: [{pageX: x, pageY: y}]}});
  const draw = (from: [number, number], to: [number, number]) => {
    fireEvent(board, 'responderGrant', touch(...from));
    fireEvent(board, 'responderMove', touch(...to));
    fireEvent(board, 'responderRelease', touch(...to));
  };
  draw([50, 50], [100, 50]);
  expect(latest.edits).toEqual([{kind: 'stroke', tool: 'brush', size: 80, points: [200, 200, 400, 200]}]);
  const mask = rasterise(latest.edits, 1000, 500);
  expect([mask[200 * 1000 + 300], mask[300 * 1000 + 300]]).toEqual([1, 0]);

  fireEvent.press(screen.getByText('Eraser'));
  draw([75, 40], [75, 60]);
  expect(rasterise(latest.edits, 1000, 500)[200 * 1000 + 300]).toBe(0);
  fireEvent.press(screen.getByLabelText('Undo'));
  expect(latest.edits).toHaveLength(1);
  fireEvent.press(screen.getByLabelText('Redo'));
  expect(latest.edits).toHaveLength(2);
  fireEvent.press(screen.getByLabelText('Swap painted and unpainted'));
  fireEvent.press(screen.getByLabelText('Clear the mask'));
  expect(rasterise(latest.edits, 10, 10)).toEqual(new Uint8Array(100));

  // Two fingers zoom and leave no stroke behind.
  const before = latest;
  fireEvent(board, 'responderGrant', touch(100, 60));
  for (const gap of [20, 60]) {
    fireEvent(board, 'responderMove', {
      nativeEvent: {locationX: 100 - gap, locationY: 60, pageX: 100 - gap, pageY: 60, touches: [{pageX: 100 - gap, pageY: 60}, {pageX: 100 + gap, pageY: 60}]},
    });
  }
  fireEvent(board, 'responderRelease', touch(100, 60));
  expect(latest).toBe(before);
  draw([100, 60], [110, 60]);
  const stroke = latest.edits.at(-1)!;
  // Zoomed three times around (100, 60): ten points on the screen are a third as many pixels.
  expect(stroke.kind === 'stroke' && stroke.points.map(Math.round)).toEqual([400, 240, 413, 240]);
});

function contrast(a: string, b: string): number {
  const luminance = (color: string) => {
    const parts = color.startsWith('#')
      ? [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16))
      : color.match(/\d+/g)!.map(Number);
    const [r, g, b2] = parts.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4)) as [number, number, number];
    return 0.2126 * r + 0.7152 * g + 0.0722 * b2;
  };
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p) as [number, number];
  return (x + 0.05) / (y + 0.05);
}

test.each([['light', light], ['dark', dark]] as const)('every text is readable on its ground in %s', (_name, c) => {
  const pairs: [string, string][] = [
    [c.text, c.ground], [c.text, c.surface], [c.text, c.raised], [c.quiet, c.ground], [c.quiet, c.surface], [c.quiet, c.raised],
    [c.accent, c.ground], [c.accent, c.surface], [c.onAccent, c.accent], [c.onAccentSoft, c.accentSoft], [c.onDanger, c.danger],
    [c.danger, c.surface], [c.onDangerSoft, c.dangerSoft], [c.onWarnSoft, c.warnSoft], [c.accent, c.warnSoft], [c.onFineSoft, c.fineSoft], [c.text, c.code], [c.quiet, c.code],
  ];
  for (const [ink, ground] of pairs) expect({ink, ground, enough: contrast(ink, ground) >= 4.5}).toEqual({ink, ground, enough: true});
  expect(contrast(c.edge, c.surface)).toBeGreaterThanOrEqual(3);
});

test('every number of the heat map is readable on its colour', () => {
  for (const isDark of [false, true]) {
    for (let value = -1; value <= 1; value += 0.01) {
      const {ground, ink} = shade(value, isDark);
      expect(contrast(ink, ground)).toBeGreaterThanOrEqual(4.5);
    }
  }
});

test.each(Object.entries({ar, de, es, fr, ja}))('%s has every text, with the same places to fill', (_name, words) => {
  const places = (text: string) => [...text.matchAll(/\{(\w+)/g)].map((match) => match[1]).sort();
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    expect({key, places: places(words[key])}).toEqual({key, places: places(en[key])});
  }
});
