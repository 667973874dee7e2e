import * as Clipboard from 'expo-clipboard';

import type {Sink} from './archive';

/** Files that come in and go out, in a browser. */
export async function readUri(uri: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await (await fetch(uri)).arrayBuffer());
}

/** An address for bytes, as long as they are needed. */
export async function temporaryUri(bytes: Uint8Array<ArrayBuffer>, type: string): Promise<{uri: string; release(): void}> {
  const uri = URL.createObjectURL(new Blob([bytes], {type}));
  return {uri, release: () => URL.revokeObjectURL(uri)};
}

export async function share(bytes: Uint8Array<ArrayBuffer>, type: string, name: string): Promise<void> {
  const file = new File([bytes], name, {type});
  if (navigator.canShare?.({files: [file]})) {
    try {
      await navigator.share({files: [file]});
    } catch (thrown) {
      // Closing the sheet is a choice, not a failure.
      if (!(thrown instanceof DOMException && thrown.name === 'AbortError')) throw thrown;
    }
    return;
  }
  await save(bytes, type, name);
}

export async function save(bytes: Uint8Array<ArrayBuffer>, type: string, name: string): Promise<void> {
  download(new Blob([bytes], {type}), name);
}

/** A file that is made piece by piece: the browser keeps the pieces where it has room, on disk when they are many. */
export async function saveMade(type: string, name: string, make: (write: Sink) => Promise<void>): Promise<void> {
  const pieces: Blob[] = [];
  await make((piece) => void pieces.push(new Blob([piece])));
  download(new Blob(pieces, {type}), name);
}

function download(blob: Blob, name: string): void {
  const uri = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = uri;
  link.download = name;
  link.click();
  // The browser reads the address after this function is over.
  setTimeout(() => URL.revokeObjectURL(uri), 60_000);
}

export async function copyText(text: string): Promise<void> {
  await Clipboard.setStringAsync(text);
}
