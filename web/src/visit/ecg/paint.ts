/** Drawing on ECG paper: grid, calibration mark, trace and gaps. Coordinates are CSS px. */

import type { EcgBuffer } from './buffer';
import { MISSING } from './frames';
import { PX_PER_MM, stripX, yOf, type Calibration, type Paper } from './scale';

export interface Inks {
  paper: string;
  fine: string;
  bold: string;
  trace: string;
  gap: string;
  mark: string;
  beat: string;
}

/** Room at the left for the 1 mV mark. */
export const GUTTER_MM = 9;
export const GUTTER = GUTTER_MM * PX_PER_MM;
const TRACE_PX = 1.6;

type Pen = CanvasRenderingContext2D;

function rule(pen: Pen, width: number, height: number, everyMm: number, ink: string): void {
  pen.strokeStyle = ink;
  pen.lineWidth = 1;
  pen.beginPath();
  // Lines hang on the gutter's edge and on the zero line, where the trace counts from.
  const step = everyMm * PX_PER_MM;
  const middle = height / 2;
  for (let x = GUTTER % step; x <= width; x += step) {
    const at = Math.round(x) + 0.5;
    pen.moveTo(at, 0);
    pen.lineTo(at, height);
  }
  for (let y = middle % step; y <= height; y += step) {
    const at = Math.round(y) + 0.5;
    pen.moveTo(0, at);
    pen.lineTo(width, at);
  }
  pen.stroke();
}

/** Millimetre paper with the 1 mV calibration mark (5 mm wide, `gain` mm high) in the gutter. */
export function paintPaper(pen: Pen, paper: Paper, inks: Inks): void {
  const width = GUTTER + paper.width;
  pen.fillStyle = inks.paper;
  pen.fillRect(0, 0, width, paper.height);
  rule(pen, width, paper.height, 1, inks.fine);
  rule(pen, width, paper.height, 5, inks.bold);

  const zero = paper.height / 2;
  const top = zero - paper.gain * PX_PER_MM;
  const mm = PX_PER_MM;
  pen.strokeStyle = inks.mark;
  pen.lineWidth = TRACE_PX;
  pen.beginPath();
  pen.moveTo(1 * mm, zero);
  pen.lineTo(2 * mm, zero);
  pen.lineTo(2 * mm, top);
  pen.lineTo(7 * mm, top);
  pen.lineTo(7 * mm, zero);
  pen.lineTo(8 * mm, zero);
  pen.stroke();
}

export interface Strip {
  buffer: EcgBuffer;
  calibration: Calibration;
  paper: Paper;
  inks: Inks;
  /** Strip position drawn at the left edge; null wraps (the sweep). */
  left: number | null;
}

/** Horizontal place on the canvas. */
export function canvasX(strip: Strip, position: number): number {
  const { paper, buffer, left } = strip;
  if (left !== null) return GUTTER + stripX(position - left, buffer.rateHz, paper);
  return GUTTER + (stripX(position, buffer.rateHz, paper) % paper.width);
}

/**
 * The trace over positions from..to. The pen lifts where a sample is missing and at the right edge;
 * a run of missing samples is a shaded column, never a line.
 */
export function paintTrace(pen: Pen, strip: Strip, from: number, to: number): void {
  const { buffer, calibration, paper, inks } = strip;
  const step = stripX(1, buffer.rateHz, paper);
  pen.fillStyle = inks.gap;
  pen.strokeStyle = inks.trace;
  pen.lineWidth = TRACE_PX;
  pen.lineJoin = 'round';
  pen.beginPath();
  let down = false;
  let lastX = -1;
  // One sample back, so that pieces drawn one by one meet.
  for (let position = Math.max(buffer.begin, from - 1); position < to; position += 1) {
    const adc = buffer.at(position);
    const x = canvasX(strip, position);
    if (adc === MISSING) {
      down = false;
      if (position >= from) {
        const edge = Math.floor(x);
        pen.fillRect(edge, 0, Math.max(0, Math.floor(x + step) - edge), paper.height);
      }
      continue;
    }
    const y = yOf(adc, calibration, paper);
    if (down && x > lastX) pen.lineTo(x, y);
    else pen.moveTo(x, y);
    down = true;
    lastX = x;
  }
  pen.stroke();
}

/** A beat's mark stands this far over its peak and is so long. */
const OVER_MM = 0.8;
const TICK_MM = 1.8;
/** The peak is looked for so far around the beat: it may be the S wave that was found. */
const AROUND_S = 0.06;

/** Small marks over the R peaks at these positions. */
export function paintBeats(pen: Pen, strip: Strip, positions: readonly number[]): void {
  const { buffer, calibration, paper, inks } = strip;
  const around = Math.round(AROUND_S * buffer.rateHz);
  pen.strokeStyle = inks.beat;
  pen.lineWidth = 2;
  pen.beginPath();
  for (const position of positions) {
    let peak = paper.height / 2;
    for (let near = position - around; near <= position + around; near += 1) {
      const adc = buffer.at(near);
      if (adc !== MISSING) peak = Math.min(peak, yOf(adc, calibration, paper));
    }
    // A peak that leaves the paper keeps its mark on it.
    const foot = Math.max((TICK_MM + 0.5) * PX_PER_MM, peak - OVER_MM * PX_PER_MM);
    const x = canvasX(strip, position);
    pen.moveTo(x, foot);
    pen.lineTo(x, foot - TICK_MM * PX_PER_MM);
  }
  pen.stroke();
}
