import en from './en/family.json';
import ru from './ru/family.json';
import { addCatalogue } from './t';
import tt from './tt/family.json';

// Imported by its pages, which come later than the shell: so do their sentences.
addCatalogue('family', { ru, tt, en });
