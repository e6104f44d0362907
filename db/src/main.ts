import { migrate } from './migrate.ts'

// The migration Job: brings DATABASE_URL to the newest schema and says what it did.
const url = process.env['DATABASE_URL']
if (!url) {
  console.error('DATABASE_URL is not set: postgres://user:password@host:5432/database')
  process.exit(2)
}
try {
  const applied = await migrate(url, (name) => console.log(`applied ${name}`))
  console.log(applied.length === 0 ? 'nothing to do: the schema is up to date' : `${applied.length} migrations applied`)
} catch (error) {
  // A refused connection to both addresses of a host is an AggregateError without a message.
  const fault: unknown = error instanceof AggregateError ? error.errors[0] : error
  console.error(`migration failed: ${fault instanceof Error ? fault.message : String(fault)}`)
  process.exit(1)
}
