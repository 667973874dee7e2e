const expo = require('eslint-config-expo/flat');

module.exports = [
  ...expo,
  {ignores: ['dist/**', 'node_modules/**', 'android/**', 'ios/**', 'test-output/**', 'public/**']},
  {
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      'no-console': 'error',
    },
  },
  {
    // Scripts of Node, not of the app: printing is what they are for.
    files: ['tests/walk/**', 'scripts/**'],
    rules: {'no-console': 'off'},
  },
];
