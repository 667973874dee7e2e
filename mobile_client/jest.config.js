module.exports = {
  // A busy machine renders slowly; a test that hangs is still ended.
  testTimeout: 60_000,
  preset: 'jest-expo',
  testMatch: ['<rootDir>/tests/**/*.test.ts', '<rootDir>/tests/**/*.test.tsx'],
  setupFiles: ['<rootDir>/tests/setup.ts'],
};
