import { type Command } from 'commander'
import { catalogueCommand } from '../catalogue.ts'

export const regionsCommand = (): Command => catalogueCommand('regions')
