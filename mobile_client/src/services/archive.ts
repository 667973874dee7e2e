import {concat, utf8} from '../utils/bytes';
import {crc32} from '../utils/crc';

/** Where the pieces of a file go, in order. */
export type Sink = (piece: Uint8Array<ArrayBuffer>) => void;

/** Where counts and sizes of the format's first version end; the one for more is not worth its code here. */
const most = {files: 0xffff, bytes: 0xffff_ffff};

/**
 * A ZIP file, written piece by piece: one picture is in memory, never all of them. Nothing is compressed, because pictures
 * and sound already are.
 */
export function createArchive(write: Sink) {
  const entries: Uint8Array<ArrayBuffer>[] = [];
  let at = 0;

  const put = (piece: Uint8Array<ArrayBuffer>) => {
    write(piece);
    at += piece.length;
  };

  return {
    add(name: string, bytes: Uint8Array<ArrayBuffer>, when: Date): void {
      if (entries.length === most.files || at + bytes.length > most.bytes) throw new Error('more than an archive holds');
      const path = utf8(name);
      // What the head of a file and its line in the list have in common: version 2.0, names in UTF-8, stored.
      const common = numbers(
        [20, 2], [0x0800, 2], [0, 2], [dosTime(when), 2], [dosDate(when), 2],
        [crc32(bytes), 4], [bytes.length, 4], [bytes.length, 4], [path.length, 2], [0, 2],
      );
      entries.push(concat([numbers([0x02014b50, 4], [20, 2]), common, numbers([0, 2], [0, 2], [0, 2], [0, 4], [at, 4]), path]));
      put(concat([numbers([0x04034b50, 4]), common, path]));
      put(bytes);
    },

    end(): void {
      const start = at;
      for (const entry of entries) put(entry);
      const count = entries.length;
      put(numbers([0x06054b50, 4], [0, 2], [0, 2], [count, 2], [count, 2], [at - start, 4], [start, 4], [0, 2]));
    },
  };
}

/** Little-endian numbers, each with its width in bytes. */
function numbers(...all: readonly (readonly [value: number, width: 2 | 4])[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(all.reduce((sum, [, width]) => sum + width, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const [value, width] of all) {
    if (width === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += width;
  }
  return out;
}

/** The format counts in steps of two seconds, and from 1980. */
const dosTime = (when: Date) => (when.getHours() << 11) | (when.getMinutes() << 5) | (when.getSeconds() >> 1);
const dosDate = (when: Date) => (Math.max(0, when.getFullYear() - 1980) << 9) | ((when.getMonth() + 1) << 5) | when.getDate();
