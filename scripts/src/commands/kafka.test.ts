import { describe, expect, it } from '@jest/globals'
import { withServer } from './kafka.ts'

describe('withServer', () => {
  it('adds the broker', () => {
    expect(withServer('topics', ['--list'], 'here:9092')).toEqual(['--list', '--bootstrap-server', 'here:9092'])
  })
  it('adds it under the name that the tool has for it', () => {
    const args = withServer('producer-perf-test', ['--topic', 't'], 'here:9092')
    expect(args).toEqual(['--topic', 't', '--producer-props', 'bootstrap.servers=here:9092'])
  })
  it.each([[['--bootstrap-server', 'there:1']], [['--bootstrap-server=there:1']], [['--help']]])(
    'leaves %j as it is',
    (args) => expect(withServer('topics', args, 'here:9092')).toEqual(args),
  )
})
