import {useNavigation} from '@react-navigation/native';
import {useCallback, useMemo, useState} from 'react';
import {View} from 'react-native';

import {Button} from '../components/Button';
import {Choice} from '../components/Choice';
import {Field} from '../components/Field';
import {Row} from '../components/Layout';
import {Empty} from '../components/LoadingIndicator';
import {PictureGrid} from '../components/PictureGrid';
import {Confirm} from '../components/Sheet';
import {useServices, useStore} from '../hooks/useServices';
import {useText} from '../i18n';
import type {Item} from '../services/library';
import {space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {fold} from '../utils/helpers';

type Kind = 'all' | 'image' | 'edit-image' | 'favourite';

export function GalleryScreen() {
  const t = useText();
  const navigation = useNavigation();
  const {colors} = useTheme();
  const {library} = useServices();
  const items = useStore(library.items);
  const [query, setQuery] = useState('');
  const [kind, setKind] = useState<Kind>('all');
  const [chosen, setChosen] = useState<ReadonlySet<string> | null>(null);
  const [asking, setAsking] = useState(false);

  const pictures = useMemo(() => items.filter((item) => item.type.startsWith('image/')), [items]);
  const shown = useMemo(() => {
    const words = fold(query).split(' ').filter((word) => word !== '');
    return pictures
      .filter((item) => kind === 'all' || (kind === 'favourite' ? item.favourite : item.kind === kind))
      .filter((item) => words.every((word) => fold(item.title).includes(word)));
  }, [kind, pictures, query]);

  const toggle = useCallback((item: Item) => {
    setChosen((old) => {
      const next = new Set(old ?? []);
      if (!next.delete(item.id)) next.add(item.id);
      return next;
    });
  }, []);
  const press = useCallback(
    (item: Item) => (chosen === null ? navigation.navigate('Item', {id: item.id}) : toggle(item)),
    [chosen, navigation, toggle],
  );

  const header = (
    <View style={{gap: space.medium, paddingBottom: space.small}}>
      <Field label={t('searchPictures')} value={query} onChangeText={setQuery} />
      <Choice
        label={t('show')}
        hideLabel
        value={kind}
        onChange={setKind}
        options={[
          {value: 'all' as const, label: t('all')},
          {value: 'image' as const, label: t('generated')},
          {value: 'edit-image' as const, label: t('edited')},
          {value: 'favourite' as const, label: t('favourites')},
        ]}
      />
      <Row>
        {chosen === null ? (
          <Button look="plain" label={t('select')} onPress={() => setChosen(new Set())} />
        ) : (
          <>
            <Button look="danger" icon="trash" label={t('deleteChosen', {n: chosen.size})} disabled={chosen.size === 0} onPress={() => setAsking(true)} />
            <Button look="plain" label={t('cancel')} onPress={() => setChosen(null)} />
          </>
        )}
      </Row>
    </View>
  );

  return (
    <View style={{flex: 1, backgroundColor: colors.ground, padding: space.large}}>
      <PictureGrid
        items={shown}
        onPress={press}
        onLongPress={toggle}
        {...(chosen !== null && {chosen})}
        {...(pictures.length > 0 && {header})}
        empty={
          <Empty text={pictures.length === 0 ? t('galleryEmpty') : t('nothingFound')}>
            {pictures.length === 0 && <Button look="main" icon="image" label={t('imageGeneration')} onPress={() => navigation.navigate('ImageGeneration')} />}
          </Empty>
        }
      />
      <Confirm
        open={asking}
        title={t('delete')}
        text={t('deletePictures', {n: chosen?.size ?? 0})}
        action={t('delete')}
        onClose={() => setAsking(false)}
        onYes={() => {
          void library.remove([...(chosen ?? [])]);
          setChosen(null);
        }}
      />
    </View>
  );
}
