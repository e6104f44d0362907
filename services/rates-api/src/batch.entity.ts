import { type BatchError } from '@rates/core/batch'
import { Column, Entity, PrimaryColumn } from 'typeorm'

/** A batch as the ledger has it: what its chunks add up to is in batch_chunks. */
@Entity('batches')
export class BatchRow {
  @PrimaryColumn({ type: 'bigint' }) no!: bigint
  @Column({ type: 'text' }) id!: string
  @Column({ type: 'boolean', name: 'dry_run' }) dryRun!: boolean
  @Column({ type: 'text' }) state!: 'open' | 'succeeded' | 'failed' | 'cancelled' | 'reverted' | 'replaced'
  @Column({ type: 'text', nullable: true }) source!: string | null
  @Column({ type: 'text', nullable: true }) replaces!: string | null
  @Column({ type: 'text', name: 'replaced_by', nullable: true }) replacedBy!: string | null
  @Column({ type: 'text', name: 'retry_of', nullable: true }) retryOf!: string | null
  @Column({ type: 'timestamptz', nullable: true }) deadline!: Date | null
  @Column({ type: 'text', name: 'correlation_id', nullable: true }) correlationId!: string | null
  @Column({ type: 'text', nullable: true }) traceparent!: string | null
  @Column({ type: 'timestamptz', name: 'created_at' }) createdAt!: Date
  @Column({ type: 'timestamptz', name: 'finished_at', nullable: true }) finishedAt!: Date | null
  @Column({ type: 'timestamptz', name: 'hidden_at', nullable: true }) hiddenAt!: Date | null
  @Column({ type: 'timestamptz', name: 'purged_at', nullable: true }) purgedAt!: Date | null
  @Column({ type: 'int', name: 'chunks_expected', nullable: true }) chunksExpected!: number | null
  @Column({ type: 'bigint', name: 'rows_accepted', nullable: true }) rowsAccepted!: bigint | null
  @Column({ type: 'bigint', name: 'rows_rejected', nullable: true }) rowsRejected!: bigint | null
  @Column({ type: 'bytea', nullable: true }) digest!: Buffer | null
  @Column({ type: 'jsonb', nullable: true }) error!: BatchError | null
}
