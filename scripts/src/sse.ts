/** An event as the server sent it. */
export interface ServerEvent {
  /** `message` where it has no name. */
  event: string
  data: string
}

/**
 * Reads server-sent events (WHATWG HTML, 9.2) out of a text that comes in pieces. Ids are not kept: the API's streams
 * begin with the present state.
 */
export class EventReader {
  /** Milliseconds after which the server wants to be asked again. */
  retryMs: number | undefined
  private line = ''
  private event = ''
  private data: string[] = []
  private afterCr = false

  /** The events that are complete with this piece. */
  push(piece: string): ServerEvent[] {
    const events: ServerEvent[] = []
    // The LF of a CR LF may come with the next piece.
    let text = this.afterCr && piece.startsWith('\n') ? piece.slice(1) : piece
    if (piece !== '') this.afterCr = piece.endsWith('\r')
    for (let end = /\r\n|\r|\n/.exec(text); end !== null; end = /\r\n|\r|\n/.exec(text)) {
      const line = this.line + text.slice(0, end.index)
      this.line = ''
      text = text.slice(end.index + end[0].length)
      const event = line === '' ? this.dispatch() : this.field(line)
      if (event) events.push(event)
    }
    this.line += text
    return events
  }

  private dispatch(): ServerEvent | undefined {
    const { event, data } = this
    this.event = ''
    this.data = []
    return data.length === 0 ? undefined : { event: event === '' ? 'message' : event, data: data.join('\n') }
  }

  /** A line that begins with a colon is a comment: the name of its field is empty. */
  private field(line: string): undefined {
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'event') this.event = value
    else if (name === 'data') this.data.push(value)
    else if (name === 'retry' && /^\d+$/.test(value)) this.retryMs = Number(value)
  }
}
