export const GET = () => new Response("world");
