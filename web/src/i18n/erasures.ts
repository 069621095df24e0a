import en from './en/erasures.json';
import ru from './ru/erasures.json';
import { addCatalogue } from './t';
import tt from './tt/erasures.json';

// Imported by its section, which comes later than the shell: so do its sentences.
addCatalogue('erasures', { ru, tt, en });
