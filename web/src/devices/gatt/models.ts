/** Models with quirks of their own: the rows of devices/gatt/models.py, held to it by a test. */

import { TOLERANT, type Quirks } from './payload';

export interface Model {
  name: string;
  /** Beginnings of the advertised name or the model number; the longest that fits decides. */
  names: readonly string[];
  quirks: Quirks;
}

export const ANY: Model = { name: 'any other', names: [], quirks: TOLERANT };

export const MODELS: readonly Model[] = [
  {
    name: 'BM 85',
    names: ['BM85', 'BM 85'],
    quirks: { ...TOLERANT, swapped_pulse_status: true, user_without_flag: true },
  },
  {
    name: 'any that sends IEEE 754 floats',
    names: ['IEEE'],
    quirks: { ...TOLERANT, ieee_floats: true },
  },
];

/** The row of the device that calls itself so, or `ANY`. */
export function findModel(name: string): Model {
  const called = name.trim().toLowerCase();
  let best = ANY;
  let length = 0;
  for (const model of MODELS) {
    for (const start of model.names) {
      if (start.length > length && called.startsWith(start.toLowerCase())) {
        best = model;
        length = start.length;
      }
    }
  }
  return best;
}
