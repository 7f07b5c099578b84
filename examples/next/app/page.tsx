"use client";

import { useActionState } from "react";
import { sendFeedback } from "./actions";

export default function Page() {
  const [answer, action] = useActionState(sendFeedback, "");
  return (
    <form action={action}>
      <input name="text" />
      <output>{answer}</output>
    </form>
  );
}
