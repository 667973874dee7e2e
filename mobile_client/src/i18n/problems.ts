import type {Translate} from './index';
import type {Problem} from '../services/problem';
import type {Finding} from '../services/diagnosis';
import {limits} from '../utils/constants';
import type {Key} from './en';

/** A problem in words a person understands, with what to do. */
export function problemWords(problem: Problem, t: Translate): {title: string; advice: string} {
  const own = problem.message ?? '';
  const seconds = Math.ceil((problem.retryAfterMs ?? 0) / 1000);
  switch (problem.kind) {
    case 'unreachable':
      return {title: t('pUnreachable'), advice: t('pUnreachableAdvice')};
    case 'cancelled':
      return {title: t('pCancelled'), advice: ''};
    case 'timeout':
      return {title: t('pTimeout'), advice: t('pTimeoutAdvice')};
    case 'invalid':
      return {title: t('pInvalid'), advice: problem.fields ? '' : own};
    case 'too-large':
      return {title: t('pTooLarge'), advice: t('pTooLargeAdvice', {mb: limits.uploadBytes / 1024 / 1024})};
    case 'media-type':
      return {title: t('pMediaType'), advice: t('pMediaTypeAdvice')};
    case 'unauthorized':
      return {title: t('pUnauthorized'), advice: t('pUnauthorizedAdvice')};
    case 'model':
      return {title: t('pModel'), advice: t('pModelAdvice')};
    case 'limited':
      return {title: t('pLimited'), advice: seconds > 0 ? t('pLimitedAdvice', {seconds}) : t('pLimitedLater')};
    case 'provider':
      return {title: t('pProvider'), advice: own};
    case 'server':
      return {title: t('pServer'), advice: t('pServerAdvice')};
    case 'not-ours':
      return {title: t('pNotOurs'), advice: t('pNotOursAdvice')};
    case 'interrupted':
      return {title: t('pInterrupted'), advice: t('pInterruptedAdvice')};
  }
}

const rules: Record<string, Key> = {
  empty: 'rEmpty', long: 'rLong', side: 'rSide', model: 'rModel', upload: 'rUpload', range: 'rRange',
};
const names: Record<string, Key> = {
  prompt: 'prompt', text: 'text', model: 'model', width: 'width', height: 'height', image: 'picture', mask: 'mask',
  audio: 'audioFile', negative_prompt: 'negativePrompt', strength: 'strength', seed: 'seed', language: 'language',
  max_tokens: 'maxTokens', temperature: 'temperature', messages: 'messages', speaker_id: 'speaker',
};

/** One field that is wrong: our own rule in the person's language, the server's words as they are. */
export function fieldWords(name: string, words: string, t: Translate): string {
  const label = names[name] === undefined ? name : t(names[name]);
  return `${label}: ${ruleWords(words, t)}`;
}

export function ruleWords(words: string, t: Translate): string {
  const rule = rules[words];
  return rule === undefined ? words : t(rule, {mb: limits.uploadBytes / 1024 / 1024, low: limits.minSide, high: limits.maxSide, step: limits.sideStep});
}

export function findingWords(finding: Finding, t: Translate): {look: 'fine' | 'warn' | 'danger'; title: string; text: string} {
  switch (finding.state) {
    case 'fine':
      return {look: 'fine', title: t('fFine', {ms: finding.ms}), text: finding.placeholder ? t('fFinePlaceholder') : ''};
    case 'bad-address':
      return {look: 'danger', title: t('fBadAddress'), text: t('fBadAddressAdvice')};
    case 'mixed-content':
      return {look: 'danger', title: t('fMixed'), text: t('fMixedAdvice')};
    case 'no-answer':
      return {look: 'danger', title: t('fNoAnswer'), text: t('fNoAnswerAdvice')};
    case 'cors':
      return {look: 'danger', title: t('fCors'), text: t('fCorsAdvice', {origin: finding.origin})};
    case 'tls':
      return {look: 'danger', title: t('fTls'), text: t('fTlsAdvice')};
    case 'slow':
      return {look: 'warn', title: t('fSlow'), text: t('fSlowAdvice')};
    case 'key':
      return {look: 'danger', title: t('fKey'), text: t('fKeyAdvice')};
    case 'not-ours':
      return {look: 'danger', title: t('fNotOurs', {status: finding.status}), text: t('fNotOursAdvice')};
    case 'version':
      return {look: 'warn', title: t('fVersion'), text: t('fVersionAdvice')};
    case 'unwell':
      return {look: 'warn', title: t('fUnwell', {status: finding.status}), text: t('fUnwellAdvice')};
  }
}
