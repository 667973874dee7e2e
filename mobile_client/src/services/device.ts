import AsyncStorage from '@react-native-async-storage/async-storage';
import {Directory, File, Paths} from 'expo-file-system';
import * as SecureStore from 'expo-secure-store';

import {endingOf, typeOf} from '../utils/bytes';
import type {Blobs, KeyValue, Storage} from './storage';

/** Storage on iOS and Android. `device.web.ts` is the browser's. */
export function deviceStorage(): Storage {
  return {
    values: asyncStorage('v1:'),
    secrets,
    media: files(new Directory(Paths.document, 'media')),
    outbox: files(new Directory(Paths.document, 'outbox')),
    // The system may empty this folder when space is short; that is what it is for.
    cache: files(new Directory(Paths.cache, 'answers')),
  };
}

export function asyncStorage(prefix: string): KeyValue {
  return {
    get: (name) => AsyncStorage.getItem(prefix + name),
    set: (name, value) => AsyncStorage.setItem(prefix + name, value),
    remove: (name) => AsyncStorage.removeItem(prefix + name),
    names: async () =>
      (await AsyncStorage.getAllKeys()).filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length)),
  };
}

const secrets: KeyValue = {
  get: (name) => SecureStore.getItemAsync(name),
  set: (name, value) => SecureStore.setItemAsync(name, value),
  remove: (name) => SecureStore.deleteItemAsync(name),
  // The keychain cannot be listed; whoever stores a secret knows its name.
  names: async () => [],
};

function files(directory: Directory): Blobs {
  let known: Map<string, File> | null = null;
  // Listed once: a gallery asks for hundreds of names.
  const all = (): Map<string, File> => {
    if (known !== null) return known;
    if (!directory.exists) directory.create({intermediates: true, idempotent: true});
    known = new Map();
    for (const entry of directory.list()) {
      if (!(entry instanceof File)) continue;
      // Left by a crash in the middle of writing.
      if (entry.extension === '.part') entry.delete();
      else known.set(entry.name.replace(/\.[^.]*$/, ''), entry);
    }
    return known;
  };
  const get = (name: string): File | null => {
    const file = all().get(name);
    return file?.exists ? file : null;
  };
  return {
    async write(name, bytes, type) {
      const old = get(name);
      // Written beside and then renamed: a file that has its name is whole.
      const part = new File(directory, `${name}.part`);
      if (part.exists) part.delete();
      part.create();
      part.write(bytes);
      const target = new File(directory, `${name}.${endingOf(type)}`);
      if (old?.exists) old.delete();
      await part.move(target);
      all().set(name, target);
    },
    async read(name) {
      const file = get(name);
      if (file === null) return null;
      return {bytes: await file.bytes(), type: typeOf(file.extension)};
    },
    async remove(name) {
      get(name)?.delete();
      all().delete(name);
    },
    async names() {
      return [...all().keys()];
    },
    async uri(name) {
      const file = get(name);
      return file === null ? null : file.uri;
    },
  };
}
