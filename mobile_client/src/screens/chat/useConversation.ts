import {useCallback, useEffect, useRef, useState} from 'react';

import {useServices} from '../../hooks/useServices';
import {chatCall} from '../../services/calls';
import {type Conversation, type Message, turnsOf} from '../../services/chats';
import {type Problem, ProblemError, problem, problemOfThrown} from '../../services/problem';
import {newId} from '../../utils/helpers';

export type Writing = {text: string; since: number};

/** How often new words are shown: faster than this nobody reads, and long answers would stutter. */
const showEveryMs = 60;

/** Asking, stopping, asking again: one conversation and the answer that is being written. */
export function useConversation(conversation: Conversation | null) {
  const services = useServices();
  const {chats} = services;
  const [writing, setWriting] = useState<Writing | null>(null);
  const [wrong, setWrong] = useState<Problem | null>(null);
  const [queued, setQueued] = useState(false);
  const running = useRef<AbortController | null>(null);
  const id = conversation?.id ?? null;

  // What was said about one conversation does not belong to the next.
  const [shown, setShown] = useState(id);
  if (shown !== id) {
    setShown(id);
    setWrong(null);
    setQueued(false);
  }
  useEffect(() => () => running.current?.abort(), [id]);

  /** Has the model answer the messages as they are. Resolves with the answer, or null when there is none. */
  const answer = useCallback(
    async (chat: Conversation, messages: Message[], options: {model?: string; onPiece?: (text: string) => void} = {}): Promise<string | null> => {
      running.current?.abort();
      const abort = new AbortController();
      running.current = abort;
      setWrong(null);
      setQueued(false);
      await chats.setMessages(chat.id, messages);
      const wish = {
        messages: turnsOf({...chat, messages}, services.chatLimits),
        model: options.model ?? chat.model,
        maxTokens: chat.maxTokens,
        temperature: chat.temperature,
      };

      const wait = async () => {
        // Sent when the server is back; the answer then comes into this conversation.
        const call = chatCall(wish);
        await services.outbox.add(
          {...call, about: {...call.about, chat_id: chat.id, message_id: messages.at(-1)?.id ?? ''}},
          services.settings.current()?.id ?? '',
        );
        setQueued(true);
      };

      let text = '';
      let shownAt = 0;
      const since = Date.now();
      const keep = async (fields: Partial<Message>) => {
        if (text === '') return;
        await chats.setMessages(chat.id, [...messages, {id: newId(), role: 'assistant', content: text, at: Date.now(), ...fields}]);
      };
      try {
        if (services.settings.current() === null) throw new ProblemError(problem('unreachable'));
        if (services.reachability.reach.get().state === 'unreachable' && !(await services.reachability.look())) {
          await wait();
          return null;
        }
        setWriting({text: '', since});
        for await (const piece of services.api.chat(wish, {signal: abort.signal})) {
          if (piece.state === 'piece') {
            text += piece.text;
            options.onPiece?.(piece.text);
            const now = Date.now();
            if (now - shownAt >= showEveryMs) {
              shownAt = now;
              setWriting({text, since});
            }
          } else {
            services.reachability.note(true);
            await keep({...(piece.model !== null && {model: piece.model}), ...(piece.placeholder && {placeholder: true})});
          }
        }
        return text;
      } catch (thrown) {
        const what = problemOfThrown(thrown, abort.signal.aborted);
        // What was written so far stays: it was paid for, and may be what was wanted.
        await keep({partial: true});
        if (what.kind === 'unreachable' && text === '' && services.settings.current() !== null) {
          services.reachability.note(false);
          await wait();
        } else if (what.kind !== 'cancelled') {
          setWrong(what);
        }
        return null;
      } finally {
        if (running.current === abort) {
          running.current = null;
          setWriting(null);
        }
      }
    },
    [chats, services],
  );

  const ask = useCallback(
    (chat: Conversation, text: string, options?: {onPiece?: (text: string) => void}) =>
      answer(chat, [...chat.messages, {id: newId(), role: 'user', content: text.trim(), at: Date.now()}], options),
    [answer],
  );

  /** The same question once more, by another model when one is named. */
  const regenerate = useCallback(
    (chat: Conversation, messageId: string, model?: string) => {
      const at = chat.messages.findIndex((message) => message.id === messageId);
      if (at < 0) return Promise.resolve(null);
      const until = chat.messages[at]!.role === 'user' ? at + 1 : at;
      return answer(chat, chat.messages.slice(0, until), {...(model !== undefined && {model})});
    },
    [answer],
  );

  /** A question in other words; what came after it is answered anew. */
  const resend = useCallback(
    (chat: Conversation, messageId: string, text: string) => {
      const at = chat.messages.findIndex((message) => message.id === messageId);
      if (at < 0) return Promise.resolve(null);
      return answer(chat, [...chat.messages.slice(0, at), {id: newId(), role: 'user', content: text.trim(), at: Date.now()}]);
    },
    [answer],
  );

  const stop = useCallback(() => running.current?.abort(), []);

  return {writing, wrong, queued, ask, regenerate, resend, stop};
}
