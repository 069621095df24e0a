/** Sends one PDF and says how it goes. What cannot be slides is refused before a byte is sent. */

import type { Problem } from '../api/problem';
import { sendFile, type Sending } from '../api/sending';
import type { Deck } from './deck';

export const MOST_BYTES = 50 * 1024 * 1024;
/** A reader of PDF looks for the mark in the first kilobyte; some programs write before it. */
const MARK_WITHIN = 1024;

export type Refusal =
  'one_file' | 'not_a_pdf' | 'broken_pdf' | 'pdf_locked' | 'too_many_pages' | 'too_large' | 'away';

const OF_SERVER: readonly string[] = [
  'not_a_pdf',
  'broken_pdf',
  'pdf_locked',
  'too_many_pages',
  'too_large',
];

/** Our own sentence for a refusal of the server, or null when the common one says it. */
export function refusalOf(problem: Problem): Refusal | null {
  for (const code of [problem.code, ...problem.errors.map((error) => error.code)]) {
    if (OF_SERVER.includes(code)) return code as Refusal;
  }
  if (problem.status === 413) return 'too_large';
  return problem.code === 'server_away' || problem.code === 'body_too_slow' ? 'away' : null;
}

/** Why this file cannot be slides, seen without sending it; null when it may. */
export async function lookInto(file: Blob): Promise<Refusal | null> {
  if (file.size > MOST_BYTES) return 'too_large';
  const head = new Uint8Array(await file.slice(0, MARK_WITHIN).arrayBuffer());
  return String.fromCharCode(...head).includes('%PDF-') ? null : 'not_a_pdf';
}

/** Sends the file; `onprogress` hears the share that has left, 1 when the server has it all. */
export function sendSlides(
  lessonId: string,
  file: File,
  onprogress: (share: number) => void,
): Sending<Deck> {
  const url = `/api/v1/lessons/${lessonId}/slides?name=${encodeURIComponent(file.name)}`;
  return sendFile<Deck>(url, 'application/pdf', file, onprogress);
}
