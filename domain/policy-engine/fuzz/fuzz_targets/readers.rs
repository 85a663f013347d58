//! Any text as a file of policies, of cases, or of a foreign product: nothing panics, and what is read can be written.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use policy_engine::{cases, import, keeper, validate};

fuzz_target!(|text: &str| {
    let _ = cases::run(text);
    let _ = keeper::import(text);
    if let Ok(bundle) = import::parse_native(text) {
        for document in &bundle.policies {
            let _ = validate::policy(document, &BTreeMap::new());
            let written = serde_json::to_string(document).expect("writable");
            assert_eq!(import::parse_policy(&written).as_ref(), Ok(document));
        }
    }
});
