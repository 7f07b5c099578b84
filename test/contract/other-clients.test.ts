import { OTHER_CLIENTS } from "../support/clients.ts";
import { describeClients } from "./redis-clients.ts";

describeClients(OTHER_CLIENTS, "alone");
