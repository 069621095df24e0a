import en from './en/admin.json';
import ru from './ru/admin.json';
import { addCatalogue } from './t';
import tt from './tt/admin.json';

// Imported by its pages, which come later than the shell: so do their sentences.
addCatalogue('admin', { ru, tt, en });
