/** Paper: millimetres, seconds and millivolts to CSS pixels. */

/**
 * CSS defines 1 mm as 96/25.4 px. A real screen may show it larger or smaller, so the trace is true
 * in its proportions but not to a ruler: "not for diagnosis".
 */
export const PX_PER_MM = 96 / 25.4;

export const SPEEDS = [12.5, 25, 50] as const;
export const GAINS = [5, 10, 20] as const;
/** mm per second. */
export type Speed = (typeof SPEEDS)[number];
/** mm per millivolt. */
export type Gain = (typeof GAINS)[number];

export const STANDARD_SPEED: Speed = 25;
export const STANDARD_GAIN: Gain = 10;

export interface Paper {
  speed: Speed;
  gain: Gain;
  /** Sweep width and height of the drawing, CSS px. */
  width: number;
  height: number;
}

export interface Calibration {
  gain_per_mv: number;
  baseline: number;
}

/** Vertical place of an ADC value: 0 mV in the middle, up is positive. */
export function yOf(adc: number, calibration: Calibration, paper: Paper): number {
  const mv = (adc - calibration.baseline) / calibration.gain_per_mv;
  return paper.height / 2 - mv * paper.gain * PX_PER_MM;
}

/** Seconds of signal that fit across the sweep. */
export function secondsAcross(paper: Paper): number {
  return paper.width / (paper.speed * PX_PER_MM);
}

/** Horizontal place of a sample in an endless strip; the sweep wraps it at its width. */
export function stripX(position: number, rateHz: number, paper: Paper): number {
  return (position / rateHz) * paper.speed * PX_PER_MM;
}
