import { connect, type Socket } from 'node:net'

const HEAD_END = Buffer.from('\r\n\r\n')

/**
 * One keep-alive connection that sends a GET at a time. Node's own client takes as much of a core as the server that is
 * measured on the other; this one only finds the end of each answer.
 */
export class HttpConnection {
  private readonly socket: Socket
  private readonly host: string
  private buffer: Buffer = Buffer.alloc(0)
  private waiting: { resolve: (status: number) => void; reject: (error: Error) => void } | undefined

  private constructor(socket: Socket, host: string) {
    this.socket = socket
    this.host = host
    socket.setNoDelay(true)
    socket.on('data', (piece: Buffer) => this.take(piece))
    socket.on('error', (error) => this.fail(error))
    socket.on('close', () => this.fail(new Error('the server closed the connection')))
  }

  static open(url: string): Promise<HttpConnection> {
    const { hostname, port, host } = new URL(url)
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname)
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new HttpConnection(socket, host))
      })
    })
  }

  /** @returns the status, once the whole answer is there */
  get(path: string): Promise<number> {
    if (this.waiting) throw new Error('a request is on its way')
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject }
      this.socket.write(`GET ${path} HTTP/1.1\r\nHost: ${this.host}\r\n\r\n`)
    })
  }

  close(): void {
    this.socket.destroy()
  }

  private take(piece: Buffer): void {
    this.buffer = this.buffer.length === 0 ? piece : Buffer.concat([this.buffer, piece])
    const headEnd = this.buffer.indexOf(HEAD_END)
    if (headEnd < 0) return
    const head = this.buffer.toString('latin1', 0, headEnd)
    const length = /^content-length: *(\d+)/im.exec(head)?.[1]
    if (length === undefined) return this.fail(new Error(`an answer without Content-Length: ${head.split('\r\n')[0]}`))
    const end = headEnd + HEAD_END.length + Number(length)
    if (this.buffer.length < end) return
    this.buffer = this.buffer.subarray(end)
    const { waiting } = this
    this.waiting = undefined
    waiting?.resolve(Number(head.slice(9, 12)))
  }

  private fail(error: Error): void {
    const { waiting } = this
    this.waiting = undefined
    waiting?.reject(error)
    this.socket.destroy()
  }
}
