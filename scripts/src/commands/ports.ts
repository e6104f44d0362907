import { type Command } from 'commander'
import { catalogueCommand } from '../catalogue.ts'

export const portsCommand = (): Command => catalogueCommand('ports')
