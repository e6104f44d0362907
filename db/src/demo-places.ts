/** The demo's places: regions in three levels, and real ports by their UN/LOCODEs. */

export interface DemoRegion {
  slug: string
  name: string
  parent: string | null
}

export interface DemoPort {
  code: string
  name: string
  region: string
}

/** Indented by level: slug, then name. */
const REGION_TREE = `
east_asia             East Asia
  china_coast         Coast of China
    bohai_rim         Bohai Rim
    yangtze_delta     Yangtze Delta
    pearl_delta       Pearl River Delta
  japan_korea         Japan and Korea
    japan_pacific     Pacific Coast of Japan
    korea_coast       Coast of Korea
  south_east_asia     South East Asia
    malacca_strait    Strait of Malacca
    indochina         Indochina
    archipelago       Malay Archipelago
indian_ocean          Indian Ocean
  subcontinent        Indian Subcontinent
    arabian_sea       Arabian Sea
    bengal_bay        Bay of Bengal
  arabian_peninsula   Arabian Peninsula
    persian_gulf      Persian Gulf
    red_sea           Red Sea
europe                Europe
  channel_range       Channel and Rhine Delta
    rhine_delta       Rhine Delta
    german_bight      German Bight
    english_channel   English Channel
  mediterranean       Mediterranean
    west_med          Western Mediterranean
    east_med          Eastern Mediterranean
americas              Americas
  pacific_america     Pacific Coast of America
    us_west_coast     US West Coast
    andean_coast      Andean Coast
  atlantic_america    Atlantic Coast of America
    us_east_coast     US East Coast
    mexican_gulf      Gulf of Mexico
    river_plate       Brazil and River Plate
`

const PORT_LISTS: Record<string, string> = {
  bohai_rim: 'CNTAO Qingdao, CNTXG Tianjin Xingang, CNDLC Dalian',
  yangtze_delta: 'CNSHA Shanghai, CNNGB Ningbo',
  pearl_delta: 'CNYTN Yantian, CNSHK Shekou, HKHKG Hong Kong, CNXMN Xiamen',
  japan_pacific: 'JPYOK Yokohama, JPUKB Kobe, JPNGO Nagoya',
  korea_coast: 'KRPUS Busan',
  malacca_strait: 'SGSIN Singapore, MYPKG Port Klang, MYTPP Tanjung Pelepas',
  indochina: 'THLCH Laem Chabang, VNSGN Ho Chi Minh City, VNHPH Haiphong',
  archipelago: 'IDJKT Jakarta, PHMNL Manila',
  arabian_sea: 'INNSA Nhava Sheva, INMUN Mundra, PKKHI Karachi',
  bengal_bay: 'INMAA Chennai, LKCMB Colombo, BDCGP Chattogram',
  persian_gulf: 'AEJEA Jebel Ali',
  red_sea: 'SAJED Jeddah',
  rhine_delta: 'NLRTM Rotterdam, BEANR Antwerpen',
  german_bight: 'DEHAM Hamburg, DEBRV Bremerhaven',
  english_channel: 'GBFXT Felixstowe, GBSOU Southampton, FRLEH Le Havre',
  west_med: 'ESALG Algeciras, ESVLC Valencia, ESBCN Barcelona, ITGOA Genova, FRFOS Fos-sur-Mer',
  east_med: 'GRPIR Piraeus, TRAMR Ambarlı, EGPSD Port Said',
  us_west_coast: 'USLAX Los Angeles, USLGB Long Beach, USOAK Oakland',
  andean_coast: 'CLSAI San Antonio, PECLL Callao',
  us_east_coast: 'USNYC New York, USSAV Savannah, USORF Norfolk',
  mexican_gulf: 'USHOU Houston, MXVER Veracruz',
  river_plate: 'BRSSZ Santos, ARBUE Buenos Aires',
}

export const DEMO_REGIONS: DemoRegion[] = readTree()

export const DEMO_PORTS: DemoPort[] = Object.entries(PORT_LISTS).flatMap(([region, list]) =>
  list.split(', ').map((port) => ({ code: port.slice(0, 5), name: port.slice(6), region })),
)

function readTree(): DemoRegion[] {
  const ancestors: string[] = []
  return REGION_TREE.trim()
    .split('\n')
    .map((line) => {
      const [, indent, slug, name] = /^( *)(\w+) +(.+)$/.exec(line)!
      const level = indent!.length / 2
      ancestors[level] = slug!
      return { slug: slug!, name: name!, parent: level === 0 ? null : ancestors[level - 1]! }
    })
}
