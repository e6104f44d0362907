import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { EventEmitter } from 'node:events'
import { onStopRequest } from './signals.ts'

describe('onStopRequest', () => {
  let told: string[]
  const signals = new EventEmitter()
  beforeEach(() => {
    told = []
    signals.removeAllListeners()
    jest.useFakeTimers()
    jest.spyOn(process, 'on').mockImplementation(((name: string, listener: () => void) => {
      signals.on(name, listener)
      return process
    }) as never)
    onStopRequest(
      (why) => told.push(why),
      () => told.push('at once'),
    )
  })
  afterEach(() => {
    jest.useRealTimers()
    jest.restoreAllMocks()
  })

  it('takes the two signals of one key press for one request', () => {
    signals.emit('SIGINT')
    jest.advanceTimersByTime(20)
    signals.emit('SIGINT')
    expect(told).toEqual(['SIGINT'])
  })

  it('is in a hurry after a second Ctrl-C', () => {
    signals.emit('SIGTERM')
    jest.advanceTimersByTime(600)
    signals.emit('SIGINT')
    expect(told).toEqual(['SIGTERM', 'at once'])
  })

  it('is in no hurry when a closed terminal ends our starters after us', () => {
    signals.emit('SIGHUP')
    jest.advanceTimersByTime(1500)
    signals.emit('SIGTERM')
    expect(told).toEqual(['SIGHUP'])
  })
})
