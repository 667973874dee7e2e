import {fetch as expoFetch} from 'expo/fetch';
import {StatusBar} from 'expo-status-bar';
import {useEffect, useState} from 'react';
import {AppState, Linking, Platform} from 'react-native';
import {initialWindowMetrics, SafeAreaProvider} from 'react-native-safe-area-context';

import {ErrorBoundary} from './src/components/ErrorBoundary';
import {ServicesProvider, useStore} from './src/hooks/useServices';
import {TextProvider} from './src/i18n';
import {AppNavigation} from './src/navigation/AppNavigation';
import {createServices, type Services} from './src/services/app';
import {deviceStorage} from './src/services/device';
import {keepAppOffline} from './src/services/offline';
import {thumbnail} from './src/services/pictures';
import {serverOfLink} from './src/services/settings';
import {ThemeProvider, useTheme} from './src/theme/ThemeContext';

const isWeb = Platform.OS === 'web';

function makeServices(): Services {
  return createServices({
    storage: deviceStorage(),
    fetch: isWeb ? globalThis.fetch.bind(globalThis) : (expoFetch as unknown as typeof globalThis.fetch),
    // The backend serves the web build itself, so the page's own address is the first guess.
    home: isWeb ? window.location.origin : null,
    shrink: thumbnail,
    // One window of several empties the outbox; the others find it empty.
    ...(isWeb && 'locks' in navigator && {
      alone: async (work: () => Promise<void>) => {
        await navigator.locks.request('hybrid-ai-outbox', {ifAvailable: true}, async (lock) => {
          if (lock !== null) await work();
        });
      },
    }),
  });
}

export default function App({services: given}: {services?: Services}) {
  const [services] = useState(() => given ?? makeServices());
  const [ready, setReady] = useState(false);

  useEffect(() => {
    let gone = false;
    void services.open().finally(() => {
      if (!gone) setReady(true);
      services.reachability.start();
    });
    keepAppOffline();
    const ask = () => void services.reachability.look();
    const front = AppState.addEventListener('change', (state) => {
      if (state === 'active') ask();
    });
    if (isWeb) {
      window.addEventListener('online', ask);
      window.addEventListener('offline', ask);
    }
    return () => {
      gone = true;
      services.reachability.stop();
      front.remove();
      if (isWeb) {
        window.removeEventListener('online', ask);
        window.removeEventListener('offline', ask);
      }
    };
  }, [services]);

  if (!ready) return null;
  return (
    <ServicesProvider services={services}>
      <Dressed services={services} />
    </ServicesProvider>
  );
}

function Dressed({services}: {services: Services}) {
  const {theme, language, current} = useStore(services.settings.store);

  // Whatever was known about one server says nothing about another.
  useEffect(() => {
    services.reachability.reset();
  }, [services, current]);

  // A link that sets up a server ends the first steps: the person has said where to go.
  useEffect(() => {
    const take = (url: string | null) => {
      const server = url === null ? null : serverOfLink(url);
      if (server !== null && !services.settings.store.get().welcomed) {
        // The page's own server is there from the start; a link to it names it.
        const known = services.settings.store.get().servers.find((one) => one.address === server.address);
        void services.settings
          .saveServer({...known, name: server.name || server.address, address: server.address, headers: known?.headers ?? {}}, server.token)
          .then(() => services.settings.update({welcomed: true}));
      }
    };
    void Linking.getInitialURL().then(take);
    const links = Linking.addEventListener('url', ({url}) => take(url));
    return () => links.remove();
  }, [services]);

  return (
    <SafeAreaProvider initialMetrics={initialWindowMetrics}>
      <ThemeProvider choice={theme}>
        <TextProvider choice={language}>
          <Bar />
          <ErrorBoundary>
            <AppNavigation />
          </ErrorBoundary>
        </TextProvider>
      </ThemeProvider>
    </SafeAreaProvider>
  );
}

function Bar() {
  const {isDark} = useTheme();
  return <StatusBar style={isDark ? 'light' : 'dark'} />;
}
