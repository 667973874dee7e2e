jest.mock('@react-native-async-storage/async-storage', () =>
  jest.requireActual('@react-native-async-storage/async-storage/jest/async-storage-mock'),
);

/** No sound comes out of tests: a player that does as told, at once. */
jest.mock('expo-audio', () => {
  const player = () => ({
    playing: false, currentTime: 0, duration: 2,
    play() {}, pause() {}, remove() {}, seekTo: async () => undefined, setPlaybackRate() {}, addListener: () => ({remove() {}}),
  });
  return {
    useAudioPlayer: player,
    useAudioPlayerStatus: () => ({playing: false, currentTime: 0, duration: 2, didJustFinish: false}),
    createAudioPlayer: player,
    requestRecordingPermissionsAsync: async () => ({granted: false}),
    setAudioModeAsync: async () => undefined,
    AudioModule: {},
  };
});

// Otherwise nothing is shown until a real screen has told its edges.
jest.mock('react-native-safe-area-context', () => jest.requireActual('react-native-safe-area-context/jest/mock').default);
