import en from './en/link.json';
import ru from './ru/link.json';
import { addCatalogue } from './t';
import tt from './tt/link.json';

// Imported by what says how a link is, which comes after the call.
addCatalogue('link', { ru, tt, en });
