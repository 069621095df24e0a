// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { Delays } from '../../src/visit/ecg/delay';
import { Playhead } from '../../src/visit/ecg/playhead';
import { PX_PER_MM, secondsAcross, stripX, yOf, type Paper } from '../../src/visit/ecg/scale';

const paper: Paper = { speed: 25, gain: 10, width: 945, height: 200 };

describe('ECG paper', () => {
  it('gives one second 25 mm and one millivolt 10 mm', () => {
    expect(stripX(360, 360, paper) / PX_PER_MM).toBeCloseTo(25);
    const calibration = { gain_per_mv: 200, baseline: 1024 };
    const millivolt = yOf(1024, calibration, paper) - yOf(1224, calibration, paper);
    expect(millivolt / PX_PER_MM).toBeCloseTo(10);
    expect(yOf(1024, calibration, paper)).toBe(100);
  });

  it('fits half as many seconds at 50 mm/s', () => {
    expect(secondsAcross({ ...paper, speed: 50 })).toBeCloseTo(secondsAcross(paper) / 2);
  });
});

describe('the pen', () => {
  it('draws a frame of 200 ms in 200 ms, at any screen rate', () => {
    for (const dt of [1_000 / 60, 1_000 / 144, 7.3]) {
      const pen = new Playhead(0);
      let ms = 0;
      while (pen.position < 72 && ms < 1_000) {
        pen.advance(72, dt, 360, true);
        ms += dt;
      }
      expect(ms).toBeGreaterThanOrEqual(200 - 0.001);
      expect(ms).toBeLessThan(200 + dt + 4);
    }
  });

  it('keeps its delay below half a second when frames come in pairs', () => {
    const pen = new Playhead(0);
    let worst = 0;
    for (let ms = 0; ms < 10_000; ms += 16) {
      const end = Math.floor(ms / 400) * 144;
      pen.advance(end, 16, 360, true);
      worst = Math.max(worst, end - pen.position);
    }
    expect(worst).toBeLessThan(180);
  });

  it('jumps when more than a second waits', () => {
    expect(new Playhead(0).advance(3_600, 16, 360, true)).toBe(3_600);
  });

  it('moves by whole frames under reduced motion', () => {
    expect(new Playhead(0).advance(72, 16, 360, false)).toBe(72);
  });

  it('stands still without new samples', () => {
    const pen = new Playhead(72);
    expect(pen.advance(72, 10_000, 360, true)).toBe(72);
  });
});

describe('the delay from sample to screen', () => {
  it('is unknown before the first frame', () => {
    expect(new Delays().p95).toBeNull();
  });

  it('is the nearest-rank 95th percentile of the last 300', () => {
    const delays = new Delays();
    for (let i = 0; i < 300; i += 1) delays.add(10_000);
    for (let i = 1; i <= 300; i += 1) delays.add(i);
    expect(delays.p95).toBe(285);
    expect(delays.count).toBe(300);
  });
});
