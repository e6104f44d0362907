/** The limits of the wire and of the data; docs/wire.md states them for producers in other languages. */

/** Data rows in a chunk. */
export const MAX_CHUNK_ROWS = 32_767
/** Bytes of a record's value as sent. */
export const MAX_CHUNK_WIRE_BYTES = 900_000
/** Bytes of a chunk's body once decompressed. */
export const MAX_CHUNK_BYTES = 8_000_000
/** A body may become this many times larger once decompressed; a price list shrinks to a fifth or a twentieth. */
export const MAX_RATIO = 200
/** Below this size of a chunk's decompressed body the ratio does not matter: a few equal rows shrink to nothing. */
export const RATIO_FROM_BYTES = 4_000_000
/** Bytes of one row of a batch. */
export const MAX_RECORD_BYTES = 65_536
/** Chunks of a batch: 100 000 of 32 767 rows are 3.3 thousand million prices. */
export const MAX_CHUNKS = 100_000
/** A batch of at most this many chunks goes by the first lane. */
export const FAST_LANE_CHUNKS = 4

export const MIN_PRICE = 1
export const MAX_PRICE = 2_147_483_647
export const FIRST_YEAR = 1970
export const LAST_YEAR = 2199

/** What an error report keeps of a bad value and of its row. */
export const MAX_REPORTED_VALUE = 100
export const MAX_REPORTED_TEXT = 1_000
