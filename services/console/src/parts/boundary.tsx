import { Button } from "@mantine/core";
import { Component, type ReactNode } from "react";
import { Page } from "./page";
import { Note } from "./states";

interface Props {
  /** Where one is; somewhere else is tried afresh. */
  path: string;
  children: ReactNode;
}

interface State {
  failed: boolean;
}

/**
 * Keeps the frame when a page breaks: above all when its code could not be fetched, because the server is away or was
 * brought to a newer version that has other files. Loading anew gets the present ones.
 */
export class Boundary extends Component<Props, State> {
  override state: State = { failed: false };

  static getDerivedStateFromError(): State {
    return { failed: true };
  }

  override componentDidUpdate(before: Props) {
    if (this.state.failed && before.path !== this.props.path) this.setState({ failed: false });
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <Page title="This page could not be shown">
        <Note tone="bad">The server may be away, or newer than what your browser holds. Load the page again in a moment.</Note>
        <div className="row">
          <Button onClick={() => window.location.reload()}>Load again</Button>
        </div>
      </Page>
    );
  }
}
