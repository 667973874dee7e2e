import {translator} from '../../src/i18n';
import {fieldWords, problemWords} from '../../src/i18n/problems';
import {problemOfAnswer, problemOfThrown, type ProblemKind, retryAfter} from '../../src/services/problem';

const answer = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  problemOfAnswer({
    status,
    header: (name) => headers[name] ?? null,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const platform = (error: string, details: object = {}) => ({
  error, message: `words of ${error}`, details, timestamp: '2026-11-23T10:30:00Z',
});

test.each<[number, string, ProblemKind]>([
  [422, 'validation_error', 'invalid'],
  [400, 'validation_error', 'invalid'],
  [413, 'payload_too_large', 'too-large'],
  [415, 'unsupported_media_type', 'media-type'],
  [404, 'not_found', 'not-ours'],
  [405, 'method_not_allowed', 'not-ours'],
  [404, 'model_not_found', 'model'],
  [400, 'huggingface_api_error', 'invalid'],
  [502, 'huggingface_api_error', 'provider'],
  [503, 'huggingface_api_error', 'provider'],
  [429, 'rate_limited', 'limited'],
  [504, 'timeout', 'timeout'],
  [502, 'processing_error', 'provider'],
  [422, 'processing_error', 'invalid'],
  [500, 'internal_error', 'server'],
  [401, 'unauthorized', 'unauthorized'],
])('%i %s is the problem "%s"', (status, code, kind) => {
  expect(answer(status, platform(code)).kind).toBe(kind);
});

test('fields, request id and the time to wait are kept', () => {
  const what = answer(422, platform('validation_error', {width: 'must be at most 2048'}), {'x-request-id': 'r-1'});
  expect(what).toMatchObject({fields: {width: 'must be at most 2048'}, requestId: 'r-1', retryable: false});
  expect(answer(429, platform('rate_limited'), {'retry-after': '7'})).toMatchObject({retryAfterMs: 7000, automatic: true});
  expect(retryAfter('Mon, 23 Nov 2026 10:00:10 GMT', Date.parse('2026-11-23T10:00:00Z'))).toBe(10_000);
  expect(retryAfter('soon')).toBeNull();
});

test('a provider that failed is tried again only by hand: the server has retried already', () => {
  expect(answer(503, platform('huggingface_api_error'))).toMatchObject({retryable: true, automatic: false});
});

test('a proxy in front of a server that is away may be asked again', () => {
  expect(answer(503, '<html>Bad gateway</html>')).toMatchObject({kind: 'server', automatic: true});
  expect(answer(404, '<html>')).toMatchObject({kind: 'not-ours', retryable: false});
});

test('what is thrown is an abort, a time that ran out, or a network that failed', () => {
  expect(problemOfThrown(new TypeError('failed to fetch'), false).kind).toBe('unreachable');
  expect(problemOfThrown(new TypeError('failed to fetch'), true).kind).toBe('cancelled');
  expect(problemOfThrown(new DOMException('', 'AbortError'), false).kind).toBe('cancelled');
});

test.each(['en', 'de'] as const)('every problem has words in %s', (language) => {
  const t = translator(language);
  const kinds: ProblemKind[] = [
    'unreachable', 'cancelled', 'timeout', 'invalid', 'too-large', 'media-type', 'unauthorized', 'model', 'limited',
    'provider', 'server', 'not-ours', 'interrupted',
  ];
  for (const kind of kinds) {
    expect(problemWords({kind, retryable: true, automatic: false}, t).title).toMatch(/\p{L}{3}/u);
  }
  expect(fieldWords('width', 'side', t)).toContain('2048');
  expect(fieldWords('odd', 'words of the server', t)).toBe('odd: words of the server');
});
