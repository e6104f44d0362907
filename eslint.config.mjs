import tseslint from 'typescript-eslint'

const outside = { message: 'libs/rates imports nothing outside itself.' }

export default tseslint.config(
  { ignores: ['**/dist/**', '**/coverage/**', '.nx/**', '.rates/**', '**/*.mjs'] },
  {
    files: ['**/*.{ts,tsx}'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: {
        project: ['./tsconfig.json', './libs/page/tsconfig.json', './libs/page/tsconfig.jest.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    plugins: { '@typescript-eslint': tseslint.plugin },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: Object.fromEntries(
      [
        ...[
          'no-floating-promises',
          'no-misused-promises',
          'await-thenable',
          'no-explicit-any',
          'switch-exhaustiveness-check',
          'only-throw-error',
          'no-unused-vars',
        ].map((rule) => [rule, 'error']),
        ['return-await', ['error', 'in-try-catch']],
        ['consistent-type-imports', ['error', { fixStyle: 'inline-type-imports' }]],
      ].map(([rule, setting]) => [`@typescript-eslint/${rule}`, setting]),
    ),
  },
  {
    files: ['libs/rates/src/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { regex: '^(?!\\.{1,2}/)', ...outside },
            { regex: '\\.\\./\\.\\./', ...outside },
          ],
        },
      ],
    },
  },
  {
    files: ['libs/service/src/**/*.ts'],
    ignores: ['libs/service/src/nest/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [{ regex: '^@nestjs/|services/', message: 'Nest lives in services and in libs/service/src/nest.' }],
        },
      ],
    },
  },
  {
    files: ['**/*.ts'],
    ignores: ['libs/service/src/kafka*.ts', '**/*.test.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: "ImportDeclaration[source.value='kafkajs']",
          message: 'kafkajs stays behind libs/service/src/kafka*.ts.',
        },
      ],
    },
  },
)
