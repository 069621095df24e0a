// @vitest-environment node
import { describe, expect, it, vi } from 'vitest';
import { Conversation, numbersIn, type Keeper } from '../../src/devices/conversation';
import type { Outcome } from '../../src/devices/gatt/to-measurement';
import { CONTROL_POINT, rowOf, type DeviceKind } from '../../src/devices/kinds';
import type { Link } from '../../src/devices/source';
import { bytes } from './vectors';

const GLUCOSE = 0x2a18;
const CONTEXT = 0x2a34;

/** A device at the other end of the air: what it is written to answers as it likes. */
class Air implements Link {
  readonly model = '';
  readonly ended: Promise<void>;
  readonly written: string[] = [];
  readonly #ears = new Map<number, (data: Uint8Array) => void>();
  #end: () => void = () => undefined;

  constructor(
    readonly there: readonly number[],
    readonly answers: (air: Air, asked: string) => void = () => undefined,
    readonly values = new Map<number, Uint8Array>(),
  ) {
    this.ended = new Promise((done) => (this.#end = done));
  }

  has = (characteristic: number): boolean => this.there.includes(characteristic);
  read = (characteristic: number): Promise<Uint8Array> =>
    Promise.resolve(this.values.get(characteristic) ?? new Uint8Array());
  write = (_: number, data: Uint8Array): Promise<void> => {
    const asked = [...data].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    this.written.push(asked);
    this.answers(this, asked);
    return Promise.resolve();
  };
  listen = (characteristic: number, heard: (data: Uint8Array) => void): Promise<void> => {
    this.#ears.set(characteristic, heard);
    return Promise.resolve();
  };
  say = (characteristic: number, hex: string): void => this.#ears.get(characteristic)?.(bytes(hex));
  close = (): void => this.#end();
}

class Memory implements Keeper {
  user = null;
  outcomes: Outcome[] = [];
  noted: Record<string, number | null> = {};
  full = false;

  keep(outcomes: readonly Outcome[]): Promise<void> {
    if (this.full) return Promise.reject(new Error('full'));
    this.outcomes.push(...outcomes);
    return Promise.resolve();
  }
  progress = (download: string): number | null => this.noted[download] ?? null;
  setProgress(download: string, last: number | null): Promise<void> {
    this.noted[download] = last;
    return Promise.resolve();
  }
  get given(): Record<string, number>[] {
    return this.outcomes.flatMap((one) => ('reading' in one ? [one.reading.values] : []));
  }
}

/** A record of the meter, 5.5 mmol/L; `note` says that a context follows. */
const record = (n: number, note = false): string =>
  `${note ? '16' : '06'} 0${n} 00 EA 07 03 0A 07 1${n} 00 37 C0 11`;

const talk = (air: Air, kind: DeviceKind, memory: Memory, now?: () => number): Promise<void> =>
  new Conversation(air, rowOf(kind), memory, now).run();

describe('a meter', () => {
  const meter = [GLUCOSE, CONTEXT, CONTROL_POINT];

  it('is asked behind what is kept after a cut, and gives each record once', async () => {
    const memory = new Memory();
    const first = new Air(meter, (air, asked) => {
      if (asked === '04 01') air.say(CONTROL_POINT, '05 00 04 00');
      if (asked !== '01 01') return;
      for (const n of [1, 2]) air.say(GLUCOSE, record(n));
      air.close();
    });
    await talk(first, 'meter', memory);
    expect(memory.noted).toEqual({ glucose: 2 });
    const second = new Air(meter, (air, asked) => {
      if (asked.startsWith('04')) air.say(CONTROL_POINT, '05 00 02 00');
      if (!asked.startsWith('01')) return;
      for (const n of [3, 4]) air.say(GLUCOSE, record(n));
      air.say(CONTROL_POINT, '06 00 01 01');
      air.close();
    });
    await talk(second, 'meter', memory);
    expect(second.written).toEqual(['04 03 01 03 00', '01 03 01 03 00']);
    expect(memory.noted).toEqual({ glucose: 4 });
    expect(memory.given).toHaveLength(4);
  });

  it('gives a record together with its note, and one without the note it announced', async () => {
    const memory = new Memory();
    const air = new Air(meter, (told, asked) => {
      if (asked === '04 01') told.say(CONTROL_POINT, '05 00 02 00');
      if (asked !== '01 01') return;
      told.say(GLUCOSE, record(1, true));
      told.say(CONTEXT, '02 01 00 01');
      told.say(GLUCOSE, record(2, true));
      told.say(CONTROL_POINT, '06 00 01 01');
      told.close();
    });
    await talk(air, 'meter', memory);
    const flags = memory.outcomes.map((one) => ('reading' in one ? one.reading.flags : one.reason));
    expect(flags).toEqual([['before_meal'], []]);
    expect(memory.noted).toEqual({ glucose: 2 });
  });

  it('is not read on when its records cannot be kept, so that they come again', async () => {
    const memory = new Memory();
    memory.full = true;
    const air = new Air(meter, (told, asked) => {
      if (asked === '04 01') told.say(CONTROL_POINT, '05 00 01 00');
      if (asked === '01 01') told.say(GLUCOSE, record(1));
    });
    await expect(talk(air, 'meter', memory)).rejects.toThrow('full');
    expect(memory.noted).toEqual({});
  });
});

it('of a belt the first value of each minute is kept', async () => {
  const memory = new Memory();
  let at = 0;
  const air = new Air([0x2a37]);
  const talking = talk(air, 'belt', memory, () => at);
  await Promise.resolve();
  await Promise.resolve();
  for (const second of [0, 1, 59, 60, 61]) {
    at = 1_773_133_200_000 + second * 1_000;
    air.say(0x2a37, `00 ${(60 + second).toString(16)}`);
  }
  air.close();
  await talking;
  expect(memory.given).toEqual([{ rate: 60 }, { rate: 120 }]);
});

it('a sensor’s session start is read before its values', async () => {
  const memory = new Memory();
  const session = new Map([[0x2aaa, bytes('EA 07 03 0A 06 00 00 0C 00')]]);
  const air = new Air(
    [0x2aa7, 0x2aaa, CONTROL_POINT],
    (told, asked) => {
      if (asked === '04 01') told.say(CONTROL_POINT, '05 00 02 00');
      if (asked !== '01 01') return;
      told.say(0x2aa7, '06 00 6E 00 05 00 06 00 6F 00 0A 00');
      told.say(CONTROL_POINT, '06 00 01 01');
      told.close();
    },
    session,
  );
  await talk(air, 'sensor', memory);
  expect(memory.given).toEqual([{ glucose: 110 }, { glucose: 111 }]);
  expect(memory.noted).toMatchObject({ 'cgm ea07030a0600000c00': 10 });
});

it('numbers of damaged packets are none', () => {
  expect(numbersIn(0x2aa7, bytes('06 00 6E 00 05 00 00'))).toEqual([5]);
  expect(numbersIn(GLUCOSE, bytes('00 01'))).toEqual([]);
});

it('of a sensor minutes that go back are of another session, whose start is read first', async () => {
  const memory = new Memory();
  const values = new Map([[0x2aaa, bytes('EA 07 03 0A 06 00 00 0C 00')]]);
  const air = new Air([0x2aa7, 0x2aaa], undefined, values);
  const talking = talk(air, 'sensor', memory, () => Date.parse('2026-03-10T12:00:00Z'));
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
  air.say(0x2aa7, '06 00 6E 00 64 00');
  values.set(0x2aaa, bytes('EA 07 03 0A 0C 00 00 0C 00'));
  for (const minute of ['69', '05', '0A']) air.say(0x2aa7, `06 00 6E 00 ${minute} 00`);
  air.close();
  await talking;
  const taken = memory.outcomes.map(
    (one) => 'reading' in one && one.reading.taken_at.slice(11, 16),
  );
  expect(taken).toEqual(['04:40', '04:45', '09:05', '09:10']);
});

it('a session’s start that could not be read is asked for again', async () => {
  const memory = new Memory();
  const values = new Map([[0x2aaa, bytes('EA 07 03 0A 06 00 00 0C 00')]]);
  const air = new Air([0x2aa7, 0x2aaa], undefined, values);
  const talking = talk(air, 'sensor', memory, () => Date.parse('2026-03-10T12:00:00Z'));
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
  air.say(0x2aa7, '06 00 6E 00 64 00');
  const read = air.read.bind(air);
  air.read = () => Promise.reject(new Error('busy'));
  air.say(0x2aa7, '06 00 6E 00 05 00');
  await vi.waitFor(() => {
    expect(memory.outcomes).toHaveLength(2);
  });
  air.read = read;
  values.set(0x2aaa, bytes('EA 07 03 0A 0C 00 00 0C 00'));
  air.say(0x2aa7, '06 00 6E 00 0A 00');
  air.close();
  await talking;
  const taken = memory.outcomes.map((one) =>
    'reading' in one ? one.reading.taken_at.slice(11, 16) : one.reason,
  );
  expect(taken).toEqual(['04:40', 'session_unknown', '09:10']);
});
