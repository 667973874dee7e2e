import {type ReactElement, useCallback, useState} from 'react';
import {FlatList, Pressable, View} from 'react-native';

import {useText} from '../i18n';
import type {Item} from '../services/library';
import {radius, space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {Icon} from './Icon';
import {LibraryPicture} from './LibraryPicture';

type PictureGridProps = {
  items: readonly Item[];
  onPress: (item: Item) => void;
  onLongPress?: (item: Item) => void;
  chosen?: ReadonlySet<string>;
  header?: ReactElement;
  empty?: ReactElement;
  scrolls?: boolean;
};

/** Cells are about this wide: three on a phone, more where there is room. */
const cell = 112;

export function PictureGrid({items, onPress, onLongPress, chosen, header, empty, scrolls = true}: PictureGridProps) {
  const t = useText();
  const {colors} = useTheme();
  const [width, setWidth] = useState(0);
  const columns = Math.max(2, Math.floor(width / cell));
  const side = (width - space.small * (columns - 1)) / columns;

  const render = useCallback(
    ({item}: {item: Item}) => (
      <Pressable
        role="button"
        accessibilityLabel={item.title || t('picture')}
        accessibilityState={{selected: chosen?.has(item.id) ?? false}}
        onPress={() => onPress(item)}
        {...(onLongPress && {onLongPress: () => onLongPress(item)})}
        style={{width: side}}>
        <LibraryPicture id={item.id} label="" small />
        {chosen?.has(item.id) && (
          <View
            style={{
              position: 'absolute', top: 0, bottom: 0, start: 0, end: 0,
              borderRadius: radius.medium, borderWidth: space.tiny, borderColor: colors.accent,
              alignItems: 'flex-end', padding: space.tiny,
            }}>
            <View style={{backgroundColor: colors.accent, borderRadius: radius.round}}>
              <Icon name="check" color={colors.onAccent} />
            </View>
          </View>
        )}
      </Pressable>
    ),
    [chosen, colors, onLongPress, onPress, side, t],
  );

  if (!scrolls) {
    return (
      <View onLayout={({nativeEvent}) => setWidth(nativeEvent.layout.width)} style={{flexDirection: 'row', flexWrap: 'wrap', gap: space.small}}>
        {width > 0 && items.slice(0, 60).map((item) => <View key={item.id}>{render({item})}</View>)}
      </View>
    );
  }
  return (
    <FlatList
      key={columns}
      data={width > 0 ? (items as Item[]) : []}
      numColumns={columns}
      keyExtractor={(item) => item.id}
      renderItem={render}
      {...(header && {ListHeaderComponent: header})}
      {...(empty && width > 0 && {ListEmptyComponent: empty})}
      columnWrapperStyle={{gap: space.small}}
      contentContainerStyle={{gap: space.small, paddingBottom: space.vast}}
      onLayout={({nativeEvent}) => setWidth(nativeEvent.layout.width)}
      // Rows have one height, so the list need not measure what it does not show.
      initialNumToRender={8}
      windowSize={5}
      maxToRenderPerBatch={6}
      removeClippedSubviews
    />
  );
}
