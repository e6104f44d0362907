/** What stands between words: batch_words() of db/migrations has the same. */
export const BETWEEN = /[\u0000-/:-@[-`{-\u007f]+/

/**
 * The words of a text as batches are found by them: acme, 2026, 11 and 21 of acme-2026-11-21. Capitals stay: what is
 * looked for is lowered by PostgreSQL, as what is found was, for which letters have small ones depends on the database.
 */
export const wordsOf = (text: string): string[] => text.split(BETWEEN).filter((word) => word !== '')

/** As a tsquery: every word is the beginning of one that is looked for. No word has a quote or a backslash in it. */
export const wordsQuery = (words: readonly string[]): string => words.map((word) => `'${word}':*`).join(' & ')
