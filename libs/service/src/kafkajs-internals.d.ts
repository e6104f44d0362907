declare module 'kafkajs/src/network/requestQueue/index.js' {
  interface RequestQueue {
    pending: unknown[]
    throttledUntil: number
    scheduleCheckPendingRequests(this: RequestQueue): void
  }
  const RequestQueue: { prototype: RequestQueue }
  export default RequestQueue
}
