// One line a step, with its time. In a terminal the line of the step that runs is redrawn; else each is written once.
const live = process.stderr.isTTY && !process.env.CI

const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`

/** Runs `work` under a line that says how long it takes; `work` may tell a note for it. Errors end the line. */
export async function step(title, work) {
  const since = Date.now()
  let note = ''
  const draw = (end) => {
    const text = `  ${title} ${note && !end ? `(${note}) ` : ''}${seconds(since)}`
    process.stderr.write(live ? `\r\x1b[2K${text}${end ? '\n' : ''}` : end ? `${text}\n` : '')
  }
  if (!live) process.stderr.write(`  ${title} ...\n`)
  const timer = live ? setInterval(draw, 200) : undefined
  try {
    return await work((text) => (note = text))
  } finally {
    clearInterval(timer)
    draw(true)
  }
}
