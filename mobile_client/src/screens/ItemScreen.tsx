import {type RouteProp, useNavigation, useRoute} from '@react-navigation/native';
import {useState} from 'react';
import {View} from 'react-native';

import {Button} from '../components/Button';
import {Card, Columns, Row, Screen} from '../components/Layout';
import {LibraryPicture} from '../components/LibraryPicture';
import {Empty} from '../components/LoadingIndicator';
import {Confirm} from '../components/Sheet';
import {StandIn} from '../components/StandIn';
import {Words} from '../components/Words';
import {useServices, useStore} from '../hooks/useServices';
import {useLocale, useText} from '../i18n';
import type {Key} from '../i18n/en';
import type {Routes} from '../navigation/routes';
import {copyText, save, share} from '../services/files';
import {space} from '../theme/tokens';
import {formatBytes, inOneLine} from '../utils/helpers';

const shown: [string, Key][] = [
  ['negative_prompt', 'negativePrompt'],
  ['seed', 'seed'],
  ['strength', 'strength'],
];

export function ItemScreen() {
  const t = useText();
  const language = useLocale();
  const navigation = useNavigation();
  const {params} = useRoute<RouteProp<Routes, 'Item'>>();
  const {library} = useServices();
  const item = useStore(library.items).find((one) => one.id === params.id);
  const [asking, setAsking] = useState(false);
  const [copied, setCopied] = useState(false);
  if (item === undefined) {
    return (
      <Screen>
        <Empty text={t('pictureGone')}>
          <Button label={t('gallery')} onPress={() => navigation.navigate('Tabs', {screen: 'Gallery'})} />
        </Empty>
      </Screen>
    );
  }
  const out = async (how: typeof share) => {
    const file = await library.read(item.id);
    if (file !== null) await how(file.bytes, file.type, `picture-${item.id}.png`);
  };
  return (
    <Screen broad>
      <Columns
        first={<LibraryPicture id={item.id} label={item.title} aspect={(item.width ?? 1) / (item.height ?? 1)} />}
        second={
          <Card>
            {item.placeholder && <StandIn />}
            <Words selectable>{item.title}</Words>
            <View style={{gap: space.hair}}>
              {shown.map(([field, label]) =>
                item.about[field] === undefined ? null : <Words key={field} look="small">{`${t(label)}: ${item.about[field]}`}</Words>,
              )}
              <Words look="small">
                {inOneLine([item.model, item.width !== undefined && t('pixels', {width: item.width, height: item.height ?? 0}), formatBytes(item.size), new Date(item.createdAt).toLocaleString(language)])}
              </Words>
            </View>
            <Row>
              <Button look="main" icon="edit" label={t('useInEditor')} onPress={() => navigation.navigate('ImageEditing', {itemId: item.id})} />
              <Button icon="image" label={t('promptAgain')} onPress={() => navigation.navigate('ImageGeneration', {prompt: item.title})} />
              <Button icon="star" label={item.favourite ? t('notFavourite') : t('favourite')} onPress={() => void library.set(item.id, {favourite: !item.favourite})} />
              <Button icon={copied ? 'check' : 'copy'} label={copied ? t('copied') : t('copyPrompt')} onPress={() => void copyText(item.title).then(() => setCopied(true))} />
              <Button icon="share" label={t('share')} onPress={() => void out(share)} />
              <Button icon="save" label={t('saveFile')} onPress={() => void out(save)} />
              <Button look="danger" icon="trash" label={t('delete')} onPress={() => setAsking(true)} />
            </Row>
          </Card>
        }
      />
      <Confirm
        open={asking}
        title={t('delete')}
        text={t('deletePictures', {n: 1})}
        action={t('delete')}
        onClose={() => setAsking(false)}
        onYes={() => {
          navigation.goBack();
          void library.remove([item.id]);
        }}
      />
    </Screen>
  );
}
