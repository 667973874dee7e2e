// The files of a ZIP file in which nothing is compressed, by name.
export function filesOf(zip) {
  const files = new Map();
  const end = zip.length - 22;
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const size = zip.readUInt32LE(at + 24);
    const length = zip.readUInt16LE(at + 28);
    const start = zip.readUInt32LE(at + 42) + 30 + length;
    files.set(zip.toString('utf8', at + 46, at + 46 + length), zip.subarray(start, start + size));
    at += 46 + length;
  }
  return files;
}
