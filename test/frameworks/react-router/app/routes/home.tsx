export const loader = () => ({ hello: "world" });

export default function Home({ loaderData }: { loaderData: { hello: string } }) {
  return <h1>{`hello ${loaderData.hello}`}</h1>;
}
