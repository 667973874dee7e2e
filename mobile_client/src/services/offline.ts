/** Phones keep the app themselves; only the browser needs help. */
export function keepAppOffline(): void {}
