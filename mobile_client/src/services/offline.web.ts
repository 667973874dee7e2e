/** Registers the service worker that lets the page open without a network. */
export function keepAppOffline(): void {
  // While developing, an old page from a cache is the last thing anybody wants.
  if (process.env.NODE_ENV !== 'production' || !('serviceWorker' in navigator)) return;
  const base = process.env.EXPO_BASE_URL ?? '';
  // Without it the app works, as long as there is a network.
  navigator.serviceWorker.register(`${base}/sw.js`, {scope: `${base}/`}).catch(() => undefined);
}
