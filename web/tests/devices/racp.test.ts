// @vitest-environment node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Racp, type Event } from '../../src/devices/racp';
import { bytes } from './vectors';

interface Dialogue {
  name: string;
  last: number | null;
  first?: number;
  steps: [
    call: string,
    given: number | string | null,
    expected: unknown,
    resumeFrom: number | null,
  ][];
}

const file = join(import.meta.dirname, '../../../tests/devices/vectors/racp_dialogues.json');
const dialogues = JSON.parse(readFileSync(file, 'utf8')) as Dialogue[];

const hex = (data: Uint8Array): string =>
  [...data].map((byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join(' ');

const told = (events: Event[]): unknown[] =>
  events.map((event) => (event.is === 'write' ? { ...event, data: hex(event.data) } : event));

it.each(dialogues)('a download goes the same way here and in the gateway: $name', (dialogue) => {
  const racp = new Racp(dialogue.last, true, dialogue.first ?? null);
  for (const [call, given, expected, resumeFrom] of dialogue.steps) {
    if (call === 'start') expect(hex(racp.start())).toBe(expected);
    else if (call === 'measurement') {
      expect(told(racp.onMeasurement(Number(given)))).toEqual(expected);
    } else if (call === 'indication') {
      expect(told(racp.onIndication(bytes(String(given))))).toEqual(expected);
    } else if (call === 'stored') racp.stored(Number(given));
    else racp.onCut();
    expect(racp.resumeFrom).toBe(resumeFrom);
  }
});

it('a meter is never asked to delete', () => {
  const asked = dialogues.flatMap(({ steps }) =>
    steps.map(([, , expected]) => JSON.stringify(expected)),
  );
  expect(asked.some((each) => each.includes('"data":"02 ') || each.startsWith('"02 '))).toBe(false);
});
