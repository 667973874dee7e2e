import {createContext, type ReactNode, useContext, useSyncExternalStore} from 'react';

import type {Services} from '../services/app';
import type {Store} from '../services/store';

const ServicesContext = createContext<Services | null>(null);

export function ServicesProvider({services, children}: {services: Services; children: ReactNode}) {
  return <ServicesContext.Provider value={services}>{children}</ServicesContext.Provider>;
}

export function useServices(): Services {
  const services = useContext(ServicesContext);
  if (services === null) throw new Error('a screen stands outside of ServicesProvider');
  return services;
}

export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.get, store.get);
}

export function useSettings() {
  return useStore(useServices().settings.store);
}
