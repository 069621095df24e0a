/** The time line of a recording: what is shown at a moment, and moments in words. */

import type { Deck } from '../slides/deck';

export interface Take {
  started_at: string;
  base_ms: number;
  duration_ms: number;
}

/** A piece that is not there: black and silent, so that everything after it keeps its time. */
export interface Gap {
  start_ms: number;
  duration_ms: number;
}

/** From here on this slide was on screen. */
export interface Chapter {
  start_ms: number;
  deck_id: string;
  page: number;
  /** The first line written on the slide. */
  title: string | null;
}

export interface Presentation {
  state: 'none' | 'recording' | 'preparing' | 'ready';
  duration_ms: number;
  size: number;
  audio_size: number;
  takes: Take[];
  gaps: Gap[];
  chapters: Chapter[];
  title: string;
  audience: 'class' | 'school' | null;
}

/** The place of the chapter going on at `ms`; -1 before the first one. */
export function chapterAt(chapters: readonly Chapter[], ms: number): number {
  return chapters.findLastIndex((chapter) => chapter.start_ms <= ms);
}

export function gapAt(gaps: readonly Gap[], ms: number): Gap | null {
  return gaps.find((gap) => gap.start_ms <= ms && ms < gap.start_ms + gap.duration_ms) ?? null;
}

/** A gap's length as it is told: whole seconds, never “0 s”. */
export const gapSeconds = (gap: Gap): number => Math.max(1, Math.round(gap.duration_ms / 1_000));

/** 4:05 or 1:04:05; the same in all three languages. */
export function clockText(ms: number): string {
  const whole = Math.max(0, Math.floor(ms / 1_000));
  const two = (value: number): string => String(value).padStart(2, '0');
  const [hours, minutes, seconds] = [
    Math.floor(whole / 3600),
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

/**
 * The slides a chapter is of. The lesson keeps the texts of its present slides only; of earlier
 * ones a chapter still knows the page and its title.
 */
export function deckOf(chapter: Chapter, chapters: readonly Chapter[], present: Deck | null): Deck {
  if (present?.id === chapter.deck_id) return present;
  const same = chapters.filter((one) => one.deck_id === chapter.deck_id);
  const pages = Math.max(...same.map((one) => one.page));
  const texts = Array.from({ length: pages }, () => '');
  for (const one of same) texts[one.page - 1] = one.title ?? '';
  return { id: chapter.deck_id, name: '', pages, texts };
}

/** Percent of the time line, for a mark on it. */
export function shareOf(ms: number, durationMs: number): number {
  return durationMs > 0 ? Math.min(100, Math.max(0, (ms / durationMs) * 100)) : 0;
}
