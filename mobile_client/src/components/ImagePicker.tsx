import * as Picker from 'expo-image-picker';
import {useState} from 'react';
import {Image, Platform, View} from 'react-native';

import {useServices, useStore} from '../hooks/useServices';
import {useText} from '../i18n';
import type {Picture} from '../services/calls';
import {prepareBytes, preparePicture} from '../services/pictures';
import {radius, space} from '../theme/tokens';
import {Button} from './Button';
import {Row} from './Layout';
import {LoadingIndicator} from './LoadingIndicator';
import {Notice} from './Notice';
import {PictureGrid} from './PictureGrid';
import {Sheet} from './Sheet';
import {Words} from './Words';

export type Picked = Picture & {uri: string};

/** Takes a picture from the device, the camera or the gallery, makes it ready to send and shows it. */
export function ImagePicker({picked, onPick, preview = true}: {picked: Picked | null; onPick: (picture: Picked) => void; preview?: boolean}) {
  const t = useText();
  const services = useServices();
  const items = useStore(services.library.items);
  const [state, setState] = useState<'idle' | 'broken' | 'denied' | {since: number}>('idle');
  const [gallery, setGallery] = useState(false);
  const pictures = items.filter((item) => item.type.startsWith('image/'));

  async function take(make: () => Promise<{picture: Picture; uri: string} | null>) {
    setState({since: Date.now()});
    try {
      const made = await make();
      setState('idle');
      if (made !== null) onPick({...made.picture, uri: made.uri});
    } catch {
      setState('broken');
    }
  }

  const fromDevice = () =>
    take(async () => {
      // The system's own picker: it needs no permission, and we see only what is picked.
      const result = await Picker.launchImageLibraryAsync({mediaTypes: ['images'], quality: 1});
      const asset = result.canceled ? undefined : result.assets[0];
      return asset === undefined ? null : {picture: await preparePicture(asset.uri), uri: asset.uri};
    });

  const fromCamera = async () => {
    const permission = await Picker.requestCameraPermissionsAsync();
    if (!permission.granted) return setState('denied');
    return take(async () => {
      const result = await Picker.launchCameraAsync({mediaTypes: ['images'], quality: 1});
      const asset = result.canceled ? undefined : result.assets[0];
      return asset === undefined ? null : {picture: await preparePicture(asset.uri), uri: asset.uri};
    });
  };

  const fromGallery = (id: string) => {
    setGallery(false);
    void take(async () => {
      const file = await services.library.read(id);
      const uri = await services.library.uri(id);
      return file === null || uri === null ? null : {picture: await prepareBytes(file.bytes, file.type), uri};
    });
  };

  return (
    <View style={{gap: space.medium}}>
      <Row>
        <Button testID="pick-picture" icon="image" label={picked === null ? t('choosePicture') : t('otherPicture')} onPress={() => void fromDevice()} />
        {Platform.OS !== 'web' && <Button icon="plus" label={t('takePhoto')} onPress={() => void fromCamera()} />}
        {pictures.length > 0 && <Button icon="gallery" label={t('fromGallery')} onPress={() => setGallery(true)} />}
      </Row>
      {typeof state === 'object' && <LoadingIndicator label={t('preparingPicture')} since={state.since} />}
      {state === 'broken' && <Notice look="danger" title={t('pictureBroken')} text={t('pictureBrokenAdvice')} />}
      {state === 'denied' && <Notice look="warn" title={t('cameraDenied')} text={t('cameraDeniedAdvice')} />}
      {preview && picked !== null && (
        <View style={{gap: space.tiny}}>
          <Image
            source={{uri: picked.uri}}
            accessibilityLabel={t('chosenPicture')}
            resizeMode="contain"
            style={{width: '100%', aspectRatio: picked.width / picked.height, maxHeight: previewHeight, borderRadius: radius.medium}}
          />
          <Words look="small">{t('pixels', {width: picked.width, height: picked.height})}</Words>
        </View>
      )}
      <Sheet open={gallery} title={t('gallery')} onClose={() => setGallery(false)}>
        <PictureGrid items={pictures} onPress={(item) => fromGallery(item.id)} scrolls={false} />
      </Sheet>
    </View>
  );
}

/** Enough to recognise it; the screen below must stay in reach. */
const previewHeight = 320;
