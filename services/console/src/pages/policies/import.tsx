import { Button, Textarea } from "@mantine/core";
import { useId, useState } from "react";
import { graphql } from "../../gql";
import type { PolicyFileQuery } from "../../gql/graphql";
import { useLook } from "../../graphql/hooks";
import { Card, Page } from "../../parts/page";
import { Ready } from "../../parts/states";
import { ImportReport } from "./import-report";

const FileLook = graphql(`
  query PolicyFile($text: String!) {
    policyFile(text: $text) {
      format
      policies
      collections { name kind members }
      refused { policy field message }
      notes { policy field message }
      approvalRules { name users teams escalatedUsers escalatedTeams required }
      hasBaseline
    }
  }
`);

export type PolicyFile = PolicyFileQuery["policyFile"];

/** What one call takes, in bytes of its JSON. */
const LARGEST = 240 * 1024;

/** The text and where it comes from. */
interface Given {
  text: string;
  source: string;
}

/** Takes policies from a file: it is read and judged first, and nothing is written until somebody has seen the report. */
export function ImportPolicies() {
  const [given, setGiven] = useState<Given>();
  return (
    <Page
      title="Import policies"
      trail={{ to: "/policies", label: "Policies" }}
      about="From a file of Portcullis, or from Keeper EPM in either of its two forms. It is read first; nothing is written before you have seen the report."
    >
      <FileForm onGiven={setGiven} />
      {given && <Reading key={given.text} given={given} />}
    </Page>
  );
}

function FileForm({ onGiven }: { onGiven: (given: Given) => void }) {
  const id = useId();
  const [text, setText] = useState("");
  const [source, setSource] = useState("");
  const [wrong, setWrong] = useState<string>();
  const take = (next: string, from: string) => {
    setText(next);
    setSource(from);
    setWrong(undefined);
  };
  const choose = async (file: File | undefined) => {
    if (!file) return;
    if (file.size > LARGEST) {
      setWrong("This file is too large for a browser. Import it in parts, or with “portcullis policy import” on the server.");
      return;
    }
    take(await file.text(), file.name);
  };
  return (
    <Card title="The file">
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (!text.trim()) setWrong("Choose a file, or paste what it holds.");
          else if (new Blob([JSON.stringify(text)]).size > LARGEST) setWrong("This is too much for one import. Take it in parts.");
          else onGiven({ text, source: source || "pasted text" });
        }}
      >
        <div className="stack stack--tight">
          <label className="label" htmlFor={id}>
            File
          </label>
          <input id={id} className="file" type="file" accept=".json,application/json" onChange={(event) => void choose(event.currentTarget.files?.[0])} />
        </div>
        <Textarea
          label="Or its text"
          description="JSON: one policy, a list of them, or a whole export"
          autosize
          minRows={6}
          maxRows={16}
          spellCheck={false}
          styles={{ input: { fontFamily: "var(--mono)", fontSize: "0.84rem" } }}
          value={text}
          error={wrong}
          onChange={(event) => take(event.currentTarget.value, "")}
        />
        <div className="row">
          <Button type="submit">Read it</Button>
          <span className="soft small">This only says what would happen.</span>
        </div>
      </form>
    </Card>
  );
}

function Reading({ given }: { given: Given }) {
  const look = useLook(FileLook, { text: given.text });
  // What is judged is the file as it was when it was read: importing it makes its own names taken.
  const [file, setFile] = useState<PolicyFile>();
  if (!file && look.data) setFile(look.data.policyFile);
  if (file) return <ImportReport file={file} source={given.source} />;
  return <Ready look={look}>{() => null}</Ready>;
}
