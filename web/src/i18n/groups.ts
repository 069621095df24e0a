import en from './en/groups.json';
import ru from './ru/groups.json';
import { addCatalogue } from './t';
import tt from './tt/groups.json';

addCatalogue('groups', { ru, tt, en });
