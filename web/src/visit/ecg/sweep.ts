/**
 * The live trace: a sweep over millimetre paper. Each frame draws only the new samples and the erase
 * bar; the paper comes from a cached canvas. A late frame that lands in view redraws the window.
 */

import type { Added, EcgBuffer } from './buffer';
import { Delays } from './delay';
import type { View } from './lanes';
import type { Marks } from './marks';
import {
  GUTTER,
  canvasX,
  paintBeats,
  paintPaper,
  paintTrace,
  type Inks,
  type Strip,
} from './paint';
import { Playhead } from './playhead';
import {
  PX_PER_MM,
  secondsAcross,
  type Calibration,
  type Gain,
  type Paper,
  type Speed,
} from './scale';

/** What `canvas.yanashaSamples()` gives: the samples held and drawn, for measurements from outside. */
export interface EcgSnapshot {
  stream: string;
  rateHz: number;
  gainPerMv: number;
  baseline: number;
  /** Position in the stream of samples[0]. */
  first: number;
  /** ADC units; -32768 where nothing was measured or has not come. */
  samples: number[];
  /** One past the newest drawn position. */
  drawnTo: number;
  /** Positions in view, from the left edge of a frozen strip. */
  from: number;
  to: number;
  /** Closed ranges of frame numbers held. */
  sequences: [number, number][];
}

/** The ECG canvas carries this read-only function. */
export interface EcgCanvas extends HTMLCanvasElement {
  yanashaSamples?: () => EcgSnapshot | null;
}

const ERASE_MM = 5;

interface Source {
  stream: string;
  buffer: EcgBuffer;
  calibration: Calibration;
  marks: Marks;
}

export class Sweep {
  readonly delays = new Delays();
  readonly #canvas: EcgCanvas;
  readonly #pen: CanvasRenderingContext2D;
  readonly #paperCanvas: HTMLCanvasElement;
  readonly #paperPen: CanvasRenderingContext2D;
  #inks: Inks;
  #paper: Paper;
  #ratio = 1;
  #source: Source | null = null;
  #head = new Playhead(0);
  #drawn = 0;
  #lastFrameAt = 0;
  #dirty = true;
  #frozenAt: number | null = null;
  /** Live frames not drawn yet: their end position and the time of their last sample. */
  #waiting: { to: number; sampledAtMs: number }[] = [];
  /** Beats without their mark yet: most are told when the pen is past them, some before. */
  #unmarked: number[] = [];
  smooth = true;

  /** Throws where the browser has no 2D canvas. */
  constructor(canvas: HTMLCanvasElement, inks: Inks, speed: Speed, gain: Gain) {
    this.#canvas = canvas;
    this.#paperCanvas = document.createElement('canvas');
    const pen = canvas.getContext('2d', { alpha: false });
    const paperPen = this.#paperCanvas.getContext('2d', { alpha: false });
    if (pen === null || paperPen === null) throw new Error('no 2D canvas');
    this.#pen = pen;
    this.#paperPen = paperPen;
    this.#inks = inks;
    this.#paper = { speed, gain, width: 1, height: 1 };
    this.#canvas.yanashaSamples = () => this.snapshot();
  }

  get frozen(): boolean {
    return this.#frozenAt !== null;
  }

  /** Seconds of signal across the window. */
  get seconds(): number {
    return secondsAcross(this.#paper);
  }

  /** Unix ms at the right edge of the frozen window. */
  get frozenAtMs(): number | null {
    if (this.#frozenAt === null || this.#source === null) return null;
    return this.#source.buffer.timeMs(this.#frozenAt);
  }

  /** The part of the stream in view; null without one. */
  get view(): View | null {
    const source = this.#source;
    if (source === null) return null;
    const { buffer } = source;
    const { from, to } = this.#seen(source);
    return {
      fromUs: buffer.timeUs(from),
      untilUs: buffer.timeUs(to),
      leftUs: this.#frozenAt === null ? null : buffer.timeUs(from),
      originUs: buffer.startedAtUs,
      acrossUs: this.seconds * 1_000_000,
      width: this.#paper.width,
    };
  }

  /** Millivolts that the paper shows above its zero line, and below. */
  get millivolts(): number {
    return this.#paper.height / 2 / (this.#paper.gain * PX_PER_MM);
  }

  show(source: Source | null): void {
    this.#source = source;
    const end = source?.buffer.end ?? 0;
    this.#head = new Playhead(end);
    this.#frozenAt = null;
    this.#waiting = [];
    this.#unmarked = [];
    this.#dirty = true;
  }

  /** CSS size of the canvas and the screen's pixels per CSS px. */
  resize(width: number, height: number, ratio: number): void {
    this.#ratio = ratio;
    this.#paper = { ...this.#paper, width: Math.max(1, width - GUTTER), height };
    for (const canvas of [this.#canvas, this.#paperCanvas]) {
      canvas.width = Math.max(1, Math.round(width * ratio));
      canvas.height = Math.max(1, Math.round(height * ratio));
    }
    this.#dirty = true;
  }

  rule(speed: Speed, gain: Gain): void {
    this.#paper = { ...this.#paper, speed, gain };
    this.#dirty = true;
  }

  ink(inks: Inks): void {
    this.#inks = inks;
    this.#dirty = true;
  }

  /** A frame came into the shown buffer; `live` frames are timed from their last sample to the screen. */
  added(added: Added, live: boolean): void {
    const source = this.#source;
    if (source === null) return;
    if (added.from < this.#head.position) {
      this.#dirty = true;
    } else if (live) {
      this.#waiting.push({ to: added.to, sampledAtMs: source.buffer.timeMs(added.to - 1) });
    }
    if (!live && added.to >= source.buffer.end) {
      // History is there at once, it is not played again.
      this.#head.position = Math.max(this.#head.position, source.buffer.end);
      this.#dirty = true;
    }
  }

  /** R peaks were found at these times (unix µs). */
  marked(us: readonly number[]): void {
    const source = this.#source;
    if (source === null || this.#frozenAt !== null) return;
    this.#unmarked.push(...us.map((each) => source.buffer.positionOf(each)));
  }

  /** The marks are others than were drawn. */
  markAnew(): void {
    this.#dirty = true;
  }

  /** The page was hidden: what waited is drawn when it is seen again, and says nothing of the link. */
  forgetWaiting(): void {
    this.#waiting = [];
  }

  freeze(on: boolean): void {
    this.#frozenAt = on ? this.#head.position : null;
    this.#dirty = true;
  }

  /** Turn the frozen strip by windows: -1 earlier, 1 later. False when there is nothing there. */
  turn(by: number): boolean {
    const source = this.#source;
    if (source === null || this.#frozenAt === null) return false;
    const across = Math.floor(this.seconds * source.buffer.rateHz);
    const wanted = this.#frozenAt + by * across;
    const low = Math.min(source.buffer.end, source.buffer.begin + across);
    const bounded = Math.min(source.buffer.end, Math.max(low, wanted));
    if (bounded === this.#frozenAt) return false;
    this.#frozenAt = bounded;
    this.#dirty = true;
    return true;
  }

  /** Draw what is new; call once per animation frame. True when something was drawn. */
  frame(nowMs: number, wallMs: number): boolean {
    const source = this.#source;
    const dt = this.#lastFrameAt === 0 ? 0 : nowMs - this.#lastFrameAt;
    this.#lastFrameAt = nowMs;
    if (source !== null) {
      this.#head.advance(source.buffer.end, dt, source.buffer.rateHz, this.smooth);
    }
    const head = this.#head.position;
    let drew = false;
    if (this.#dirty) {
      this.#redraw();
      drew = true;
    } else if (source !== null && this.#frozenAt === null && head > this.#drawn) {
      this.#sweepOn(source, this.#drawn, head);
      drew = true;
    }
    this.#drawn = head;
    if (source !== null && this.#frozenAt === null) this.#markNew(source);
    this.#timeDrawn(head, wallMs);
    return drew;
  }

  snapshot(): EcgSnapshot | null {
    const source = this.#source;
    if (source === null) return null;
    const { buffer, calibration, stream } = source;
    return {
      stream,
      rateHz: buffer.rateHz,
      gainPerMv: calibration.gain_per_mv,
      baseline: calibration.baseline,
      first: buffer.begin,
      samples: Array.from(buffer.slice(buffer.begin, buffer.end)),
      drawnTo: this.#drawn,
      ...this.#seen(source),
      sequences: buffer.sequences.all.map(([from, to]) => [from, to]),
    };
  }

  #strip(source: Source, left: number | null): Strip {
    return { ...source, paper: this.#paper, inks: this.#inks, left };
  }

  #redraw(): void {
    this.#dirty = false;
    const { width, height } = this.#paper;
    this.#paperPen.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    this.#pen.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    paintPaper(this.#paperPen, this.#paper, this.#inks);
    this.#restorePaper(0, GUTTER + width);
    const source = this.#source;
    if (source === null) return;
    this.#pen.save();
    this.#pen.beginPath();
    this.#pen.rect(GUTTER, 0, width, height);
    this.#pen.clip();
    const { from, to } = this.#seen(source);
    const strip = this.#strip(source, this.#frozenAt === null ? null : from);
    paintTrace(this.#pen, strip, from, to);
    const { buffer, marks } = source;
    const beats = marks.within(buffer.timeUs(from), Infinity).map((us) => buffer.positionOf(us));
    paintBeats(
      this.#pen,
      strip,
      beats.filter((position) => position < to),
    );
    this.#unmarked = beats.filter((position) => position >= to);
    this.#pen.restore();
  }

  /** Positions in view: of the sweep all but what the erase bar has taken. */
  #seen(source: Source): { from: number; to: number } {
    const across = this.seconds * source.buffer.rateHz;
    const to = this.#frozenAt ?? this.#head.position;
    const shown =
      this.#frozenAt === null
        ? Math.max(0, across * (1 - (ERASE_MM * PX_PER_MM) / this.#paper.width))
        : across;
    const from = this.#frozenAt === null ? Math.ceil(to - shown) : Math.floor(to - shown);
    return { from: Math.max(source.buffer.begin, from), to };
  }

  /** Marks for beats that the pen has passed; those of a moment already erased need none. */
  #markNew(source: Source): void {
    if (this.#unmarked.length === 0) return;
    const { from, to } = this.#seen(source);
    const due = this.#unmarked.filter((position) => position >= from && position < to);
    this.#unmarked = this.#unmarked.filter((position) => position >= to);
    if (due.length > 0) paintBeats(this.#pen, this.#strip(source, null), due);
  }

  #sweepOn(source: Source, from: number, to: number): void {
    const strip = this.#strip(source, null);
    const { width } = this.#paper;
    const across = this.seconds * source.buffer.rateHz;
    if (to - from >= across) {
      this.#redraw();
      return;
    }
    const start = canvasX(strip, from) - GUTTER;
    const length = ((to - from) / across) * width + ERASE_MM * PX_PER_MM;
    const stop = start + length;
    this.#restorePaper(GUTTER + start + 1, GUTTER + Math.min(stop, width));
    if (stop > width) this.#restorePaper(GUTTER, GUTTER + Math.min(stop - width, start));
    this.#pen.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    paintTrace(this.#pen, strip, from, to);
  }

  /** Copy a column of clean paper, on whole screen pixels. */
  #restorePaper(fromX: number, toX: number): void {
    const left = Math.floor(fromX * this.#ratio);
    const right = Math.min(this.#canvas.width, Math.ceil(toX * this.#ratio));
    if (right <= left) return;
    this.#pen.setTransform(1, 0, 0, 1, 0, 0);
    const high = this.#canvas.height;
    this.#pen.drawImage(
      this.#paperCanvas,
      left,
      0,
      right - left,
      high,
      left,
      0,
      right - left,
      high,
    );
    this.#pen.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
  }

  #timeDrawn(head: number, wallMs: number): void {
    while (this.#waiting.length > 0 && (this.#waiting[0]?.to ?? Infinity) <= head) {
      const done = this.#waiting.shift();
      if (done !== undefined) this.delays.add(wallMs - done.sampledAtMs);
    }
  }
}
