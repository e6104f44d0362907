import { z } from 'zod'
import { databaseSettings, kafkaSettings } from './config.ts'

/** Where a platform is and what is known of it to those who look at it from outside, by loadConfig(). */
export const platformSettings = z.object({
  ...databaseSettings,
  ...kafkaSettings,
  RATES_URL: z
    .string()
    .regex(/^https?:\/\//, 'is not a URL of http or https')
    .optional(),
  LEDGER_RETENTION_DAYS: z
    .string()
    .regex(/^\d+(\.\d+)?$/, 'is not a number')
    .optional(),
})
