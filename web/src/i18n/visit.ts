import en from './en/visit.json';
import ru from './ru/visit.json';
import { addCatalogue } from './t';
import tt from './tt/visit.json';

// Imported by the visit room, which comes later than the shell: so do its sentences.
addCatalogue('visit', { ru, tt, en });
