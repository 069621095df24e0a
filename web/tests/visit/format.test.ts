import { afterEach, describe, expect, it } from 'vitest';
import openapi from '../../openapi.json';
import { LANGUAGES, setLanguage } from '../../src/i18n/language.svelte';
import en from '../../src/i18n/en/visit.json';
import ru from '../../src/i18n/ru/visit.json';
import tt from '../../src/i18n/tt/visit.json';
import { present } from '../../src/visit/ecg/streams.svelte';
import { t } from '../../src/i18n/t';
import {
  flagText,
  kindText,
  readingLine,
  readingText,
  refusalText,
  sourceText,
  unitText,
} from '../../src/visit/readings/format';
import { KINDS } from '../../src/visit/readings/kinds';
import type { Reading, Vitals } from '../../src/visit/wire';
import { delayText } from '../../src/visit/words';

const schemas = openapi.components.schemas;

function reading(more: Partial<Reading>): Reading {
  return {
    id: 'r',
    kind: 'blood_pressure',
    sequence: 1,
    taken_at: '2026-03-01T10:00:00Z',
    received_at: '2026-03-01T10:00:01Z',
    values: { systolic: 128, diastolic: 82, pulse: 71 },
    unit: 'mmHg',
    sent_values: { systolic: 128, diastolic: 82, pulse: 71 },
    sent_unit: 'mmHg',
    device: { id: 'd', name: 'Cuff' },
    flags: [],
    ...more,
  };
}

afterEach(() => setLanguage('ru'));

describe('a reading in words', () => {
  it('says HI of a meter without a number, and what it means', () => {
    setLanguage('en');
    const none = {
      kind: 'glucose',
      unit: 'mmol/L',
      sent_unit: 'mg/dL',
      values: {},
      sent_values: {},
    };
    const said = readingText(reading({ ...none, flags: ['above_scale', 'battery_low'] }));
    expect(said).toMatchObject({ value: 'above the scale', unit: '', sent: null });
    expect(said.alert).toMatch(/^Level 2: above 13.9/);
    expect(said.flags).toEqual([flagText('battery_low')]);
    expect(readingLine(reading({ ...none, flags: ['below_scale'] }))).toMatch(
      /^Glucose.*: below the scale\. Level 2: below 3\.0/,
    );
    // Beside a number the flag is a doubt, as ever.
    const flags = ['above_scale'];
    const number = { ...none, values: { glucose: 33.3 }, sent_values: { glucose: 600 } };
    expect(readingText(reading({ ...number, flags }))).toMatchObject({
      value: '33.3',
      alert: null,
      flags: [flagText('above_scale')],
    });
  });

  it.each([
    ['ru', 'Давление: 128/82 мм рт. ст., пульс 71'],
    ['tt', 'Кан басымы: 128/82 мм тер. баг., пульс 71'],
    ['en', 'Blood pressure: 128/82 mmHg, pulse 71'],
  ] as const)('is natural in %s', (language, line) => {
    setLanguage(language);
    expect(readingLine(reading({}))).toBe(line);
  });

  it('shows 5.6 mmol/L and 100.9 mg/dL as the same value, and how the second was sent', () => {
    setLanguage('en');
    const inMmol = reading({
      kind: 'glucose',
      values: { glucose: 5.6 },
      unit: 'mmol/L',
      sent_values: { glucose: 5.6 },
      sent_unit: 'mmol/L',
    });
    const inMg = { ...inMmol, sent_values: { glucose: 100.9 }, sent_unit: 'mg/dL' };
    expect(readingLine(inMmol)).toBe('Glucose: 5.6 mmol/L');
    expect(readingLine(inMg)).toBe(readingLine(inMmol));
    expect(readingText(inMmol).sent).toBeNull();
    expect(readingText(inMg).sent).toBe('As sent: 100.9 mg/dL');
  });

  it('keeps the digit after the comma of whole numbers, with the comma of the language', () => {
    const whole = reading({ kind: 'temperature', values: { temperature: 37 }, unit: 'Cel' });
    expect(readingText(whole).value).toBe('37,0');
    setLanguage('en');
    expect(readingText(whole).value).toBe('37.0');
  });

  it('of a kind this page does not know is still shown', () => {
    const unknown = reading({ kind: 'peak_flow', values: { flow: 480 }, unit: 'L/min' });
    expect(readingText(unknown)).toMatchObject({
      name: 'peak_flow',
      value: 'flow 480',
      unit: 'L/min',
    });
  });

  it('tells the hour of the day apart from what speaks against a reading', () => {
    setLanguage('en');
    const text = readingText(reading({ kind: 'glucose', flags: ['after_meal', 'too_hot'] }));
    expect(text.marks).toEqual(['after a meal']);
    expect(text.flags).toEqual(['the device was too hot']);
  });

  it('has the pulse of an oximeter beside its oxygen, and the pound as a unit', () => {
    setLanguage('en');
    const oxygen = reading({ kind: 'spo2', values: { spo2: 97, pulse: 61 }, unit: '%' });
    expect(readingLine(oxygen)).toBe('Blood oxygen: 97 %, pulse 61');
    expect(unitText('[lb_av]')).toBe('lb');
    const sensor = reading({ kind: 'cgm_glucose', values: { glucose: 7.25 }, unit: 'mmol/L' });
    expect(readingLine(sensor)).toBe('Glucose (sensor): 7.3 mmol/L');
  });

  it.each(LANGUAGES)('has a word in %s for every kind and mark the server may send', (language) => {
    setLanguage(language);
    for (const kind of schemas['devices.kinds.Kind'].enum) expect(kindText(kind)).not.toBe(kind);
    for (const flag of schemas.DeviceFlag.enum) {
      expect(flagText(flag)).not.toBe(t('visit.flag_other', { flag }));
    }
  });

  it('says of a reading from a file that it came in one, in the language of the page', () => {
    expect(sourceText({ id: 'd', name: 'file' })).toBe('из файла');
    expect(sourceText({ id: 'd', name: 'Cuff' })).toBe('Cuff');
  });

  it('says each flag, and one it does not know too', () => {
    expect(flagText('clock_skew')).toBe('часы прибора спешат');
    expect(flagText('brand_new')).toContain('brand_new');
  });
});

describe('a refusal', () => {
  it('names the limits in the unit people read', () => {
    expect(refusalText('out_of_range', { low: 30, high: 100, unit: '%' })).toContain('30');
    setLanguage('en');
    expect(refusalText('out_of_range', { low: 4, high: 40, unit: 'kPa' })).toBe(
      'It can be from 4 to 40 (kPa). Check the number and the unit.',
    );
  });

  it('of a code this page does not know is a sentence all the same', () => {
    expect(refusalText('brand_new', {})).toMatch(/\.$/);
  });
});

describe('the catalogues of the visit', () => {
  it.each(LANGUAGES)('have a name for every kind, quantity and unit in %s', (language) => {
    const catalogue: Record<string, unknown> = { ru, tt, en }[language];
    setLanguage(language);
    for (const { kind, quantities, units } of KINDS) {
      expect(catalogue).toHaveProperty(`kind_${kind}`);
      for (const { name } of quantities) expect(catalogue).toHaveProperty(`quantity_${name}`);
      for (const unit of units) expect(unitText(unit)).not.toContain('_');
    }
  });
});

describe('the delay of the trace', () => {
  const today = new Date(2026, 2, 1, 12);
  const now = today.getTime();

  it('is a delay while live, a time of day afterwards', () => {
    expect(delayText(now - 340, now, today)).toBe('задержка 0,3 с');
    expect(delayText(now - 120_000, now, today)).toBe('последние данные: 11:58');
    expect(delayText(0, now, today)).toBe('данных ещё нет');
  });

  it('says when the recorder’s clock is ahead', () => {
    expect(delayText(now + 60_000, now, today)).toBe('часы прибора спешат');
  });
});

describe('what may be said of the signal', () => {
  const vitals = (more: Partial<Vitals>): Vitals => ({
    stream: 's',
    heart_rate_bpm: 72,
    quality: 'good',
    reason: null,
    at: new Date(1_000).toISOString(),
    ...more,
  });

  it('is the rate while it can be believed', () => {
    expect(present(vitals({}), 1_000, 1_500, 0).rate).toBe(72);
    expect(present(vitals({ quality: 'noisy' }), 1_000, 1_500, 0).rate).toBe(72);
  });

  it.each(['unusable', 'lead_off', 'no_signal'] as const)('is no rate when it is %s', (quality) => {
    expect(present(vitals({ quality }), 1_000, 1_500, 0)).toMatchObject({ rate: null, quality });
  });

  it('is that it comes late, without a rate, when old samples have only just come', () => {
    const old = vitals({ at: new Date(1_000).toISOString() });
    expect(present(old, 240_000, 240_500, 0)).toEqual({
      rate: null,
      quality: 'late',
      reason: null,
    });
    expect(present(vitals({ at: 'no time' }), 1_000, 1_500, 0).rate).toBeNull();
    const off = vitals({ quality: 'lead_off', at: new Date(1_000).toISOString() });
    expect(present(off, 240_000, 240_500, 0).quality).toBe('late');
  });

  it('goes by the server’s clock where this device’s is wrong', () => {
    expect(present(vitals({}), 600_000, 600_500, -599_000)).toMatchObject({ rate: 72 });
    expect(present(vitals({}), 1_000, 1_500, 599_000)).toMatchObject({ quality: 'late' });
  });

  it('is no signal when nothing comes any more, whatever was said last', () => {
    expect(present(vitals({}), 1_000, 4_500, 0)).toMatchObject({
      rate: null,
      quality: 'no_signal',
    });
    expect(present(undefined, undefined, 0, 0).quality).toBe('no_signal');
  });
});
