import * as DocumentPicker from 'expo-document-picker';
import {useMemo, useState} from 'react';
import {Pressable, View} from 'react-native';

import {Button, IconButton} from '../../components/Button';
import {Field} from '../../components/Field';
import {Row} from '../../components/Layout';
import {Confirm, Sheet} from '../../components/Sheet';
import {Words} from '../../components/Words';
import {useServices, useStore} from '../../hooks/useServices';
import {useLocale, useText} from '../../i18n';
import {searchChats} from '../../services/chats';
import {readUri, save} from '../../services/files';
import {radius, space, touch} from '../../theme/tokens';
import {useTheme} from '../../theme/ThemeContext';
import {fromUtf8, utf8} from '../../utils/bytes';

/** All conversations: find, open, rename, delete, take out and bring in. */
export function ConversationList({current, onOpen, onNew}: {current: string | null; onOpen: (id: string) => void; onNew: () => void}) {
  const t = useText();
  const language = useLocale();
  const {colors} = useTheme();
  const {chats} = useServices();
  const all = useStore(chats.all);
  const [query, setQuery] = useState('');
  const [chosen, setChosen] = useState<ReadonlySet<string> | null>(null);
  const [renaming, setRenaming] = useState<{id: string; title: string} | null>(null);
  const [asking, setAsking] = useState(false);
  const [said, setSaid] = useState('');
  const found = useMemo(() => searchChats(all, query), [all, query]);

  const toggle = (id: string) => {
    const next = new Set(chosen ?? []);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };

  async function bringIn() {
    const result = await DocumentPicker.getDocumentAsync({type: 'application/json', copyToCacheDirectory: true});
    const asset = result.canceled ? undefined : result.assets[0];
    if (asset === undefined) return;
    const n = await chats.imported(fromUtf8(await readUri(asset.uri)));
    setSaid(t('imported', {n}));
  }

  const takeOut = () => void save(utf8(chats.exported(chosen === null ? undefined : [...chosen])), 'application/json', 'chats.json');

  return (
    <View style={{gap: space.small}}>
      <Button look="main" icon="plus" label={t('newChat')} onPress={onNew} />
      <Field label={t('searchChats')} value={query} onChangeText={setQuery} />
      <View role="list">
        {found.map(({conversation, excerpt}) => {
          const isChosen = chosen?.has(conversation.id) ?? false;
          const title = conversation.title || t('newChat');
          return (
            <View
              role="listitem"
              key={conversation.id}
              style={{flexDirection: 'row', alignItems: 'center', borderRadius: radius.medium, backgroundColor: isChosen || conversation.id === current ? colors.accentSoft : 'transparent'}}>
              <Pressable
                role="button"
                accessibilityState={{selected: isChosen}}
                onPress={() => (chosen === null ? onOpen(conversation.id) : toggle(conversation.id))}
                onLongPress={() => toggle(conversation.id)}
                style={{flex: 1, minHeight: touch, padding: space.small, justifyContent: 'center'}}>
                <Words numberOfLines={2}>{title}</Words>
                <Words look="small" color={isChosen || conversation.id === current ? colors.onAccentSoft : colors.quiet} numberOfLines={2}>
                  {excerpt ?? new Date(conversation.updatedAt).toLocaleDateString(language)}
                </Words>
              </Pressable>
              <IconButton icon="edit" label={t('renameChat', {title})} onPress={() => setRenaming({id: conversation.id, title: conversation.title})} />
            </View>
          );
        })}
      </View>
      {found.length === 0 && query !== '' && <Words look="quiet">{t('nothingFound')}</Words>}
      <Row>
        {chosen === null ? (
          <>
            {all.length > 0 && <Button look="plain" label={t('select')} onPress={() => setChosen(new Set())} />}
            <Button look="plain" label={t('import')} onPress={() => void bringIn()} />
            {all.length > 0 && <Button look="plain" label={t('exportAll')} onPress={takeOut} />}
          </>
        ) : (
          <>
            <Button look="plain" label={t('export')} disabled={chosen.size === 0} onPress={takeOut} />
            <Button look="plain" label={t('delete')} disabled={chosen.size === 0} onPress={() => setAsking(true)} />
            <Button look="plain" label={t('cancel')} onPress={() => setChosen(null)} />
          </>
        )}
      </Row>
      {said !== '' && (
        <Words look="small" role="status">
          {said}
        </Words>
      )}
      <Sheet open={renaming !== null} title={t('rename')} onClose={() => setRenaming(null)}>
        <Field label={t('titleField')} value={renaming?.title ?? ''} onChangeText={(title) => renaming && setRenaming({...renaming, title})} />
        <Row style={{justifyContent: 'flex-end'}}>
          <Button
            look="danger"
            icon="trash"
            label={t('delete')}
            onPress={() => {
              if (renaming) void chats.remove([renaming.id]);
              setRenaming(null);
            }}
          />
          <Button
            look="main"
            label={t('save')}
            onPress={() => {
              if (renaming) void chats.rename(renaming.id, renaming.title);
              setRenaming(null);
            }}
          />
        </Row>
      </Sheet>
      <Confirm
        open={asking}
        title={t('delete')}
        text={t('deleteChats', {n: chosen?.size ?? 0})}
        action={t('delete')}
        onClose={() => setAsking(false)}
        onYes={() => {
          void chats.remove([...(chosen ?? [])]);
          setChosen(null);
        }}
      />
    </View>
  );
}
