import { api, ask } from '../api/client';
import type { Problem } from '../api/problem';
import type { components } from '../api/schema';
import { isKey, t } from '../i18n/t';

/** A list of people as a file: sent to be looked at, then to be stored. */
export type ImportReport = components['schemas']['ImportReport'];
export type Mode = 'look' | 'whole' | 'skip';

export const MOST_BYTES = 5_000_000;

/** A file as it may look; column names and roles are understood in three languages. */
export const SAMPLE = [
  'имя;фамилия;дата рождения;роль;класс;номер;номера родителей',
  'Айдар;Вәлиев;17.05.2012;ученик;7А;1042;2042',
  'Дамир;Вәлиев;;отец;;2042;',
  'Анна;Ковалёва;;учитель;;17;',
].join('\n');

const PATH = '/api/v1/organisations/{organisation_id}/imports';

export function sendList(org: string, file: File, mode: Mode): Promise<ImportReport> {
  return ask(
    api.POST(PATH, {
      params: { path: { organisation_id: org }, query: { mode } },
      // Bytes, whatever the schema calls them; the server sees by itself which kind of file it is.
      body: file as unknown as string,
      bodySerializer: (body: unknown) => body as Blob,
      headers: { 'Content-Type': 'application/octet-stream' },
    }),
  );
}

/** Our own sentences for a file that is refused as a whole; null when the common one says it. */
export function refusalText(problem: Problem): string | null {
  if (problem.code !== 'roster_refused') return null;
  const said = problem.errors.map((error) => {
    const key = `admin.file_${error.code}`;
    const sentence = isKey(key) ? t(key, error.params) : '';
    return error.field.endsWith('.csv') && sentence ? `${error.field}: ${sentence}` : sentence;
  });
  return said.filter(Boolean).join(' ') || null;
}
