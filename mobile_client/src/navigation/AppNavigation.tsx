import {createBottomTabNavigator} from '@react-navigation/bottom-tabs';
import {DarkTheme, DefaultTheme, type LinkingOptions, NavigationContainer, useNavigation} from '@react-navigation/native';
import {createNativeStackNavigator} from '@react-navigation/native-stack';
import {type ComponentType, useMemo} from 'react';
import {Platform, useWindowDimensions, View} from 'react-native';
import {useSafeAreaInsets} from 'react-native-safe-area-context';

import {ErrorBoundary} from '../components/ErrorBoundary';
import {Icon, type IconName} from '../components/Icon';
import {OfflineBanner} from '../components/OfflineBanner';
import {useServices, useSettings, useStore} from '../hooks/useServices';
import {useIsRightToLeft, useText} from '../i18n';
import {ChatScreen} from '../screens/ChatScreen';
import {EmbeddingsScreen} from '../screens/EmbeddingsScreen';
import {GalleryScreen} from '../screens/GalleryScreen';
import {HomeScreen} from '../screens/HomeScreen';
import {ImageEditingScreen} from '../screens/ImageEditingScreen';
import {ImageGenerationScreen} from '../screens/ImageGenerationScreen';
import {ItemScreen} from '../screens/ItemScreen';
import {QueueScreen} from '../screens/QueueScreen';
import {SearchScreen} from '../screens/SearchScreen';
import {ServerScreen} from '../screens/ServerScreen';
import {SettingsScreen} from '../screens/SettingsScreen';
import {STTScreen} from '../screens/STTScreen';
import {TTSScreen} from '../screens/TTSScreen';
import {WelcomeScreen} from '../screens/WelcomeScreen';
import {font, space, tabsWidth} from '../theme/tokens';
import {useIsWide, useTheme} from '../theme/ThemeContext';
import {linkScheme} from '../utils/constants';
import type {Routes, Tabs} from './routes';

const Stack = createNativeStackNavigator<Routes>();
const Tab = createBottomTabNavigator<Tabs>();

/** Each screen in a boundary of its own, under the banner that says whether the backend is there. */
function framed(Screen: ComponentType) {
  return function Framed() {
    const navigation = useNavigation();
    const {log} = useServices();
    return (
      <View style={{flex: 1}}>
        <OfflineBanner />
        <ErrorBoundary
          onLeave={() => navigation.navigate('Tabs', {screen: 'Home'})}
          onError={(error) =>
            log.update((lines) => [{at: Date.now(), method: 'APP', path: error.name, status: error.message, durationMs: 0, requestId: null}, ...lines])
          }>
          <Screen />
        </ErrorBoundary>
      </View>
    );
  };
}

const screens = {
  Home: framed(HomeScreen),
  Chat: framed(ChatScreen),
  Gallery: framed(GalleryScreen),
  Queue: framed(QueueScreen),
  Settings: framed(SettingsScreen),
  ImageGeneration: framed(ImageGenerationScreen),
  ImageEditing: framed(ImageEditingScreen),
  TTS: framed(TTSScreen),
  STT: framed(STTScreen),
  Embeddings: framed(EmbeddingsScreen),
  Search: framed(SearchScreen),
  Item: framed(ItemScreen),
  Server: framed(ServerScreen),
};

const tabs: {name: keyof Tabs; icon: IconName; title: 'home' | 'chat' | 'gallery' | 'queue' | 'settings'}[] = [
  {name: 'Home', icon: 'home', title: 'home'},
  {name: 'Chat', icon: 'chat', title: 'chat'},
  {name: 'Gallery', icon: 'gallery', title: 'gallery'},
  {name: 'Queue', icon: 'queue', title: 'queue'},
  {name: 'Settings', icon: 'settings', title: 'settings'},
];

function TabScreens() {
  const t = useText();
  const {colors} = useTheme();
  const isWide = useIsWide();
  const insets = useSafeAreaInsets();
  const {fontScale} = useWindowDimensions();
  const {outbox} = useServices();
  const open = useStore(outbox.jobs).filter((job) => job.state !== 'done').length;
  return (
    <Tab.Navigator
      screenOptions={{
        tabBarPosition: isWide ? 'left' : 'bottom',
        tabBarVariant: isWide ? 'material' : 'uikit',
        tabBarActiveTintColor: colors.accent,
        tabBarInactiveTintColor: colors.quiet,
        // Letters below the line need the room that the system's own font does not ask for.
        tabBarLabelStyle: isWide ? {fontSize: font.body} : {fontSize: font.small - 3, lineHeight: font.small + 2},
        tabBarStyle: isWide ? {width: tabsWidth, minWidth: 0} : {height: (space.vast + font.small + space.large) * Math.min(fontScale, 1.5) + insets.bottom},
        headerTitleStyle: {color: colors.text},
      }}>
      {tabs.map(({name, icon, title}) => (
        <Tab.Screen
          key={name}
          name={name}
          component={screens[name]}
          options={{
            title: t(title),
            // A screen may change its title; its tab keeps its name.
            tabBarLabel: t(title === 'settings' && !isWide ? 'settingsTab' : title),
            tabBarIcon: ({color}) => <Icon name={icon} color={color} />,
            ...(name === 'Queue' && open > 0 && {tabBarBadge: open, tabBarBadgeStyle: {backgroundColor: colors.danger, color: colors.onDanger}}),
          }}
        />
      ))}
    </Tab.Navigator>
  );
}

/** The same letters in titles as everywhere else. */
const family = '-apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, Helvetica, Arial, sans-serif';
const webFonts = {
  regular: {fontFamily: family, fontWeight: '400'},
  medium: {fontFamily: family, fontWeight: '600'},
  bold: {fontFamily: family, fontWeight: '700'},
  heavy: {fontFamily: family, fontWeight: '800'},
} as const;

/** Where the web build is served; the addresses of the screens stand behind it. */
const base = (process.env.EXPO_BASE_URL ?? '').replace(/^\/|\/$/g, '');

const linking: LinkingOptions<Routes> = {
  prefixes: [`${linkScheme}://`],
  config: {
    ...(base !== '' && {path: base}),
    initialRouteName: 'Tabs',
    screens: {
      Tabs: {screens: {Home: '', Chat: 'chat', Gallery: 'gallery', Queue: 'queue', Settings: 'settings'}},
      ImageGeneration: 'image',
      ImageEditing: 'edit-image',
      TTS: 'tts',
      STT: 'stt',
      Embeddings: 'embedding',
      Search: 'search',
      Item: 'item/:id',
      Server: 'server',
    },
  },
};

export function AppNavigation() {
  const t = useText();
  const {colors, isDark} = useTheme();
  const rightToLeft = useIsRightToLeft();
  const {welcomed} = useSettings();
  const theme = useMemo(() => {
    const like = isDark ? DarkTheme : DefaultTheme;
    return {
      ...like,
      ...(Platform.OS === 'web' && {fonts: webFonts}),
      colors: {
        ...like.colors,
        primary: colors.accent,
        background: colors.ground,
        card: colors.surface,
        text: colors.text,
        border: colors.line,
        notification: colors.danger,
      },
    };
  }, [colors, isDark]);

  if (!welcomed) return <WelcomeScreen />;
  return (
    <NavigationContainer direction={rightToLeft ? 'rtl' : 'ltr'} theme={theme} linking={linking} documentTitle={{formatter: (options) => `${options?.title ?? ''} · Hybrid AI`}}>
      <Stack.Navigator screenOptions={{headerTintColor: colors.text, headerBackTitle: t('back')}}>
        <Stack.Screen name="Tabs" component={TabScreens} options={{headerShown: false, title: t('home')}} />
        <Stack.Screen name="ImageGeneration" component={screens.ImageGeneration} options={{title: t('imageGeneration')}} />
        <Stack.Screen name="ImageEditing" component={screens.ImageEditing} options={{title: t('imageEditing')}} />
        <Stack.Screen name="TTS" component={screens.TTS} options={{title: t('tts')}} />
        <Stack.Screen name="STT" component={screens.STT} options={{title: t('stt')}} />
        <Stack.Screen name="Embeddings" component={screens.Embeddings} options={{title: t('embeddings')}} />
        <Stack.Screen name="Search" component={screens.Search} options={{title: t('search')}} />
        <Stack.Screen name="Item" component={screens.Item} options={{title: t('picture')}} />
        <Stack.Screen name="Server" component={screens.Server} options={{title: t('server')}} />
      </Stack.Navigator>
    </NavigationContainer>
  );
}
