import * as Clipboard from 'expo-clipboard';
import {Directory, File, FileMode, Paths} from 'expo-file-system';
import * as Sharing from 'expo-sharing';
import {Platform} from 'react-native';

import {newId} from '../utils/helpers';
import type {Sink} from './archive';

/** Files that come in and go out, on phones. `files.web.ts` is the browser's. */
export async function readUri(uri: string): Promise<Uint8Array<ArrayBuffer>> {
  return new File(uri).bytes();
}

/** An address for bytes, as long as they are needed. */
export async function temporaryUri(bytes: Uint8Array<ArrayBuffer>, type: string): Promise<{uri: string; release(): void}> {
  const file = new File(Paths.cache, `${newId()}.${type.split('/')[1] ?? 'bin'}`);
  file.create();
  file.write(bytes);
  return {
    uri: file.uri,
    release: () => {
      if (file.exists) file.delete();
    },
  };
}

export async function share(bytes: Uint8Array<ArrayBuffer>, type: string, name: string): Promise<void> {
  const file = new File(Paths.cache, name);
  if (file.exists) file.delete();
  file.create();
  file.write(bytes);
  await Sharing.shareAsync(file.uri, {mimeType: type});
}

/** Into a folder the person picks; iOS has that in its share sheet. */
export async function save(bytes: Uint8Array<ArrayBuffer>, type: string, name: string): Promise<void> {
  if (Platform.OS === 'ios') return share(bytes, type, name);
  const folder = await Directory.pickDirectoryAsync();
  folder.createFile(name, type).write(bytes);
}

/** A file that is made piece by piece; where it goes as with `save`. */
export async function saveMade(type: string, name: string, make: (write: Sink) => Promise<void>): Promise<void> {
  // Asked for first: whoever changes their mind waits for nothing.
  const folder = Platform.OS === 'ios' ? Paths.cache : await Directory.pickDirectoryAsync().catch(() => null);
  if (folder === null) return;
  if (Platform.OS === 'ios') {
    const old = new File(folder, name);
    if (old.exists) old.delete();
  }
  const file = folder.createFile(name, type);
  const handle = file.open(FileMode.WriteOnly);
  try {
    await make((piece) => handle.writeBytes(piece));
  } finally {
    handle.close();
  }
  if (Platform.OS === 'ios') await Sharing.shareAsync(file.uri, {mimeType: type});
}

export async function copyText(text: string): Promise<void> {
  await Clipboard.setStringAsync(text);
}
