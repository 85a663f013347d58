import { TextInput } from "@mantine/core";
import { useEffect, useRef, useState } from "react";

/** Text to search for, passed on when typing pauses for 300 ms. */
export function SearchBox({
  value,
  onChange,
  label,
  placeholder,
}: {
  value: string;
  onChange: (value: string) => void;
  label: string;
  placeholder?: string;
}) {
  const [text, setText] = useState(value);
  const pass = useRef(onChange);
  pass.current = onChange;
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => pass.current(text), 300);
    return () => clearTimeout(timer);
  }, [text, value]);
  return (
    <TextInput
      className="filters__wide"
      type="search"
      label={label}
      placeholder={placeholder}
      value={text}
      onChange={(event) => setText(event.currentTarget.value)}
    />
  );
}
