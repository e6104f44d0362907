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
  const time = fields.deadline === '' ? null : toUtc(fields.deadline)
  const shared = { fields, onChange }
  return (
    <fieldset class="about" disabled={disabled}>
      <legend>About the batch (optional)</legend>
      <Field {...shared} name="source" label="Source" hint="Who sends it." />
      <Field {...shared} name="id" label="Batch id" hint="Without it, one is made up." />
      <Field
        {...shared}
        name="deadline"
        label="Deadline"
        hint={time === null ? 'When it must be visible, by your clock.' : utc(time)}
      />
      <Field {...shared} name="replaces" label="Replaces" hint="The id of the batch whose place it takes." />
    </fieldset>
  )
}

interface FieldProps extends Omit<Props, 'disabled'> {
  name: keyof Fields
  label: string
  hint: string
}

function Field({ fields, onChange, name, label, hint }: FieldProps): JSX.Element {
  const id = `batch-${name}`
  const fault = faultsOf(fields)[name]
  const shared = {
    id,
    value: fields[name],
    'aria-invalid': fault !== undefined,
    'aria-describedby': `${id}-hint`,
    onInput: ({ currentTarget: { value } }: { currentTarget: HTMLInputElement }) => onChange({ [name]: value }),
  }
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {name === 'deadline' ? (
        <input type="datetime-local" {...shared} />
      ) : (
        <input
          {...shared}
          maxLength={name === 'source' ? 200 : 128}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
        />
      )}
      <p id={`${id}-hint`} class={fault === undefined ? 'hint' : 'hint alarm'}>
        {fault ?? hint}
      </p>
    </div>
  )
}
