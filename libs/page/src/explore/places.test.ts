import { describe, expect, it } from '@jest/globals'
import { catalogueOf, labelOf, named, search } from './places.ts'

const catalogue = catalogueOf(
  [
    { code: 'CNTXG', name: 'Tianjin', region: 'bohai_rim' },
    { code: 'CNDLC', name: 'Dalian', region: 'bohai_rim' },
    { code: 'NLRTM', name: 'Rotterdam', region: 'north_europe' },
    { code: 'SEGOT', name: 'Göteborg', region: 'north_europe' },
    { code: 'CLSAI', name: 'San Antonio', region: 'andes' },
    { code: 'GBX', name: 'GBX', region: 'nowhere' },
  ],
  [
    { slug: 'bohai_rim', name: 'Bohai Rim', parent: 'china' },
    { slug: 'china', name: 'China Coast', parent: null },
    { slug: 'north_europe', name: 'North Europe', parent: 'europe' },
    { slug: 'europe', name: 'Europe', parent: 'europe' }, // within itself: no service of ours lets that be
    { slug: 'andes', name: 'Andean Coast', parent: null },
    { slug: 'GBX', name: 'The port has its code', parent: null },
  ],
)
const found = (text: string): string[] => search(catalogue, text).map(({ code }) => code)

describe('places', () => {
  it.each([
    ['CNTXG', ['CNTXG']],
    ['cn', ['CNDLC', 'CNTXG']],
    ['rotter', ['NLRTM']],
    ['goteborg', ['SEGOT']],
    ['GÖTE', ['SEGOT']],
    ['san ant', ['CLSAI']],
    ['bohai', ['bohai_rim', 'CNDLC', 'CNTXG']],
    ['china', ['china', 'CNDLC', 'CNTXG', 'bohai_rim']],
    ['tianjin china', ['CNTXG']],
    ['europe', ['europe', 'north_europe', 'NLRTM', 'SEGOT']],
    ['north_europe', ['north_europe', 'NLRTM', 'SEGOT']],
    ['otterdam', []],
  ])('%p means %p', (text, codes) => expect(found(text)).toEqual(codes))

  it('are all there without a text, ports first', () => {
    expect(found(' ')).toHaveLength(11)
    expect(found('').slice(0, 2)).toEqual(['CLSAI', 'CNDLC'])
  })

  it('know where they lie and how many ports they have', () => {
    expect(catalogue.get('CNTXG')).toMatchObject({ within: ['Bohai Rim', 'China Coast'], ports: 1 })
    expect(catalogue.get('china')).toMatchObject({ kind: 'region', within: [], ports: 2 })
    expect(catalogue.get('GBX')).toMatchObject({ kind: 'port', within: [] })
  })

  it('are named in full by code, name and label, if that is one place only', () => {
    const codes = ['cntxg', ' Tianjin ', 'CNTXG Tianjin', 'China Coast (region)', 'Andean', ''].map(
      (text) => named(catalogue, text)?.code,
    )
    expect(codes).toEqual(['CNTXG', 'CNTXG', 'CNTXG', 'china', undefined, undefined])
    expect([...catalogue.values()].map((place) => named(catalogue, labelOf(place)))).toEqual([...catalogue.values()])
  })
})
