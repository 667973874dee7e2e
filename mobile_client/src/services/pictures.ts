import {ImageManipulator, SaveFormat} from 'expo-image-manipulator';

import {fromBase64, sniff} from '../utils/bytes';
import {thumbnailSide, uploadSide} from '../utils/constants';
import {fitWithin} from '../utils/helpers';
import type {Picture} from './calls';
import {readUri, temporaryUri} from './files';

/**
 * A picked picture as it is sent: upright, no longer than the server takes, and its size known,
 * because the mask must have exactly that size.
 */
export async function preparePicture(uri: string, side: number = uploadSide): Promise<Picture> {
  const type = sniff(await readUri(uri));
  return render(uri, side, type === 'image/png' ? SaveFormat.PNG : SaveFormat.JPEG);
}

export async function prepareBytes(bytes: Uint8Array<ArrayBuffer>, type: string, side: number = uploadSide): Promise<Picture> {
  const {uri, release} = await temporaryUri(bytes, type);
  try {
    return await render(uri, side, type === 'image/png' ? SaveFormat.PNG : SaveFormat.JPEG);
  } finally {
    release();
  }
}

/** The small version that lists show. */
export async function thumbnail(bytes: Uint8Array<ArrayBuffer>, type: string): Promise<{bytes: Uint8Array<ArrayBuffer>; type: string} | null> {
  const {uri, release} = await temporaryUri(bytes, type);
  try {
    const small = await render(uri, thumbnailSide, SaveFormat.JPEG);
    return {bytes: small.bytes as Uint8Array<ArrayBuffer>, type: small.type};
  } finally {
    release();
  }
}

async function render(uri: string, side: number, format: SaveFormat): Promise<Picture> {
  const whole = await ImageManipulator.manipulate(uri).renderAsync();
  const fit = fitWithin(whole.width, whole.height, side);
  const image = fit.width === whole.width ? whole : await ImageManipulator.manipulate(whole).resize(fit).renderAsync();
  const saved = await image.saveAsync({format, compress: 0.9, base64: true});
  if (saved.base64 === undefined) throw new Error('no picture came out');
  const bytes = fromBase64(saved.base64.replace(/^data:[^,]*,/, ''));
  return {bytes, type: format === SaveFormat.PNG ? 'image/png' : 'image/jpeg', width: saved.width, height: saved.height};
}
