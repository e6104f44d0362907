import { type JSX } from 'preact'
import { utc } from '../format.ts'
import { faultsOf, toUtc, type Fields } from './fields.ts'

interface Props {
  fields: Fields
  disabled: boolean
  onChange(changed: Partial<Fields>): void
}

/** What may be said of the batch besides its prices. */
export function BatchFields({ fields, disabled, onChange }: Props): JSX.Element {
  const faults = faultsOf(fields)
  const time = fields.deadline === '' ? null : toUtc(fields.deadline)
  const field = (
    name: keyof Fields,
    label: string,
    hint: string,
    type: 'text' | 'datetime-local' = 'text',
  ): JSX.Element => (
    <div class="field">
      <label for={`batch-${name}`}>{label}</label>
      <input
        id={`batch-${name}`}
        type={type}
        value={fields[name]}
        maxLength={name === 'source' ? 200 : 128}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        aria-invalid={faults[name] !== undefined}
        aria-describedby={`batch-${name}-hint`}
        onInput={({ currentTarget: { value } }) => onChange({ [name]: value })}
      />
      <p id={`batch-${name}-hint`} class={faults[name] === undefined ? 'hint' : 'hint alarm'}>
        {faults[name] ?? hint}
      </p>
    </div>
  )
  return (
    <fieldset class="about" disabled={disabled}>
      <legend>About the batch (optional)</legend>
      {field('source', 'Source', 'Who sends it.')}
      {field('id', 'Batch id', 'Without it, one is made up.')}
      {field('deadline', 'Deadline', time === null ? 'When it must be visible.' : utc(time), 'datetime-local')}
      {field('replaces', 'Replaces', 'The id of the batch that it takes the place of.')}
    </fieldset>
  )
}
