//! Any snapshot and any action in JSON, one a line: nothing panics, and a session and an explanation agree with the index.

#![no_main]

use libfuzzer_sys::fuzz_target;
use policy_engine::{Action, Index, Snapshot, normalise};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((snapshot, action)) = text.split_once('\n') else { return };
    let Ok(action) = serde_json::from_str::<Action>(action) else { return };
    let path = action.application_path();
    let once = normalise(action.machine.os, path);
    assert_eq!(normalise(action.machine.os, &once), once);
    let Ok(snapshot) = serde_json::from_str::<Snapshot>(snapshot) else { return };
    let Ok(index) = Index::compile(&snapshot) else { return };
    let decision = index.decide(&action);
    assert_eq!(index.session(&action.user, &action.machine).decide(&action).as_ref(), Some(&decision));
    assert_eq!(index.explain(&action).decision, decision);
});
