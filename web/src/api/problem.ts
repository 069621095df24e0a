import { isKey, t } from '../i18n/t';

/** What is wrong with one field; a sentence is made of `code` and `params` on screen. */
export interface FieldError {
  field: string;
  code: string;
  params: Record<string, string | number>;
}

/** A refusal of the server (RFC 9457), or its silence: then `code` is `server_away`. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  readonly code: string;
  readonly errorId: string | null;
  readonly params: Record<string, string | number>;
  readonly errors: FieldError[];
  /** Seconds to wait before another try makes sense, when the server named them. */
  readonly retryAfterS: number | null;
  /** The whole document, for codes that carry more (note_changed carries the note). */
  readonly document: Record<string, unknown>;

  constructor(status: number, document: Record<string, unknown>, retryAfterS: number | null) {
    const code = typeof document.code === 'string' ? document.code : codeOf(status);
    super(code);
    this.status = status;
    this.code = code;
    this.errorId = typeof document.error_id === 'string' ? document.error_id : null;
    this.params = (document.params ?? {}) as Problem['params'];
    this.errors = Array.isArray(document.errors) ? (document.errors as FieldError[]) : [];
    this.retryAfterS = retryAfterS;
    this.document = document;
  }

  /** Whether the same request may succeed later without the person changing anything. */
  get passing(): boolean {
    return this.code === 'server_away' || this.status === 503;
  }
}

function codeOf(status: number): string {
  if (status === 401) return 'not_signed_in';
  if (status === 403) return 'forbidden';
  if (status === 404) return 'not_found';
  if (status === 413) return 'body_too_large';
  if (status === 429) return 'too_many_attempts';
  // A proxy in front of a stopped server answers for it.
  if (status === 502 || status === 503 || status === 504) return 'server_away';
  return 'internal';
}

/** The problem of an answer; `body` is what could be read of it. */
export function problemOf(response: Response, body: unknown): Problem {
  const document = typeof body === 'object' && body !== null ? { ...body } : {};
  const wait = response.headers.get('Retry-After');
  const seconds = wait !== null && /^\d+$/.test(wait) ? Number(wait) : null;
  return new Problem(response.status, document, seconds);
}

/** The server did not answer: no link, stopped, or too slow. */
export function serverAway(): Problem {
  return new Problem(0, { code: 'server_away' }, null);
}

/** Whether the same request may succeed after a while: the server is back, or the person signed in. */
export const mayPass = ({ passing, status }: Problem): boolean =>
  passing || status === 401 || status === 429 || status >= 500;

export function toProblem(error: unknown): Problem {
  return error instanceof Problem ? error : serverAway();
}

/**
 * The problem as a sentence in the reader's language. What the sentence cannot explain carries
 * the number under which the operator finds it in the log.
 */
export function problemText(problem: Problem): string {
  const key = `common.problem_${problem.code}`;
  const explained = isKey(key) && key !== 'common.problem_internal';
  const sentence = t(explained ? key : 'common.problem_internal', problem.params);
  if (problem.errorId === null || explained) return sentence;
  return `${sentence} ${t('common.problem_number', { id: problem.errorId })}`;
}
