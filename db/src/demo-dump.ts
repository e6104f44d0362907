import { DEMO_PORTS, DEMO_REGIONS } from './demo-places.ts'
import { demoPrices } from './demo-prices.ts'

/** The demo data set in the form that pg_dump gives the original schema. */
export function demoDump(): string {
  const ports = DEMO_PORTS.map(({ code, name, region }) => [code, name, region])
  const regions = DEMO_REGIONS.map(({ slug, name, parent }) => [slug, name, parent ?? '\\N'])
  const prices = Array.from(demoPrices(), ({ orig, dest, day, price }) => [orig, dest, day, String(price)])
  return [
    HEAD,
    table('ports', ['code text NOT NULL', 'name text NOT NULL', 'parent_slug text NOT NULL']),
    table('prices', [
      'orig_code text NOT NULL',
      'dest_code text NOT NULL',
      'day date NOT NULL',
      'price integer NOT NULL',
    ]),
    table('regions', ['slug text NOT NULL', 'name text NOT NULL', 'parent_slug text']),
    data('ports', ['code', 'name', 'parent_slug'], ports),
    data('prices', ['orig_code', 'dest_code', 'day', 'price'], prices),
    data('regions', ['slug', 'name', 'parent_slug'], regions),
    key('ports', 'ports_pkey', 'PRIMARY KEY (code)'),
    key('regions', 'regions_pkey', 'PRIMARY KEY (slug)'),
    key('ports', 'ports_parent_slug_fkey', 'FOREIGN KEY (parent_slug) REFERENCES public.regions(slug)'),
    key('prices', 'prices_dest_code_fkey', 'FOREIGN KEY (dest_code) REFERENCES public.ports(code)'),
    key('prices', 'prices_orig_code_fkey', 'FOREIGN KEY (orig_code) REFERENCES public.ports(code)'),
    key('regions', 'regions_parent_slug_fkey', 'FOREIGN KEY (parent_slug) REFERENCES public.regions(slug)'),
    TAIL,
  ].join('\n\n')
}

const HEAD = `--
-- PostgreSQL database dump
--

-- Made by db/src/make-demo.ts: real ports, invented prices.

SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET client_min_messages = warning;`

const TAIL = `--
-- PostgreSQL database dump complete
--
`

const title = (name: string, type: string): string => `--
-- Name: ${name}; Type: ${type}; Schema: public; Owner: -
--
`

function table(name: string, columns: string[]): string {
  const body = columns.map((column) => `    ${column}`).join(',\n')
  return `${title(name, 'TABLE')}\nCREATE TABLE public.${name} (\n${body}\n);`
}

/** The rows hold nothing that COPY would escape. */
function data(name: string, columns: string[], rows: string[][]): string {
  const lines = rows.map((row) => row.join('\t')).join('\n')
  return `${title(name, 'TABLE DATA')}\nCOPY public.${name} (${columns.join(', ')}) FROM stdin;\n${lines}\n\\.`
}

function key(name: string, constraint: string, definition: string): string {
  const type = definition.startsWith('PRIMARY') ? 'CONSTRAINT' : 'FK CONSTRAINT'
  return `${title(`${name} ${constraint}`, type)}\nALTER TABLE ONLY public.${name}\n    ADD CONSTRAINT ${constraint} ${definition};`
}
