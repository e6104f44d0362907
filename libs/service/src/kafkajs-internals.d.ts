declare module 'kafkajs/src/network/requestQueue/index.js' {
  interface RequestQueue {
    pending: unknown[]
    throttledUntil: number
    scheduleCheckPendingRequests(this: RequestQueue): void
    instrumentationEmitter: { emit(event: string, payload: object): void } | null
    maybeThrottle(this: RequestQueue, milliseconds: number | null | undefined): void
  }
  const RequestQueue: { prototype: RequestQueue }
  export default RequestQueue
}
