/**
 * What went wrong, as what a person would do differently about it.
 * Made here once; nobody else reads status codes.
 */
export type Problem = {
  kind: ProblemKind;
  /** The server's own words, for what only it can know. */
  message?: string;
  /** Which of the request's fields are wrong, and how. */
  fields?: Record<string, string>;
  /** The server asks to wait this long. */
  retryAfterMs?: number;
  /** To be named when asking the operator for help. */
  requestId?: string;
  /** Whether the same request may succeed later. */
  retryable: boolean;
  /** Whether we may send it again by ourselves, without being asked. */
  automatic: boolean;
};

export type ProblemKind =
  /** The server was not reached at all. */
  | 'unreachable'
  | 'cancelled'
  | 'timeout'
  /** The request breaks a rule; `fields` says which. */
  | 'invalid'
  | 'too-large'
  | 'media-type'
  | 'unauthorized'
  | 'model'
  | 'limited'
  /** The model's provider failed or is not set up. */
  | 'provider'
  | 'server'
  /** Something answered, but not this platform. */
  | 'not-ours'
  /** A stream ended in the middle. */
  | 'interrupted';

export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.message ?? problem.kind);
    this.name = 'ProblemError';
  }
}

export function problem(kind: ProblemKind, more: Partial<Problem> = {}): Problem {
  const {retryable, automatic} = nature[kind];
  return {kind, retryable, automatic, ...more};
}

const yes = {retryable: true, automatic: true};
const byHand = {retryable: true, automatic: false};
const no = {retryable: false, automatic: false};
const nature: Record<ProblemKind, {retryable: boolean; automatic: boolean}> = {
  unreachable: yes,
  cancelled: byHand,
  // The server's deadline is long; starting again unasked would double the wait.
  timeout: byHand,
  invalid: no,
  'too-large': no,
  'media-type': no,
  unauthorized: no,
  model: no,
  limited: yes,
  // The server has retried and fallen back already; doing it again multiplies the load.
  provider: byHand,
  server: byHand,
  'not-ours': no,
  interrupted: byHand,
};

type Answer = {status: number; header(name: string): string | null; body: string};

/** The problem that an answer outside 2xx tells of. */
export function problemOfAnswer(answer: Answer): Problem {
  const body = platformError(answer.body);
  const requestId = answer.header('x-request-id') ?? undefined;
  const more: Partial<Problem> = {
    ...(requestId !== undefined && {requestId}),
    ...(body?.message !== undefined && {message: body.message}),
    ...(body !== null && Object.keys(body.details).length > 0 && {fields: body.details}),
  };
  const retryAfterMs = retryAfter(answer.header('retry-after'));
  if (retryAfterMs !== null) more.retryAfterMs = retryAfterMs;

  if (answer.status === 429) return problem('limited', more);
  if (answer.status === 401 || answer.status === 403) return problem('unauthorized', more);
  if (body === null) {
    // A proxy in between, speaking for a server that is starting or gone.
    if ([502, 503, 504].includes(answer.status)) return problem('server', {...more, automatic: true});
    return answer.status >= 500 ? problem('server', more) : problem('not-ours', more);
  }
  switch (body.error) {
    case 'validation_error':
      return problem('invalid', more);
    case 'payload_too_large':
      return problem('too-large', more);
    case 'unsupported_media_type':
      return problem('media-type', more);
    case 'model_not_found':
      return problem('model', more);
    case 'rate_limited':
      return problem('limited', more);
    case 'timeout':
      return problem('timeout', more);
    case 'huggingface_api_error':
      return answer.status === 400 ? problem('invalid', more) : problem('provider', more);
    case 'processing_error':
      return answer.status < 500 ? problem('invalid', more) : problem('provider', more);
    case 'not_found':
    case 'method_not_allowed':
      return problem('not-ours', more);
    default:
      return answer.status >= 500 ? problem('server', more) : problem('invalid', more);
  }
}

/** The problem behind something thrown: our own, an abort, or a network that failed. */
export function problemOfThrown(thrown: unknown, cancelled: boolean): Problem {
  if (thrown instanceof ProblemError) return thrown.problem;
  if (cancelled) return problem('cancelled');
  const name = thrown instanceof Error ? thrown.name : '';
  if (name === 'AbortError') return problem('cancelled');
  if (name === 'TimeoutError') return problem('timeout');
  return problem('unreachable');
}

/** The platform's error body, or null when this is somebody else's. */
export function platformError(
  text: string,
): {error: string; message: string; details: Record<string, string>} | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (value === null || typeof value !== 'object') return null;
  const {error, message, details} = value as Record<string, unknown>;
  if (typeof error !== 'string' || typeof message !== 'string') return null;
  const words: Record<string, string> = {};
  if (details !== null && typeof details === 'object' && !Array.isArray(details)) {
    for (const [field, word] of Object.entries(details)) {
      words[field] = typeof word === 'string' ? word : JSON.stringify(word);
    }
  }
  return {error, message, details: words};
}

/** `Retry-After` in seconds or as a date. */
export function retryAfter(value: string | null, now: number = Date.now()): number | null {
  if (value === null || value.trim() === '') return null;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
