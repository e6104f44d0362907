import { readFileSync } from 'node:fs'

const swc = JSON.parse(readFileSync(new URL('.swcrc', import.meta.url), 'utf8'))
swc.jsc.rewriteRelativeImportExtensions = false // Jest reads the sources

const shared = {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  modulePathIgnorePatterns: ['/dist/', '/.nx/', '/.rates/'],
  transform: { '^.+\\.ts$': ['@swc/jest', { ...swc, swcrc: false, sourceMaps: 'inline' }] },
}
const sources = '<rootDir>/{libs,services}/*/src/**'
const servers = {
  globalSetup: '<rootDir>/libs/testing/jest-setup.mjs',
  globalTeardown: '<rootDir>/libs/testing/jest-teardown.mjs',
}

export default {
  coverageProvider: 'v8',
  collectCoverageFrom: [
    '{libs,services}/*/src/**/*.ts',
    'db/src/**/*.ts',
    'scripts/src/**/*.ts',
    '!**/*.test.ts',
    '!**/main.ts',
  ],
  maxWorkers: 2,
  ...(process.env.RATES_FAILED_FILES && { reporters: ['default', '<rootDir>/.ci/failed-files.mjs'] }),
  testTimeout: 120_000,
  projects: [
    {
      ...shared,
      displayName: 'unit',
      testMatch: [
        `${sources}/*.test.ts`,
        '<rootDir>/{db,scripts,k8s/monitoring,test/charts,test/cluster}/src/**/*.test.ts',
      ],
      testPathIgnorePatterns: ['\\.(integration|e2e|charts|cluster)\\.test\\.ts$'],
    },
    {
      ...shared,
      ...servers,
      displayName: 'integration',
      testMatch: [`${sources}/*.integration.test.ts`, '<rootDir>/{db,scripts}/src/**/*.integration.test.ts'],
    },
    // Whole processes, killed, drained and restarted, a real object store, and what would take `npm test` past its five
    // minutes; each stands where what it is about does.
    {
      ...shared,
      ...servers,
      displayName: 'e2e',
      testMatch: [`${sources}/*.e2e.test.ts`, '<rootDir>/{scripts,test/e2e}/src/**/*.e2e.test.ts'],
    },
    // They need helm, promtool and other programs, which test/charts finds, builds, or says to be missing.
    { ...shared, displayName: 'charts', testMatch: ['<rootDir>/{test/charts,k8s/monitoring}/src/**/*.charts.test.ts'] },
    // They need a cluster, by KUBECONFIG.
    { ...shared, displayName: 'cluster', testMatch: ['<rootDir>/test/cluster/src/**/*.cluster.test.ts'] },
  ],
}
