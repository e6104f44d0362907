/** What a query of Prometheus asks for: enough of PromQL to find it, and no more. That it is valid, Prometheus tells. */
export interface Selector {
  metric: string
  matchers: { label: string; operator: string; value: string }[]
}

export interface Asked {
  selectors: Selector[]
  /** Labels of by, without, on, ignoring, group_left and group_right. */
  grouped: string[]
  /** Labels that label_replace and label_join make. */
  made: string[]
}

const TOKEN =
  /\s+|#[^\n]*|(?<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|(?<number>\d[\w.]*)|(?<name>[A-Za-z_:][\w:]*)|(?<mark>=~|!~|!=|==|<=|>=|[-+*/%^(){}[\],=<>@:.])/y
const GROUPING = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right'])
const WORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'inf', 'nan', 'atan2'])

interface Token {
  kind: 'text' | 'number' | 'name' | 'mark'
  text: string
}

/** @throws SyntaxError at what is no PromQL */
export function readPromql(query: string): Asked {
  const tokens = tokensOf(query)
  const asked: Asked = { selectors: [], grouped: [], made: [] }
  for (let i = 0; i < tokens.length; i++) {
    const { kind, text } = tokens[i]!
    const next = tokens[i + 1]?.text
    if (kind === 'mark' && text === '[') i = closing(tokens, i)
    else if (kind === 'mark' && text === '{') i = readMatchers(tokens, i, '', asked)
    else if (kind !== 'name' || WORDS.has(text.toLowerCase())) continue
    else if (GROUPING.has(text)) {
      if (next !== '(') continue // group_left may stand alone
      const end = closing(tokens, i + 1)
      asked.grouped.push(...tokens.slice(i + 2, end).flatMap((token) => (token.kind === 'name' ? token.text : [])))
      i = end
    } else if (next === '(') {
      if (text === 'label_replace' || text === 'label_join') asked.made.push(...secondArgument(tokens, i + 1))
    } else if (next === 'by' || next === 'without')
      continue // sum by (…)
    else if (next === '{') i = readMatchers(tokens, i + 1, text, asked)
    else asked.selectors.push({ metric: text, matchers: [] })
  }
  return asked
}

function tokensOf(query: string): Token[] {
  const tokens: Token[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < query.length) {
    const at = TOKEN.lastIndex
    const groups = TOKEN.exec(query)?.groups
    if (groups === undefined) throw new SyntaxError(`no PromQL at ${JSON.stringify(query.slice(at, at + 20))}`)
    for (const kind of ['text', 'number', 'name', 'mark'] as const) {
      const text = groups[kind]
      if (text !== undefined) tokens.push({ kind, text })
    }
  }
  return tokens
}

/** The index of what closes the bracket at `open`. */
function closing(tokens: readonly Token[], open: number): number {
  let depth = 0
  for (let i = open; i < tokens.length; i++) {
    const { kind, text } = tokens[i]!
    if (kind === 'mark' && '([{'.includes(text)) depth++
    if (kind === 'mark' && ')]}'.includes(text) && --depth === 0) return i
  }
  throw new SyntaxError('a bracket is not closed')
}

/** Adds the selector whose matchers begin at `open`. @returns the index of its end */
function readMatchers(tokens: readonly Token[], open: number, metric: string, asked: Asked): number {
  const end = closing(tokens, open)
  const selector: Selector = { metric, matchers: [] }
  for (let i = open + 1; i < end; i++) {
    const { kind, text } = tokens[i]!
    if (kind !== 'name') continue
    const [operator, quoted] = [tokens[i + 1]!.text, tokens[i + 2]!.text]
    const value = quoted.slice(1, -1)
    if (text === '__name__') selector.metric = value
    else selector.matchers.push({ label: text, operator, value })
  }
  asked.selectors.push(selector)
  return end
}

function secondArgument(tokens: readonly Token[], open: number): string[] {
  const end = closing(tokens, open)
  for (let i = open + 1; i < end; i++) {
    const { kind, text } = tokens[i]!
    if (kind === 'mark' && '([{'.includes(text)) i = closing(tokens, i)
    else if (text === ',' && tokens[i + 1]?.kind === 'text') return [tokens[i + 1]!.text.slice(1, -1)]
  }
  return []
}
