/** What `GET /auth/sessions` answers in the invented organisation. */
export function someSessions(): { sessions: Record<string, unknown>[] } {
  const at = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();
  const chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
  const session = (id: string, current: boolean, agent: string | null, method: string) => ({ id, method, address: "192.0.2.17", agent, createdAt: at(-90), seenAt: at(current ? 0 : -60), expiresAt: at(600), current });
  return { sessions: [session("ses_1", true, chrome, "password"), session("ses_2", false, "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "password+totp")] };
}
