const expo = require('eslint-config-expo/flat');

module.exports = [
  ...expo,
  {ignores: ['dist/**', 'node_modules/**', 'android/**', 'ios/**', 'test-output/**', 'public/**']},
  {rules: {'no-console': 'error'}},
  {files: ['**/*.ts', '**/*.tsx'], rules: {'@typescript-eslint/no-explicit-any': 'error'}},
  // Scripts of Node, not of the app: printing is what they are for.
  {
    files: ['tests/walk/**', 'scripts/**'],
    rules: {'no-console': 'off'},
    languageOptions: {globals: {Buffer: 'readonly', process: 'readonly', document: 'readonly', window: 'readonly', performance: 'readonly'}},
  },
];
