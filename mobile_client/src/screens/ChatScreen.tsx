import {type RouteProp, useNavigation, useRoute} from '@react-navigation/native';
import {useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState} from 'react';
import {FlatList, KeyboardAvoidingView, Platform, ScrollView, type TextInput, useWindowDimensions, View} from 'react-native';

import {Refused} from '../components/AudioRecorder';
import {Button, IconButton} from '../components/Button';
import {Field} from '../components/Field';
import {Row} from '../components/Layout';
import {Empty} from '../components/LoadingIndicator';
import {Markdown} from '../components/Markdown';
import {ModelSheet} from '../components/ModelPicker';
import {Notice} from '../components/Notice';
import {ProblemView} from '../components/ProblemView';
import {Sheet} from '../components/Sheet';
import {Words} from '../components/Words';
import {useServices, useStore} from '../hooks/useServices';
import {useVoice, voiceProblem} from '../hooks/useVoice';
import {useText} from '../i18n';
import type {Tabs} from '../navigation/routes';
import type {Message} from '../services/chats';
import {spoken} from '../services/markdown';
import {SentenceCutter} from '../services/sentences';
import {radius, readable, space, tabsWidth, touch} from '../theme/tokens';
import {useIsWide, useTheme} from '../theme/ThemeContext';
import {limits} from '../utils/constants';
import {ChatOptions} from './chat/ChatOptions';
import {ConversationList} from './chat/ConversationList';
import {HandsFree} from './chat/HandsFree';
import {type MessageActions, MessageView} from './chat/MessageView';
import {useConversation} from './chat/useConversation';

const sidebar = 280;

export function ChatScreen() {
  const t = useText();
  const navigation = useNavigation();
  const {params} = useRoute<RouteProp<Tabs, 'Chat'>>();
  const {colors} = useTheme();
  const isWide = useIsWide();
  const {width} = useWindowDimensions();
  const services = useServices();
  const {chats} = services;
  const all = useStore(chats.all);
  const [id, setId] = useState<string | null>(params?.id ?? null);
  const [asked, setAsked] = useState(params?.id);
  if (asked !== params?.id) {
    setAsked(params?.id);
    if (params?.id !== undefined) setId(params.id);
  }
  // Where nothing was chosen, the newest conversation goes on.
  const newest = useMemo(() => [...all].sort((a, b) => b.updatedAt - a.updatedAt)[0] ?? null, [all]);
  const chat = all.find((one) => one.id === id) ?? newest;
  const {writing, wrong, queued, ask, regenerate, resend, stop} = useConversation(chat);

  const [draft, setDraft] = useState('');
  const [editing, setEditing] = useState<Message | null>(null);
  const [list, setList] = useState(false);
  const [options, setOptions] = useState(false);
  const [otherFor, setOtherFor] = useState<Message | null>(null);
  const [handsFree, setHandsFree] = useState(false);
  const input = useRef<TextInput>(null);
  const scroller = useRef<FlatList<Message>>(null);
  const atEnd = useRef(true);

  const chatId = chat?.id ?? null;
  const [draftOf, setDraftOf] = useState<string | null>(null);
  if (draftOf !== chatId) {
    setDraftOf(chatId);
    setEditing(null);
    // What was typed before there was a conversation belongs to the first one.
    if (draftOf !== null || draft === '') setDraft(chat?.draft ?? '');
  }
  // Kept as it is typed, a moment later: not every letter is worth a write.
  useEffect(() => {
    if (chatId === null || editing !== null) return;
    const timer = setTimeout(() => {
      if (chats.find(chatId)?.draft !== draft) void chats.set(chatId, {draft});
    }, 400);
    return () => clearTimeout(timer);
  }, [chatId, chats, draft, editing]);

  const open = useCallback(async () => {
    const one = chat ?? (await chats.create());
    setId(one.id);
    return one;
  }, [chat, chats]);

  const fresh = useCallback(async () => {
    setList(false);
    // An empty one is new enough.
    const unused = chats.all.get().find((one) => one.messages.length === 0);
    const like = chat === null ? {} : {system: chat.system, model: chat.model, maxTokens: chat.maxTokens, temperature: chat.temperature};
    setId((unused ?? (await chats.create(like))).id);
    input.current?.focus();
  }, [chat, chats]);

  useLayoutEffect(() => {
    navigation.setOptions({
      title: chat?.title || t('chat'),
      // The header itself leaves room for two buttons only.
      headerTitleContainerStyle: {maxWidth: width - (isWide ? tabsWidth : 0) - touch * (isWide ? 3 : 4) - space.vast * 2},
      headerRight: () => (
        <View style={{flexDirection: 'row', paddingHorizontal: space.small}}>
          <IconButton icon="hands" label={t('handsFree')} onPress={() => setHandsFree(true)} />
          <IconButton icon="settings" label={t('chatOptions')} onPress={() => void open().then(() => setOptions(true))} />
          {!isWide && <IconButton icon="more" label={t('chats')} onPress={() => setList(true)} />}
          <IconButton icon="plus" label={t('newChat')} onPress={() => void fresh()} />
        </View>
      ),
    });
  }, [chat?.title, fresh, isWide, navigation, open, t, width]);

  async function send() {
    const text = draft.trim();
    if (text === '' || writing !== null) return;
    const one = await open();
    setDraft('');
    atEnd.current = true;
    void chats.set(one.id, {draft: ''});
    if (editing !== null) {
      setEditing(null);
      await resend(chats.find(one.id) ?? one, editing.id, text);
    } else {
      await ask(chats.find(one.id) ?? one, text);
    }
  }

  // Reading aloud and speaking instead of typing.
  const voice = useVoice();
  const [speaking, setSpeaking] = useState<string | null>(null);
  const [voiceWrong, setVoiceWrong] = useState<ReturnType<typeof voiceProblem> | null>(null);
  const mouth = useRef<ReturnType<typeof voice.speaker> | null>(null);
  const dictation = useRef<{finish: () => void} | null>(null);
  const [dictating, setDictating] = useState<'no' | 'listening' | 'understanding'>('no');
  useEffect(() => () => mouth.current?.stop(), []);

  const makeSpeaker = voice.speaker;
  const readAloud = useCallback(
    (message: Message) => {
      mouth.current?.stop();
      if (speaking === message.id) return setSpeaking(null);
      const one = makeSpeaker();
      mouth.current = one;
      setSpeaking(message.id);
      setVoiceWrong(null);
      const cutter = new SentenceCutter();
      for (const sentence of [...cutter.push(spoken(message.content)), ...cutter.end()]) one.say(sentence);
      one
        .finished()
        .catch((thrown: unknown) => setVoiceWrong(voiceProblem(thrown)))
        .finally(() => setSpeaking((now) => (now === message.id ? null : now)));
    },
    [makeSpeaker, speaking],
  );

  async function dictate() {
    if (dictation.current !== null) return dictation.current.finish();
    setVoiceWrong(null);
    setDictating('listening');
    const abort = new AbortController();
    const enough = new Promise<void>((resolve) => {
      dictation.current = {finish: resolve};
    });
    try {
      const sound = await voice.listen(abort.signal, enough);
      dictation.current = null;
      if (sound === null) return;
      setDictating('understanding');
      const text = await voice.transcribe(sound, abort.signal);
      setDraft((old) => (old === '' ? text : `${old} ${text}`));
    } catch (thrown) {
      setVoiceWrong(voiceProblem(thrown));
    } finally {
      dictation.current = null;
      setDictating('no');
    }
  }

  const actions = useMemo<MessageActions>(
    () => ({
      onEdit: (message) => {
        setEditing(message);
        setDraft(message.content);
        input.current?.focus();
      },
      onRegenerate: (message) => {
        if (chatId !== null) void regenerate(chats.find(chatId)!, message.id);
      },
      onOtherModel: setOtherFor,
      onFork: (message) => {
        if (chatId !== null) void chats.fork(chatId, message.id).then((copy) => copy && setId(copy.id));
      },
      onSpeak: readAloud,
    }),
    [chatId, chats, readAloud, regenerate],
  );

  const messages = chat?.messages ?? [];
  const last = messages.at(-1);
  const conversations = (
    <ConversationList
      current={chatId}
      onNew={() => void fresh()}
      onOpen={(next) => {
        setId(next);
        setList(false);
      }}
    />
  );

  return (
    <View style={{flex: 1, flexDirection: 'row', backgroundColor: colors.ground}}>
      {isWide && (
        <ScrollView style={{width: sidebar, flexGrow: 0, borderEndWidth: 1, borderEndColor: colors.line, backgroundColor: colors.surface}} contentContainerStyle={{padding: space.medium}}>
          {conversations}
        </ScrollView>
      )}
      <KeyboardAvoidingView style={{flex: 1, minWidth: 0}} behavior={Platform.OS === 'ios' ? 'padding' : undefined} keyboardVerticalOffset={space.vast * 3}>
        <FlatList
          ref={scroller}
          data={messages}
          keyExtractor={(message) => message.id}
          renderItem={({item}) => <MessageView message={item} actions={actions} speaking={speaking === item.id} />}
          keyboardShouldPersistTaps="handled"
          contentContainerStyle={{padding: space.large, gap: space.medium, width: '100%', maxWidth: readable, alignSelf: 'center', flexGrow: 1}}
          ListEmptyComponent={writing === null ? <Empty text={t('chatEmpty')} /> : null}
          // Follows the answer, unless somebody has scrolled up to read.
          onScroll={({nativeEvent: {contentOffset, contentSize, layoutMeasurement}}) => {
            atEnd.current = contentOffset.y + layoutMeasurement.height > contentSize.height - space.vast * 3;
          }}
          scrollEventThrottle={100}
          onContentSizeChange={() => {
            if (atEnd.current) scroller.current?.scrollToEnd({animated: false});
          }}
          ListFooterComponent={
            <View style={{gap: space.medium}}>
              {writing !== null && (
                <View
                  testID="writing"
                  aria-busy
                  style={{backgroundColor: colors.surface, borderWidth: 1, borderColor: colors.line, borderRadius: radius.large, padding: space.medium}}>
                  {writing.text === '' ? <Words look="quiet">{t('thinking')}</Words> : <Markdown text={writing.text} />}
                </View>
              )}
              {queued && <Notice icon="queue" title={t('queuedTitle')} text={t('queuedText')} />}
              {wrong !== null && (
                <ProblemView problem={wrong} {...(chat !== null && last !== undefined && {onRetry: () => void regenerate(chat, last.id)})} />
              )}
              {voiceWrong !== null && ('microphone' in voiceWrong ? <Refused reason={voiceWrong.microphone} /> : <ProblemView problem={voiceWrong.problem} />)}
            </View>
          }
        />
        <View style={{padding: space.small, gap: space.tiny, borderTopWidth: 1, borderTopColor: colors.line, backgroundColor: colors.surface}}>
          {editing !== null && (
            <Row style={{justifyContent: 'space-between'}}>
              <Words look="small">{t('editingMessage')}</Words>
              <Button
                look="plain"
                label={t('cancel')}
                onPress={() => {
                  setEditing(null);
                  setDraft('');
                }}
              />
            </Row>
          )}
          <View style={{flexDirection: 'row', alignItems: 'flex-end', gap: space.tiny, width: '100%', maxWidth: readable, alignSelf: 'center'}}>
            <View style={{flex: 1, minWidth: 0}}>
              <Field
                inputRef={input}
                testID="chat-input"
                label={t('message')}
                value={draft}
                onChangeText={setDraft}
                max={limits.chatChars}
                multiline
                placeholder={t('chatPlaceholder')}
                style={{maxHeight: space.vast * 5}}
                onKeyPress={(event) => {
                  const native = event.nativeEvent as {key: string; shiftKey?: boolean; isComposing?: boolean};
                  // Enter sends where there is a keyboard with a shift key; half-written signs are not finished by it.
                  if (Platform.OS === 'web' && native.key === 'Enter' && !native.shiftKey && !native.isComposing) {
                    event.preventDefault();
                    void send();
                  }
                }}
              />
            </View>
            <IconButton
              icon={dictating === 'listening' ? 'stop' : 'mic'}
              label={dictating === 'listening' ? t('stopRecording') : t('dictate')}
              disabled={dictating === 'understanding'}
              chosen={dictating === 'listening'}
              onPress={() => void dictate()}
            />
            {writing === null ? (
              <IconButton testID="send" icon="send" label={t('send')} color={colors.accent} disabled={draft.trim() === ''} onPress={() => void send()} />
            ) : (
              <IconButton testID="stop" icon="stop" label={t('stop')} color={colors.danger} onPress={stop} />
            )}
          </View>
        </View>
      </KeyboardAvoidingView>
      <Sheet open={list} title={t('chats')} onClose={() => setList(false)}>
        {conversations}
      </Sheet>
      {chat !== null && <ChatOptions chat={chat} open={options} onClose={() => setOptions(false)} />}
      <ModelSheet
        capability="llm"
        value={chat?.model ?? ''}
        title={t('otherModel')}
        open={otherFor !== null}
        onClose={() => setOtherFor(null)}
        onChange={(model) => {
          const message = otherFor;
          setOtherFor(null);
          if (message !== null && chat !== null) void regenerate(chat, message.id, model);
        }}
      />
      <HandsFree
        open={handsFree}
        onClose={() => setHandsFree(false)}
        ask={async (text, onPiece) => {
          const one = await open();
          return ask(chats.find(one.id) ?? one, text, {onPiece});
        }}
      />
    </View>
  );
}
