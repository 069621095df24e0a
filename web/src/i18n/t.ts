import enCommon from './en/common.json';
import enDay from './en/day.json';
import enSignIn from './en/sign-in.json';
import { language, type Language } from './language.svelte';
import { formatNumber } from './numbers';
import { pluralForm, type PluralForm } from './plurals';
import ruCommon from './ru/common.json';
import ruDay from './ru/day.json';
import ruSignIn from './ru/sign-in.json';
import type ruAdmin from './ru/admin.json';
import type ruCall from './ru/call.json';
import type ruCharts from './ru/charts.json';
import type ruConsents from './ru/consents.json';
import type ruDevices from './ru/devices.json';
import type ruDocuments from './ru/documents.json';
import type ruEcg from './ru/ecg.json';
import type ruErasures from './ru/erasures.json';
import type ruEnter from './ru/enter.json';
import type ruFamily from './ru/family.json';
import type ruFiles from './ru/files.json';
import type ruGroups from './ru/groups.json';
import type ruImports from './ru/imports.json';
import type ruLooked from './ru/looked.json';
import type ruNotices from './ru/notices.json';
import type ruRecords from './ru/records.json';
import type ruSecurity from './ru/security.json';
import type ruShare from './ru/share.json';
import type ruLesson from './ru/lesson.json';
import type ruLadder from './ru/ladder.json';
import type ruLink from './ru/link.json';
import type ruSlides from './ru/slides.json';
import type ruVisit from './ru/visit.json';
import type ruWatch from './ru/watch.json';
import ttCommon from './tt/common.json';
import ttDay from './tt/day.json';
import ttSignIn from './tt/sign-in.json';

/** A sentence, or its plural forms chosen by the parameter `count`. `{name}` is filled in. */
export type Message = string | Partial<Record<PluralForm, string>>;
export type Catalogue = Readonly<Record<string, Message>>;

/** The Russian catalogues name the keys; tests hold the others to the same set. */
interface Catalogues {
  common: typeof ruCommon;
  'sign-in': typeof ruSignIn;
  day: typeof ruDay;
  visit: typeof ruVisit;
  ecg: typeof ruEcg;
  lesson: typeof ruLesson;
  ladder: typeof ruLadder;
  link: typeof ruLink;
  slides: typeof ruSlides;
  watch: typeof ruWatch;
  family: typeof ruFamily;
  security: typeof ruSecurity;
  enter: typeof ruEnter;
  consents: typeof ruConsents;
  share: typeof ruShare;
  files: typeof ruFiles;
  imports: typeof ruImports;
  looked: typeof ruLooked;
  notices: typeof ruNotices;
  records: typeof ruRecords;
  devices: typeof ruDevices;
  documents: typeof ruDocuments;
  charts: typeof ruCharts;
  admin: typeof ruAdmin;
  call: typeof ruCall;
  groups: typeof ruGroups;
  erasures: typeof ruErasures;
}
export type Feature = keyof Catalogues;
export type Key = { [F in Feature]: `${F}.${keyof Catalogues[F] & string}` }[Feature];
export type Params = Readonly<Record<string, string | number>>;

// The shell's sentences are in the first load in all three languages, so that the language can
// be changed at once, and also while the server is away. Larger features add theirs as they load.
const loaded: Record<Language, Partial<Record<Feature, Catalogue>>> = {
  ru: { common: ruCommon, 'sign-in': ruSignIn, day: ruDay },
  tt: { common: ttCommon, 'sign-in': ttSignIn, day: ttDay },
  en: { common: enCommon, 'sign-in': enSignIn, day: enDay },
};

/** Adds the sentences of a feature that is loaded with its page. */
export function addCatalogue(feature: Feature, catalogues: Record<Language, Catalogue>): void {
  for (const [name, catalogue] of Object.entries(catalogues)) {
    loaded[name as Language][feature] = catalogue;
  }
}

function find(name: Language, key: string): Message | undefined {
  const dot = key.indexOf('.');
  return loaded[name][key.slice(0, dot) as Feature]?.[key.slice(dot + 1)];
}

function fill(sentence: string, name: Language, params: Params): string {
  return sentence.replace(/\{(\w+)\}/g, (whole, param: string) => {
    const value = params[param];
    if (value === undefined) return whole;
    return typeof value === 'number' ? formatNumber(value, name) : value;
  });
}

/** The sentence of `key` in a given language; `t` is what pages use. */
export function translate(name: Language, key: Key, params: Params = {}): string {
  const message = find(name, key);
  if (message === undefined) return key;
  if (typeof message === 'string') return fill(message, name, params);
  const form = pluralForm(name, Number(params.count));
  return fill(message[form] ?? message.other ?? key, name, params);
}

/** The sentence of `key` in the reader's language. Followed by templates when that changes. */
export function t(key: Key, params: Params = {}): string {
  return translate(language(), key, params);
}

/** Whether there is such a sentence: for codes of a server newer than this page. */
export function isKey(key: string): key is Key {
  return find('ru', key) !== undefined;
}
