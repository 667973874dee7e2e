import {useEffect, useMemo, useRef, useState} from 'react';
import {type GestureResponderEvent, Image, Platform, View} from 'react-native';
import Svg, {G, Mask, Path, Rect} from 'react-native-svg';

import {useStore} from '../hooks/useServices';
import {useText} from '../i18n';
import {createStore, type Store} from '../services/store';
import {type Drawing, draw, type Edit, extend, redo, undo, visible} from '../services/strokes';
import {radius, space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {clamp} from '../utils/helpers';
import {IconButton} from './Button';
import {Choice} from './Choice';
import {Row} from './Layout';
import {Slider} from './Slider';
import {Words} from './Words';

type MaskDrawerProps = {
  picture: {uri: string; width: number; height: number};
  drawing: Drawing;
  onChange: (drawing: Drawing) => void;
  /** While a finger draws, the page must not scroll. */
  onTouching?: (touching: boolean) => void;
};

type View2 = {zoom: number; x: number; y: number};
const home: View2 = {zoom: 1, x: 0, y: 0};
const maxZoom = 8;
/** The picture leaves room for the tools on a small screen. */
const maxHeight = 480;

/**
 * Draws a mask over a picture. Strokes are kept in the picture's own pixels, so what is painted
 * is what is sent, at every zoom and on every screen.
 */
export function MaskDrawer({picture, drawing, onChange, onTouching}: MaskDrawerProps) {
  const t = useText();
  const {colors} = useTheme();
  const [tool, setTool] = useState<'brush' | 'eraser'>('brush');
  const longest = Math.max(picture.width, picture.height);
  const [percent, setPercent] = useState(8);
  const size = Math.max(1, Math.round((longest * percent) / 100));
  const [room, setRoom] = useState(0);
  const [look, setLook] = useState<View2>(home);
  // The stroke being drawn is shown by a component of its own: a finger moves a hundred times a second, and the tools
  // around the picture need not be made anew each time.
  const [live] = useState(() => createStore<readonly number[] | null>(null));

  const scale = room === 0 ? 0 : Math.min(room / picture.width, maxHeight / picture.height);
  const width = picture.width * scale;
  const height = picture.height * scale;

  const board = useRef<View>(null);
  const pinch = useRef<{distance: number; x: number; y: number; from: View2} | null>(null);
  const points = useRef<readonly number[] | null>(null);

  const kept = (next: View2): View2 => {
    const zoom = clamp(next.zoom, 1, maxZoom);
    return {zoom, x: clamp(next.x, width * (1 - zoom), 0), y: clamp(next.y, height * (1 - zoom), 0)};
  };
  /** Zooms so that the point under the fingers stays under them. */
  const zoomTo = (from: View2, zoom: number, atX: number, atY: number, toX = atX, toY = atY): View2 => {
    const next = clamp(zoom, 1, maxZoom);
    return kept({zoom: next, x: toX - ((atX - from.x) / from.zoom) * next, y: toY - ((atY - from.y) / from.zoom) * next});
  };
  const inPicture = (x: number, y: number): [number, number] => [
    round((x - look.x) / look.zoom / scale),
    round((y - look.y) / look.zoom / scale),
  ];

  const finish = (keep: boolean) => {
    const stroke = points.current;
    points.current = null;
    live.set(null);
    onTouching?.(false);
    if (keep && stroke !== null) onChange(draw(drawing, {kind: 'stroke', tool, size, points: [...stroke]}));
  };

  const onGrant = (event: GestureResponderEvent) => {
    onTouching?.(true);
    pinch.current = null;
    const {locationX, locationY} = event.nativeEvent;
    points.current = inPicture(locationX, locationY);
    live.set(points.current);
  };
  const onMove = (event: GestureResponderEvent) => {
    const {touches, locationX, locationY} = event.nativeEvent;
    const [a, b] = touches;
    if (a && b) {
      const distance = Math.max(1, Math.hypot(a.pageX - b.pageX, a.pageY - b.pageY));
      // Where the fingers' middle is on the board: the first touch's place tells the board's.
      const x = locationX + (a.pageX + b.pageX) / 2 - event.nativeEvent.pageX;
      const y = locationY + (a.pageY + b.pageY) / 2 - event.nativeEvent.pageY;
      if (pinch.current === null) {
        // The first finger's stroke was the start of a pinch.
        points.current = null;
        live.set(null);
        pinch.current = {distance, x, y, from: look};
      } else {
        const {from} = pinch.current;
        setLook(zoomTo(from, (from.zoom * distance) / pinch.current.distance, pinch.current.x, pinch.current.y, x, y));
      }
      return;
    }
    if (pinch.current !== null || points.current === null) return;
    const longer = extend(points.current, ...inPicture(locationX, locationY));
    if (longer === null) return;
    points.current = longer;
    live.set(longer);
  };

  useEffect(() => {
    if (Platform.OS !== 'web') return;
    const element = board.current as unknown as HTMLElement | null;
    if (element === null) return;
    // React listens passively, and then the page would scroll as well.
    const onWheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const box = element.getBoundingClientRect();
      setLook((from) => zoomTo(from, from.zoom * Math.exp(-event.deltaY / 200), event.clientX - box.left, event.clientY - box.top));
    };
    element.addEventListener('wheel', onWheel, {passive: false});
    return () => element.removeEventListener('wheel', onWheel);
  });

  const edits: readonly Edit[] = useMemo(() => visible(drawing.edits), [drawing.edits]);
  const drawn = useMemo(() => layers(edits), [edits]);
  const middle = (zoom: number) => setLook(zoomTo(look, zoom, width / 2, height / 2));

  return (
    <View style={{gap: space.medium}}>
      <View style={{alignItems: 'center'}} onLayout={({nativeEvent}) => setRoom(nativeEvent.layout.width)}>
        {scale > 0 && (
          <View
            ref={board}
            testID="mask-board"
            accessible
            role="img"
            accessibilityLabel={t('maskBoard')}
            accessibilityHint={t('maskBoardHint')}
            onStartShouldSetResponder={() => true}
            onMoveShouldSetResponder={() => true}
            onResponderTerminationRequest={() => false}
            onResponderGrant={onGrant}
            onResponderMove={onMove}
            onResponderRelease={() => finish(true)}
            onResponderTerminate={() => finish(false)}
            style={[{width, height, overflow: 'hidden', borderRadius: radius.small, backgroundColor: colors.raised}, Platform.OS === 'web' && webOnly]}>
            <View
              pointerEvents="none"
              style={{position: 'absolute', left: look.x, top: look.y, width: width * look.zoom, height: height * look.zoom}}>
              <Image source={{uri: picture.uri}} accessibilityElementsHidden alt="" style={{width: '100%', height: '100%'}} resizeMode="stretch" />
              <View style={{position: 'absolute', width: '100%', height: '100%'}}>
                <Svg width="100%" height="100%" viewBox={`0 0 ${picture.width} ${picture.height}`}>
                  <Mask id="painted" maskUnits="userSpaceOnUse" x="0" y="0" width={picture.width} height={picture.height}>
                    <Rect x="0" y="0" width={picture.width} height={picture.height} fill={drawn.ground} />
                    <G>{drawn.strokes}</G>
                    <LiveStroke points={live} size={size} color={tool === 'brush' ? white : black} />
                  </Mask>
                  {/* One sheet of colour seen through the mask: strokes that cross do not get darker. */}
                  <Rect x="0" y="0" width={picture.width} height={picture.height} fill={colors.mask} fillOpacity={0.55} mask="url(#painted)" />
                </Svg>
              </View>
            </View>
          </View>
        )}
      </View>
      <Row style={{justifyContent: 'space-between'}}>
        <Choice
          label={t('tool')}
          hideLabel
          value={tool}
          onChange={setTool}
          options={[
            {value: 'brush', label: t('brush')},
            {value: 'eraser', label: t('eraser')},
          ]}
        />
        <Row style={{gap: 0}}>
          <IconButton icon="undo" label={t('undo')} disabled={drawing.edits.length === 0} onPress={() => onChange(undo(drawing))} />
          <IconButton icon="redo" label={t('redo')} disabled={drawing.undone.length === 0} onPress={() => onChange(redo(drawing))} />
          <IconButton icon="invert" label={t('invert')} onPress={() => onChange(draw(drawing, {kind: 'invert'}))} />
          <IconButton icon="trash" label={t('clearMask')} disabled={edits.length === 0} onPress={() => onChange(draw(drawing, {kind: 'clear'}))} />
          <IconButton icon="zoomOut" label={t('zoomOut')} disabled={look.zoom <= 1} onPress={() => middle(look.zoom / 1.5)} />
          <IconButton icon="zoomIn" label={t('zoomIn')} disabled={look.zoom >= maxZoom} onPress={() => middle(look.zoom * 1.5)} />
        </Row>
      </Row>
      <Slider label={t('brushSize')} value={percent} min={1} max={30} step={1} shown={t('pixelsWide', {size})} onChange={setPercent} />
      <Words look="small">{t('maskHelp')}</Words>
    </View>
  );
}

const white = '#ffffff';
const black = '#000000';
const webOnly = {touchAction: 'none', cursor: 'crosshair', userSelect: 'none'} as object;

/** A hundredth of a pixel is enough, and keeps the paths short. */
function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/**
 * The strokes as layers of white and black. An inversion turns the ground and every stroke before
 * it, so each needs only the number of inversions that follow it.
 */
function layers(edits: readonly Edit[]) {
  let turned = edits.filter((edit) => edit.kind === 'invert').length % 2 === 1;
  const ground = turned ? white : black;
  const strokes = edits.map((edit, index) => {
    if (edit.kind === 'invert') turned = !turned;
    if (edit.kind !== 'stroke') return null;
    const painted = (edit.tool === 'brush') !== turned;
    return <Stroke key={index} points={edit.points} size={edit.size} color={painted ? white : black} />;
  });
  return {ground, strokes};
}

function LiveStroke({points, size, color}: {points: Store<readonly number[] | null>; size: number; color: string}) {
  const now = useStore(points);
  return now === null ? null : <Stroke points={now} size={size} color={color} />;
}

function Stroke({points, size, color}: {points: readonly number[]; size: number; color: string}) {
  return <Path d={pathOf(points)} stroke={color} strokeWidth={size} strokeLinecap="round" strokeLinejoin="round" fill="none" />;
}

export function pathOf(points: readonly number[]): string {
  let path = `M${points[0]} ${points[1]}`;
  // A dot is a line of no length; with round ends that is a disc.
  if (points.length === 2) return `${path}l0.01 0`;
  for (let i = 2; i < points.length; i += 2) path += `L${points[i]} ${points[i + 1]}`;
  return path;
}
