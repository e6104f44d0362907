/** As PostgreSQL can keep it, in text and in JSON: without NUL and halves of surrogate pairs. */
export const storable = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd')
