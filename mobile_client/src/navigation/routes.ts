import type {NavigatorScreenParams} from '@react-navigation/native';

export type Tabs = {
  Home: undefined;
  Chat: {id?: string} | undefined;
  Gallery: undefined;
  Queue: undefined;
  Settings: undefined;
};

export type Routes = {
  Tabs: NavigatorScreenParams<Tabs> | undefined;
  ImageGeneration: {prompt?: string} | undefined;
  ImageEditing: {itemId?: string} | undefined;
  TTS: {text?: string} | undefined;
  STT: undefined;
  Embeddings: undefined;
  Search: undefined;
  Item: {id: string};
  Server: {id?: string; url?: string; token?: string; name?: string} | undefined;
};

declare global {
  // React Navigation reads its types from here.
  namespace ReactNavigation {
    // eslint-disable-next-line @typescript-eslint/no-empty-object-type
    interface RootParamList extends Routes {}
  }
}
