// Makes the app open without a network. Requests to the platform itself are never touched:
// their answers belong to the app's own cache and outbox.
const name = 'hybrid-ai-app-v1';
const scope = new URL(self.registration.scope);
const page = scope.href;

self.addEventListener('install', (event) => {
  event.waitUntil(store().then(() => self.skipWaiting()));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(
    (async () => {
      for (const other of await caches.keys()) if (other.startsWith('hybrid-ai-app-') && other !== name) await caches.delete(other);
      await self.clients.claim();
    })(),
  );
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== scope.origin || !url.pathname.startsWith(scope.pathname)) return;
  if (request.mode === 'navigate') event.respondWith(navigate(request));
  else event.respondWith(url.pathname.includes('/_expo/static/') ? fixed(request) : fresh(request));
});

/** The page and every file it names, so that the first visit already suffices. */
async function store() {
  const cache = await caches.open(name);
  const answer = await fetch(page, { cache: 'no-cache' });
  if (!answer.ok) throw new Error(`the page answered ${answer.status}`);
  const text = await answer.clone().text();
  await cache.put(page, answer);
  const named = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => new URL(match[1], page).href);
  const files = named.filter((href) => href.startsWith(page));
  await Promise.all([...files, `${page}recorder-worklet.js`].map((href) => cache.add(href)));
  // Files of older builds that the page no longer names.
  for (const request of await cache.keys()) {
    if (request.url.includes('/_expo/static/') && !files.includes(request.url)) await cache.delete(request);
  }
}

/** The newest page when the network gives one soon, else the kept one. */
async function navigate(request) {
  const cache = await caches.open(name);
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), 4000);
  try {
    const answer = await fetch(request.url, { signal: abort.signal, cache: 'no-cache' });
    if (!answer.ok || !(answer.headers.get('content-type') ?? '').includes('text/html')) throw new Error('not the page');
    const kept = await cache.match(page);
    const text = await answer.clone().text();
    // A new build: keep it whole, not only its page.
    if (kept === undefined || (await kept.text()) !== text) store().catch(() => undefined);
    return answer;
  } catch {
    return (await cache.match(page)) ?? Response.error();
  } finally {
    clearTimeout(timer);
  }
}

/** Files whose names change with their content. */
async function fixed(request) {
  const cache = await caches.open(name);
  const kept = await cache.match(request);
  if (kept !== undefined) return kept;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request, answer.clone());
  return answer;
}

/** Everything else: the newest, or the kept one. */
async function fresh(request) {
  const cache = await caches.open(name);
  try {
    const answer = await fetch(request);
    if (answer.ok) await cache.put(request, answer.clone());
    return answer;
  } catch {
    return (await cache.match(request)) ?? Response.error();
  }
}
