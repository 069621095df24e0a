/** The known bytes that the Python decoders are held to as well. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, '../../../tests/devices/vectors');

export interface Row {
  characteristic: string;
  name: string;
  type: string;
  hex: string;
  quirks?: string[];
  value: unknown;
  expect?: unknown;
  refused?: string;
  flags?: string[];
  taken_at?: string | null;
  model?: string;
  read?: Record<string, string>;
  user?: number;
}

export const rows = (name: string): Row[] =>
  JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8')) as Row[];

export const bytes = (hex: string): Uint8Array =>
  Uint8Array.from(hex.split(' ').filter(Boolean), (pair) => parseInt(pair, 16));

/** The code of a refusal, or null when nothing is thrown. */
export function codeOf(work: () => unknown): string | null {
  try {
    work();
    return null;
  } catch (bad) {
    return (bad as { code: string }).code;
  }
}
