/**
 * Named places where a test lets a process die as by kill -9: `FAILPOINTS=before-publish` at the first pass,
 * `stored-chunk@3` at the third. Unset, as always outside tests, a pass costs one look-up in an empty map.
 */
export class Failpoints {
  private readonly left = new Map<string, number>()

  constructor(setting: string) {
    for (const each of setting.split(',').filter((name) => name !== '')) {
      const [name, pass] = each.split('@')
      this.left.set(name!, Number(pass ?? 1))
    }
  }

  pass(name: string): void {
    const left = this.left.get(name)
    if (left === undefined) return
    this.left.set(name, left - 1)
    if (left === 1) process.kill(process.pid, 'SIGKILL')
  }
}
