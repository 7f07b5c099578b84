import { MAIN_CLIENTS } from "../support/clients.ts";
import { describeClients } from "./redis-clients.ts";

describeClients(MAIN_CLIENTS);
