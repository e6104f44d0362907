// What package.json's commands run, on whatever Node (18 or newer) the person has: it installs what is missing, builds
// what has changed, and hands over to the program `rates` on the Node 24 that comes with the packages.
import { main } from './bootstrap/main.mjs'

main(process.argv.slice(2))
