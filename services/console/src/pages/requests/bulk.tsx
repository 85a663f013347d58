import { Button, TextInput } from "@mantine/core";
import { useState } from "react";
import { graphql } from "../../gql";
import type { BulkDecideMutation, DecisionVerdict } from "../../gql/graphql";
import { useAct, useLook } from "../../graphql/hooks";
import { asSentence } from "../../graphql/problem";
import { Card } from "../../parts/page";
import { Note, ProblemNote, Ready, Saying } from "../../parts/states";
import { Visible } from "../../parts/visible";
import { PROVE, ProveFirst } from "./prove-first";

const BulkDecideAct = graphql(`
  mutation BulkDecide($input: BulkDecideInput!) {
    bulkDecide(input: $input) {
      results { requestId request { id status } error { code message at by { name } } }
      position
    }
  }
`);

const FactorsLook = graphql(`
  query OwnFactors {
    viewer { user { id totpEnrolled passkeyEnrolled } }
  }
`);

/** What is decided on: the digest that was shown, and the action in one line. */
export interface Chosen {
  digest: string;
  what: string;
}

/** One decision for all chosen requests. Each succeeds or fails on its own, and the failures are named and stay chosen. */
export function BulkDecide({ chosen, onDecided, onDone }: { chosen: ReadonlyMap<string, Chosen>; onDecided: (ids: string[]) => void; onDone: () => void }) {
  const act = useAct(BulkDecideAct);
  const [comment, setComment] = useState("");
  const [proving, setProving] = useState<DecisionVerdict>();
  const factors = useLook(FactorsLook, {}, { pause: proving === undefined });
  const [results, setResults] = useState<BulkDecideMutation["bulkDecide"]["results"]>([]);
  const decide = async (verdict: DecisionVerdict) => {
    const data = await act.run({
      input: {
        verdict,
        comment: comment.trim() || null,
        requests: [...chosen].map(([requestId, { digest }]) => ({ requestId, digest })),
      },
    });
    if (!data) return;
    setProving(data.bulkDecide.results.some((result) => result.error?.code === PROVE) ? verdict : undefined);
    setResults(data.bulkDecide.results);
    if (data.bulkDecide.results.every((result) => !result.error)) onDone();
    else onDecided(data.bulkDecide.results.filter((result) => !result.error).map((result) => result.requestId));
  };
  const failed = results.filter((result) => result.error);
  if (proving) {
    const methods = [factors.data?.viewer.user?.totpEnrolled && "totp", factors.data?.viewer.user?.passkeyEnrolled && "passkey"];
    return (
      <Ready look={factors}>
        {() => (
          <ProveFirst
            methods={methods.filter((method) => typeof method === "string")}
            onCancel={() => setProving(undefined)}
            onDone={() => {
              setProving(undefined);
              void decide(proving);
            }}
          />
        )}
      </Ready>
    );
  }
  return (
    <Card title={chosen.size === 1 ? "1 request chosen" : `${chosen.size} requests chosen`} actions={<Button size="xs" variant="default" onClick={onDone}>Choose none</Button>}>
      <div className="stack">
        <div className="row row--bottom">
          <TextInput className="grow" label="Comment for all of them" value={comment} onChange={(event) => setComment(event.currentTarget.value)} />
          <Button color="pine" loading={act.running} onClick={() => void decide("APPROVED")}>
            Approve {chosen.size}
          </Button>
          <Button color="brick" loading={act.running} onClick={() => void decide("DENIED")}>
            Deny {chosen.size}
          </Button>
        </div>
        <ProblemNote problem={act.problem} />
        {failed.length > 0 && (
          <Note tone="warn" title={`${results.length - failed.length} done, ${failed.length} refused`}>
            <ul>
              {failed.map((result) => (
                <li key={result.requestId}>
                  <Visible text={chosen.get(result.requestId)?.what ?? result.requestId} />:{" "}
                  {result.error && <Saying message={asSentence(result.error.message)} by={result.error.by?.name} at={result.error.at} />}
                </li>
              ))}
            </ul>
          </Note>
        )}
      </div>
    </Card>
  );
}
