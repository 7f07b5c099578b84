// app/main.ts
import "reflect-metadata";
import { NestFactory } from "@nestjs/core";
import { AppModule } from "./app.js";

const app = await NestFactory.create(AppModule);
await app.listen(process.env.PORT ?? 3000);
