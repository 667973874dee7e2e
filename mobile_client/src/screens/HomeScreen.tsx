import {useNavigation} from '@react-navigation/native';
import {Pressable, useWindowDimensions, View} from 'react-native';

import {Button} from '../components/Button';
import {Icon, type IconName} from '../components/Icon';
import {Row, Screen} from '../components/Layout';
import {LibraryPicture} from '../components/LibraryPicture';
import {Words} from '../components/Words';
import {useServices, useSettings, useStore} from '../hooks/useServices';
import {useText} from '../i18n';
import type {Key} from '../i18n/en';
import {radius, space} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {inOneLine} from '../utils/helpers';

type Feature = {icon: IconName; title: Key; text: Key; to: 'ImageGeneration' | 'ImageEditing' | 'TTS' | 'STT' | 'Chat' | 'Embeddings' | 'Search'};
const features: Feature[] = [
  {icon: 'chat', title: 'chat', text: 'chatAbout', to: 'Chat'},
  {icon: 'image', title: 'imageGeneration', text: 'imageAbout', to: 'ImageGeneration'},
  {icon: 'edit', title: 'imageEditing', text: 'editAbout', to: 'ImageEditing'},
  {icon: 'speak', title: 'tts', text: 'ttsAbout', to: 'TTS'},
  {icon: 'mic', title: 'stt', text: 'sttAbout', to: 'STT'},
  {icon: 'map', title: 'embeddings', text: 'embeddingsAbout', to: 'Embeddings'},
  {icon: 'search', title: 'search', text: 'searchAbout', to: 'Search'},
];

/** A tile needs this much for its words and its share of the edges. */
const tile = 300;

export function HomeScreen() {
  const t = useText();
  const navigation = useNavigation();
  const {colors} = useTheme();
  const {settings, reachability, library} = useServices();
  const items = useStore(library.items);
  useSettings();
  const reach = useStore(reachability.reach);
  const {width} = useWindowDimensions();
  const columns = Math.max(1, Math.min(3, Math.floor(width / tile)));
  const server = settings.current();
  const pictures = items.filter((item) => item.type.startsWith('image/')).slice(0, 4);
  const state = {unknown: t('checking'), reachable: t('connected'), unreachable: t('notConnected')}[reach.state];

  const go = (to: Feature['to']) => {
    if (to === 'Chat') navigation.navigate('Tabs', {screen: 'Chat'});
    else navigation.navigate(to);
  };

  return (
    <Screen broad>
      <View style={{gap: space.tiny}}>
        <Words look="huge">{t('homeTitle')}</Words>
        <Row>
          <Icon name="server" color={colors.quiet} size={18} />
          <Words look="quiet" style={{flexShrink: 1}}>
            {server === null ? t('noServer') : inOneLine([server.name, state])}
          </Words>
          {server === null && <Button look="plain" label={t('addServer')} onPress={() => navigation.navigate('Server')} />}
        </Row>
      </View>
      <View style={{flexDirection: 'row', flexWrap: 'wrap', margin: -space.small}}>
        {features.map((feature, index) => {
          // One that would stand alone in the last line has the whole of it.
          const isAlone = columns > 1 && index === features.length - 1 && index % columns === 0;
          const isLine = columns === 1 || isAlone;
          return (
          <View key={feature.to} style={{width: isAlone ? '100%' : `${100 / columns}%`, padding: space.small}}>
            <Pressable
              role="link"
              onPress={() => go(feature.to)}
              style={({pressed}) => ({
                flexGrow: 1,
                padding: space.large,
                gap: space.medium,
                flexDirection: isLine ? 'row' : 'column',
                alignItems: isLine ? 'center' : 'flex-start',
                borderRadius: radius.large,
                backgroundColor: pressed ? colors.raised : colors.surface,
                borderWidth: 1,
                borderColor: colors.line,
              })}>
              <View style={{padding: space.small, borderRadius: radius.medium, backgroundColor: colors.accentSoft}}>
                <Icon name={feature.icon} color={colors.onAccentSoft} size={26} />
              </View>
              <View style={{flexShrink: 1, gap: space.hair}}>
                <Words look="large">{t(feature.title)}</Words>
                <Words look="small">{t(feature.text)}</Words>
              </View>
            </Pressable>
          </View>
          );
        })}
      </View>
      {pictures.length > 0 && (
        <View style={{gap: space.small}}>
          <Words look="title">{t('recentPictures')}</Words>
          <View style={{flexDirection: 'row', gap: space.small}}>
            {pictures.map((item) => (
              <Pressable key={item.id} role="link" accessibilityLabel={item.title} style={{flex: 1, maxWidth: tile}} onPress={() => navigation.navigate('Item', {id: item.id})}>
                <LibraryPicture id={item.id} label="" small />
              </Pressable>
            ))}
          </View>
        </View>
      )}
    </Screen>
  );
}
