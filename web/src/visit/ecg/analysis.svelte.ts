/** What the stored signal says of the part in view: asked once for a stretch, kept while it covers. */

import { api, ask } from '../../api/client';
import { toProblem, type Problem } from '../../api/problem';
import type { components } from '../../api/schema';
import { runs, type Lanes, type RhythmSpan, type View } from './lanes';

export type Analysis = Pick<components['schemas']['EcgAnalysis'], 'beats' | 'seconds' | 'findings'>;
export type FetchAnalysis = (
  stream: string,
  fromUs: number,
  untilUs: number,
  signal: AbortSignal,
) => Promise<Analysis>;

/** A suspicion of a rhythm needs half a minute; what lies around the view belongs to it. */
const AROUND_US = 45_000_000;
/** Leafing quickly must not ask for every page on the way. */
const SETTLED_MS = 250;

interface Kept {
  stream: string;
  fromUs: number;
  untilUs: number;
  lanes: Lanes;
  beats: readonly number[];
}

export const analysisOf =
  (visitId: string): FetchAnalysis =>
  (stream, fromUs, untilUs, signal) =>
    ask(
      api.GET('/api/v1/visits/{visit_id}/ecg/{stream_id}/analysis', {
        params: {
          path: { visit_id: visitId, stream_id: stream },
          query: { from_us: Math.floor(fromUs), until_us: Math.ceil(untilUs) },
        },
        signal,
      }),
    );

export class Analyses {
  /** Of the stretch asked for last; null while it is on its way or was not had. */
  kept = $state.raw<Kept | null>(null);
  busy = $state(false);
  problem = $state.raw<Problem | null>(null);

  readonly #fetch: FetchAnalysis;
  #asking: AbortController | null = null;

  constructor(fetch: FetchAnalysis) {
    this.#fetch = fetch;
  }

  /** Have the analysis of a view of this stream; nothing is asked twice. */
  async want(stream: string, view: View): Promise<void> {
    const { kept } = this;
    const here =
      kept?.stream === stream && kept.fromUs <= view.fromUs && kept.untilUs >= view.untilUs;
    if (here) return;
    this.forget();
    const asking = (this.#asking = new AbortController());
    this.busy = true;
    await new Promise((done) => setTimeout(done, SETTLED_MS));
    if (asking.signal.aborted) return;
    const fromUs = view.fromUs - AROUND_US;
    const untilUs = view.untilUs + AROUND_US;
    try {
      const found = await this.#fetch(stream, fromUs, untilUs, asking.signal);
      if (asking.signal.aborted) return;
      this.kept = {
        stream,
        fromUs: view.fromUs,
        untilUs: view.untilUs,
        lanes: { quality: runs(found.seconds), rhythm: found.findings.map(spanOf) },
        beats: found.beats,
      };
    } catch (error) {
      if (!asking.signal.aborted) this.problem = toProblem(error);
    } finally {
      if (this.#asking === asking) {
        this.#asking = null;
        this.busy = false;
      }
    }
  }

  /** The trace goes on: what was asked is not waited for. */
  forget(): void {
    this.#asking?.abort();
    this.#asking = null;
    this.busy = false;
    this.problem = null;
    this.kept = null;
  }
}

const spanOf = ({ code, first_us, last_us }: RhythmSpan): RhythmSpan => ({
  code,
  first_us,
  last_us,
});
