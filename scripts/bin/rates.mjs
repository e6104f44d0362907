#!/usr/bin/env node
import { main } from '../bootstrap/main.mjs'

main(process.argv.slice(2))
