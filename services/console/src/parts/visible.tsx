import { pieces } from "./escape";

export interface VisibleProps {
  text: string;
  /** Prose may have several lines and letters of any direction; anything else is shown in stored order, left to right. */
  prose?: boolean;
}

/** Text from outside, whole, with every unseen character escaped: what an approver decides on. */
export function Visible({ text, prose = false }: VisibleProps) {
  return (
    <bdi className={prose ? "visible visible--prose" : "visible visible--exact"} dir={prose ? "auto" : "ltr"}>
      {pieces(text, prose).map((piece, index) =>
        piece.escaped ? (
          <span key={index} className="visible__escape" title="This character would not be seen">
            {piece.text}
          </span>
        ) : (
          <span key={index}>{piece.text}</span>
        ),
      )}
    </bdi>
  );
}
