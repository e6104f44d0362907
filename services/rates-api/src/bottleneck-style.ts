/** Colours that can be told apart in light and dark, also by those who see red and green alike. */
export const PAGE_STYLE = `
:root { color-scheme: light dark; --text: #1b1f24; --soft: #59636e; --back: #ffffff; --line: #d1d9e0; --panel: #f6f8fa;
  --found: #9a3412; --none: #116329; --cpu: #2563c9; --db: #d9730d; --db_lock: #b3261e; --pool: #8250b8; --broker: #12805c;
  --downstream: #b6c2cf; --idle: #e8ecf0 }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --soft: #9aa6b2; --back: #0d1117; --line: #30363d; --panel: #161b22; --found: #ffa657;
    --none: #56d364; --cpu: #5b9bff; --db: #f0932b; --db_lock: #ff6b60; --pool: #b78af0; --broker: #3fbf8f;
    --downstream: #57626f; --idle: #262c34 }
}
* { box-sizing: border-box }
body { margin: 0; font: 15px/1.45 system-ui, sans-serif; color: var(--text); background: var(--back) }
main { max-width: 60rem; margin: 0 auto; padding: 1rem }
#stale { margin: 0; padding: .5rem 1rem; color: #fff; background: #b3261e; text-align: center }
header { border-left: .4rem solid var(--soft); padding: .2rem 0 .2rem .9rem }
header.found { border-color: var(--found) }
header.none { border-color: var(--none) }
h1 { margin: 0; font-size: 2rem; line-height: 1.2 }
.cause { color: var(--found) }
header p { margin: .2rem 0 0 }
header p + p { color: var(--soft) }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: .6rem; margin: 1.2rem 0 }
dl div { background: var(--panel); border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .7rem; min-width: 0 }
dt, caption, footer, .note, .legend, .said, .more { color: var(--soft); font-size: .85rem }
dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums }
dd.more { font-size: .85rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.alarm, .alarm dd, .alarm th, .alarm td { border-color: var(--db_lock); color: var(--db_lock) }
table { width: 100%; border-collapse: collapse; margin-top: 1rem }
caption { text-align: left; padding-bottom: .2rem }
th, td { text-align: left; padding: .35rem .6rem .35rem 0; border-top: 1px solid var(--line); font-weight: 400;
  vertical-align: top; font-variant-numeric: tabular-nums }
thead th { color: var(--soft); font-size: .85rem; border: 0 }
tbody th { font-weight: 600; overflow-wrap: anywhere }
.stages td:nth-child(n+3), .stages th:nth-child(n+3) { text-align: right; white-space: nowrap; width: 1% }
.here th { color: var(--found) }
.here th::before { content: '\\25b6\\00a0' }
.stages th:first-child { white-space: nowrap; width: 1%; padding-right: 1rem }
.wide svg { display: block; width: 100%; height: 1rem; border-radius: .2rem }
.key { display: inline-block; width: .8rem; height: .8rem; margin-right: .3rem; vertical-align: -.1rem }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; list-style: none; padding: 0; margin: .4rem 0 0 }
.note { margin: .3rem 0 0 }
.cpu { fill: var(--cpu) } .db { fill: var(--db) } .db_lock { fill: var(--db_lock) } .pool { fill: var(--pool) }
.broker { fill: var(--broker) } .downstream { fill: var(--downstream) } .idle { fill: var(--idle) }
a { color: inherit }
footer { margin-top: 1.2rem }
@media (max-width: 34rem) {
  h1 { font-size: 1.6rem }
  .workers th:nth-child(2), .workers td:nth-child(2) { display: none }
}
`
