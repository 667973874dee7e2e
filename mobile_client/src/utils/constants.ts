/** The server's own limits (plan, section 4): refused here first, so a person hears it before an upload. */
export const limits = {
  promptChars: 2000,
  speechChars: 5000,
  chatMessages: 200,
  chatChars: 200_000,
  embeddingChars: 32_000,
  uploadBytes: 25 * 1024 * 1024,
  minSide: 64,
  maxSide: 2048,
  sideStep: 8,
} as const;

/** Pictures are scaled to this before upload: the server never takes a longer side. */
export const uploadSide = limits.maxSide;

/** A grid cell is at most about 200 points wide; twice that is sharp on ordinary phones. */
export const thumbnailSide = 384;

export const pictureSizes = [256, 512, 768, 1024, 1536, 2048] as const;

export type Capability = 'image' | 'edit-image' | 'tts' | 'stt' | 'llm' | 'embedding';

/**
 * Offered when the server has no list of its own. The first of each is the server's default.
 */
export const knownModels: Record<Capability, readonly string[]> = {
  image: [
    'stabilityai/stable-diffusion-3-medium',
    'black-forest-labs/FLUX.1-dev',
    'runwayml/stable-diffusion-v1-5',
  ],
  'edit-image': [
    'stabilityai/stable-diffusion-xl-inpainting',
    'runwayml/stable-diffusion-inpainting',
  ],
  tts: ['espnet/kan-bayashi_ljspeech_vits', 'microsoft/speecht5_tts'],
  stt: ['openai/whisper-base', 'openai/whisper-small', 'openai/whisper-medium'],
  llm: [
    'meta-llama/Llama-2-7b-chat-hf',
    'mistralai/Mistral-7B-Instruct-v0.1',
    'tiiuae/falcon-7b-instruct',
  ],
  embedding: ['sentence-transformers/all-MiniLM-L6-v2', 'sentence-transformers/all-mpnet-base-v2'],
};

/** A model's name as the server accepts it; chat may carry a provider suffix. */
export const modelPattern =
  /^(local\/[a-z0-9][a-z0-9._-]*|[A-Za-z0-9][A-Za-z0-9._-]*\/[A-Za-z0-9][A-Za-z0-9._-]*)(:[a-z0-9-]+)?$/;

export const megabyte = 1024 * 1024;
export const cacheBudgets = [50, 100, 250, 500, 1000].map((n) => n * megabyte);

/** Speech is recorded the way speech models want it. */
export const speechRate = 16_000;

/** The address scheme of links that set up a server. */
export const linkScheme = 'hybridai';

export const timing = {
  /** Pictures take tens of seconds; the server's own total deadline is 120 s. */
  requestMs: 150_000,
  healthMs: 5_000,
  /** How often reachability is looked at while all is well, and while it is not. */
  reachableEveryMs: 30_000,
  unreachableEveryMs: 5_000,
  dayMs: 86_400_000,
} as const;
