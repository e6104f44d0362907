import { createServer, type Server } from 'node:net'
import { type AddressInfo } from 'node:net'
import { afterEach, expect, test } from '@jest/globals'
import { HttpConnection } from './http-connection.ts'

let server: Server | undefined
let connection: HttpConnection | undefined

afterEach(() => {
  connection?.close()
  server?.close()
})

/** A server that sends these pieces for each request. */
async function answering(pieces: readonly string[], end = false): Promise<HttpConnection> {
  server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', () => {
      void (async () => {
        for (const piece of pieces) await new Promise((resolve) => socket.write(piece, resolve))
        if (end) socket.end()
      })()
    })
  })
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
  connection = await HttpConnection.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return connection
}

test('takes answer after answer, however they are cut', async () => {
  const client = await answering(['HTTP/1.1 200 OK\r\ncontent-le', 'ngth: 11\r\n\r', '\n{"rates"', ':1}'])
  expect(await client.get('/rates')).toBe(200)
  expect(await client.get('/rates')).toBe(200)
})

test('tells the status, also of an answer without a body', async () => {
  const client = await answering(['HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'])
  expect(await client.get('/')).toBe(503)
})

test('fails where the connection ends in the middle, or the length is not told', async () => {
  const cut = await answering(['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab'], true)
  await expect(cut.get('/')).rejects.toThrow('closed the connection')
  server!.close()
  const endless = await answering(['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'])
  await expect(endless.get('/')).rejects.toThrow('without Content-Length')
})
