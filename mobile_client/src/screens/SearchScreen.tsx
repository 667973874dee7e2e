import {useNavigation} from '@react-navigation/native';
import {useEffect, useMemo, useState} from 'react';
import {Pressable, View} from 'react-native';

import {Button} from '../components/Button';
import {Field} from '../components/Field';
import {Card, Row, Screen} from '../components/Layout';
import {Empty, LoadingIndicator} from '../components/LoadingIndicator';
import {Words} from '../components/Words';
import {useServices, useStore} from '../hooks/useServices';
import {useText} from '../i18n';
import {type Findable, findables, type Found, type FoundBy} from '../services/search';
import {space} from '../theme/tokens';
import {inOneLine} from '../utils/helpers';

type State = {at: 'idle'} | {at: 'searching'; since: number} | {at: 'found'; by: FoundBy; found: Found[]};

/** Finds one's own messages and prompts by what they mean; without the server by how they are spelled. */
export function SearchScreen() {
  const t = useText();
  const navigation = useNavigation();
  const {search, chats, library} = useServices();
  const conversations = useStore(chats.all);
  const items = useStore(library.items);
  const entries = useMemo(() => findables(conversations, items), [conversations, items]);
  const [query, setQuery] = useState('');
  const [state, setState] = useState<State>({at: 'idle'});
  const [missing, setMissing] = useState(0);

  // While the person types, what is new is made searchable.
  useEffect(() => {
    const abort = new AbortController();
    void search.prepare(entries, abort.signal).then((result) => {
      if (!abort.signal.aborted) setMissing(result.missing);
    });
    return () => abort.abort();
  }, [entries, search]);

  async function start() {
    if (query.trim() === '') return;
    setState({at: 'searching', since: Date.now()});
    setState({at: 'found', ...(await search.find(query.trim(), entries))});
  }

  const open = ({where}: Findable) => {
    if (where.kind === 'chat') return navigation.navigate('Tabs', {screen: 'Chat', params: {id: where.chatId}});
    const item = items.find((one) => one.id === where.itemId);
    if (item?.type.startsWith('image/')) navigation.navigate('Item', {id: where.itemId});
    else navigation.navigate(item?.kind === 'tts' ? 'TTS' : 'STT');
  };

  return (
    <Screen>
      <Field label={t('searchAll')} hint={t('searchHint')} value={query} onChangeText={setQuery} onSubmitEditing={() => void start()} returnKeyType="search" />
      <Row>
        <Button look="main" icon="search" label={t('search')} onPress={() => void start()} />
      </Row>
      {entries.length === 0 && <Empty text={t('searchEmpty')} />}
      {missing > 0 && <Words look="small">{t('searchMissing', {n: missing})}</Words>}
      {state.at === 'searching' && <LoadingIndicator label={t('searching')} since={state.since} />}
      {state.at === 'found' && (
        <>
          <Words look="quiet" role="status">
            {state.found.length === 0 ? t('nothingFound') : t(({meaning: 'byMeaning', likeness: 'byLikeness', spelling: 'bySpelling'} as const)[state.by])}
          </Words>
          <View role="list" style={{gap: space.small}}>
            {state.found.map(({entry, score}) => (
              <View role="listitem" key={`${entry.where.kind === 'chat' ? entry.where.chatId : ''}${entry.id}`}>
                <Pressable role="link" onPress={() => open(entry)}>
                  <Card>
                    <Words numberOfLines={3}>{entry.text}</Words>
                    <Words look="small">{inOneLine([entry.where.kind === 'chat' ? t('chat') : t('gallery'), `${Math.round(score * 100)} %`])}</Words>
                  </Card>
                </Pressable>
              </View>
            ))}
          </View>
        </>
      )}
    </Screen>
  );
}
