import {limits, modelPattern, type Capability} from '../utils/constants';
import {newId} from '../utils/helpers';
import {toBase64, utf8} from '../utils/bytes';
import {multipart} from './multipart';
import {type Problem, problem} from './problem';

/**
 * One request, complete: it can be sent now, or wait on disk and be sent after a restart.
 */
export type Call = {
  capability: Capability;
  path: string;
  contentType: string;
  body: Uint8Array<ArrayBuffer>;
  /** What a person knows it by: the prompt, the text, the file's name. */
  title: string;
  /** Remembered with the answer, for the gallery and the history. */
  about: Record<string, string | number>;
};

export type Picture = {bytes: Uint8Array; type: string; width: number; height: number};

export type ImageWish = {
  prompt: string;
  negativePrompt?: string;
  width?: number;
  height?: number;
  seed?: number;
  model?: string;
};

export function imageCall(wish: ImageWish): Call {
  const body = {
    prompt: wish.prompt.trim(),
    negative_prompt: text(wish.negativePrompt),
    width: wish.width,
    height: wish.height,
    seed: wish.seed,
    model: text(wish.model),
  };
  return json('image', '/image', body, wish.prompt, body);
}

export type EditWish = {
  picture: Picture;
  /** A PNG of exactly the picture's size: white is painted anew. */
  mask?: Uint8Array;
  prompt: string;
  negativePrompt?: string;
  strength?: number;
  seed?: number;
  model?: string;
};

export function editCall(wish: EditWish): Call {
  const about = {
    prompt: wish.prompt.trim(),
    negative_prompt: text(wish.negativePrompt),
    strength: wish.mask === undefined ? wish.strength : undefined,
    seed: wish.seed,
    model: text(wish.model),
  };
  const body = {
    ...about,
    image: toBase64(wish.picture.bytes),
    mask: wish.mask === undefined ? undefined : toBase64(wish.mask),
  };
  const {width, height} = wish.picture;
  return json('edit-image', '/edit-image', body, wish.prompt, {...about, width, height});
}

export type SpeechWish = {text: string; speakerId?: number; model?: string};

export function speechCall(wish: SpeechWish): Call {
  const body = {text: wish.text.trim(), speaker_id: wish.speakerId, model: text(wish.model)};
  return json('tts', '/tts', body, wish.text, {speaker_id: wish.speakerId, model: text(wish.model)});
}

export type TranscriptWish = {
  audio: Uint8Array;
  filename: string;
  type: string;
  language?: string;
  model?: string;
};

export function transcriptCall(wish: TranscriptWish): Call {
  const fields = {model: text(wish.model), language: text(wish.language)};
  const {type, body} = multipart(
    [
      ...present(fields).map(([name, value]) => ({name, value: String(value)})),
      {name: 'audio', filename: wish.filename, type: wish.type, bytes: wish.audio},
    ],
    `hybrid-${newId()}`,
  );
  const about = Object.fromEntries(present({...fields, filename: wish.filename, size: wish.audio.length}));
  return {capability: 'stt', path: '/stt', contentType: type, body, title: wish.filename, about};
}

export type Turn = {role: 'system' | 'user' | 'assistant'; content: string};
export type ChatWish = {messages: Turn[]; model?: string; maxTokens?: number; temperature?: number};

export function chatCall(wish: ChatWish, stream = false): Call {
  const about = {model: text(wish.model), max_tokens: wish.maxTokens, temperature: wish.temperature};
  const last = wish.messages.findLast((turn) => turn.role === 'user');
  const body = {messages: wish.messages, ...about, stream: stream ? true : undefined};
  return json('llm', '/llm', body, last?.content ?? '', about);
}

export function embeddingCall(wish: {text: string; model?: string}): Call {
  const body = {text: wish.text.trim(), model: text(wish.model)};
  return json('embedding', '/embedding', body, wish.text, {model: text(wish.model)});
}

/** What the server would refuse, found before anything is uploaded. Field → which rule. */
export type Rule = 'empty' | 'long' | 'side' | 'model' | 'upload' | 'range';

export function refusal(call: {prompt?: string; text?: string; model?: string; width?: number; height?: number; bytes?: number; negativePrompt?: string; strength?: number},
  maxChars: number): Record<string, Rule> {
  const wrong: Record<string, Rule> = {};
  for (const field of ['prompt', 'text'] as const) {
    const value = call[field];
    if (value === undefined) continue;
    if (value.trim() === '') wrong[field] = 'empty';
    else if ([...value].length > maxChars) wrong[field] = 'long';
  }
  if ([...(call.negativePrompt ?? '')].length > limits.promptChars) wrong.negative_prompt = 'long';
  for (const side of ['width', 'height'] as const) {
    const value = call[side];
    if (value === undefined) continue;
    if (value < limits.minSide || value > limits.maxSide || value % limits.sideStep !== 0) wrong[side] = 'side';
  }
  if (call.strength !== undefined && !(call.strength >= 0 && call.strength <= 1)) wrong.strength = 'range';
  if (call.model !== undefined && call.model.trim() !== '' && !isModel(call.model.trim())) wrong.model = 'model';
  if (call.bytes !== undefined && call.bytes > limits.uploadBytes) wrong.audio = 'upload';
  return wrong;
}

export function isModel(name: string): boolean {
  return name.length <= 200 && !name.includes('..') && modelPattern.test(name);
}

export function invalid(fields: Record<string, string>): Problem {
  return problem('invalid', {fields});
}

function json(
  capability: Capability,
  path: string,
  body: object,
  title: string,
  about: Record<string, string | number | undefined>,
): Call {
  return {
    capability,
    path,
    contentType: 'application/json',
    body: utf8(JSON.stringify(body)),
    title: title.trim(),
    about: Object.fromEntries(present(about)),
  };
}

function present<T>(record: Record<string, T | undefined>): [string, T][] {
  return Object.entries(record).filter((entry): entry is [string, T] => entry[1] !== undefined);
}

/** An empty field on the screen means "the server's choice". */
function text(value: string | undefined): string | undefined {
  const trimmed = value?.trim();
  return trimmed === undefined || trimmed === '' ? undefined : trimmed;
}
