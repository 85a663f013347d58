# shellcheck shell=sh
# Sourced by scripts that run in steps: `step NAME COMMAND…` runs one and remembers how long it took; a step that
# fails ends the script. `summary` prints the list.

STEPS=''

step() {
    name=$1
    shift
    printf '\n== %s\n' "$name"
    began=$(date +%s)
    if "$@"; then
        STEPS="$STEPS$(printf '%6d s  %s' "$(($(date +%s) - began))" "$name")
"
    else
        code=$?
        printf '\n%s' "$STEPS"
        printf '== failed after %d s: %s (exit code %d)\n' "$(($(date +%s) - began))" "$name" "$code" >&2
        exit "$code"
    fi
}

summary() {
    printf '\n%s== %s: all passed\n' "$STEPS" "$1"
}
