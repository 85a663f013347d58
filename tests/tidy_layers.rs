//! Who may use whom, on `cargo metadata`, and what must not get into a build at all, on `cargo tree`: the former also
//! lists what a feature nobody turned on would bring.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::OnceLock,
};

use serde_json::Value;

use crate::{assert_none, root};

/// The layers, lowest first, each crate with those of ours that it may use (`ARCHITECTURE.md`).
const MAY_USE: &[(&str, &[&str])] = &[
    ("policy-engine", &[]),
    ("formats", &["policy-engine"]),
    ("model", &["policy-engine", "formats"]),
    ("eventstore", &["policy-engine", "formats", "model"]),
    ("projections", &["policy-engine", "formats", "model", "eventstore"]),
    (
        "commands",
        &["policy-engine", "formats", "model", "eventstore", "projections"],
    ),
    (
        "api",
        &[
            "policy-engine",
            "formats",
            "model",
            "eventstore",
            "projections",
            "commands",
        ],
    ),
    (
        "worker",
        &[
            "policy-engine",
            "formats",
            "model",
            "eventstore",
            "projections",
            "commands",
        ],
    ),
    (
        "portcullis",
        &[
            "policy-engine",
            "formats",
            "model",
            "eventstore",
            "projections",
            "commands",
            "api",
            "worker",
            "postgres-supervisor",
            // The demo and the latency benchmark drive real agents.
            "portcullis-agent",
        ],
    ),
    ("portcullis-agent", &["policy-engine", "formats"]),
    ("postgres-supervisor", &[]),
];

/// The crate of these tests, which may use anything.
const TESTS: &str = "stories";

/// What tests may use besides: a database.
const TESTS_MAY_USE: &str = "postgres-supervisor";

/// One TLS and one crypto provider, whose names are not these.
const OTHER_CRYPTO: &[&str] = &["ring", "openssl", "openssl-sys", "native-tls", "boring", "boring-sys"];

/// Whatever reaches a clock, the network, a database or randomness.
const IMPURE: &[&str] = &[
    "tokio",
    "mio",
    "sqlx",
    "sqlx-core",
    "hyper",
    "reqwest",
    "socket2",
    "time",
    "chrono",
    "rand",
];

/// What is needed to build and run a crate, and what only its tests need.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Uses {
    product: BTreeSet<String>,
    tests: BTreeSet<String>,
}

/// The graph of crates by name. Two versions of one crate share a name, and what either uses counts.
type Graph = BTreeMap<String, Uses>;

/// Our own crates, and the graph of everything.
fn workspace() -> &'static (BTreeSet<String>, Graph) {
    static WORKSPACE: OnceLock<(BTreeSet<String>, Graph)> = OnceLock::new();
    WORKSPACE.get_or_init(|| read(&metadata()))
}

/// Cargo's description for this machine's platform.
fn metadata() -> Value {
    let version = Command::new("rustc")
        .arg("-vV")
        .current_dir(root())
        .output()
        .expect("rustc runs");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("rustc names its host");
    let output = cargo(&["metadata", "--locked", "--format-version=1", "--filter-platform", host]);
    serde_json::from_str(&output).expect("cargo writes JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().expect("cargo names its packages")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn read(metadata: &Value) -> (BTreeSet<String>, Graph) {
    let names: BTreeMap<&str, &str> = list(metadata, "packages")
        .iter()
        .map(|package| (text(package, "id"), text(package, "name")))
        .collect();
    let ours = list(metadata, "workspace_members")
        .iter()
        .filter_map(Value::as_str)
        .map(|id| names[id].to_owned());
    let mut graph = Graph::new();
    for node in list(&metadata["resolve"], "nodes") {
        let uses = graph.entry(names[text(node, "id")].to_owned()).or_default();
        for used in list(node, "deps") {
            let name = names[text(used, "pkg")].to_owned();
            if list(used, "dep_kinds")
                .iter()
                .any(|kind| kind["kind"].as_str() != Some("dev"))
            {
                uses.product.insert(name);
            } else {
                uses.tests.insert(name);
            }
        }
    }
    (ours.collect(), graph)
}

/// The crates that `cargo tree` prints, one a line with its version.
fn built(selection: &[&str]) -> BTreeSet<String> {
    let output = cargo(
        &[
            &[
                "tree",
                "--locked",
                "--edges=normal,build",
                "--prefix=none",
                "--format={p}",
            ],
            selection,
        ]
        .concat(),
    );
    output
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// What cargo prints.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// Complaints about crates that use what is not below them.
fn wrong_arrows(ours: &BTreeSet<String>, graph: &Graph) -> Vec<String> {
    let mut complaints = Vec::new();
    for name in ours.iter().filter(|name| *name != TESTS) {
        let Some((_, allowed)) = MAY_USE.iter().find(|(layer, _)| layer == name) else {
            complaints.push(format!("{name} has no place among the layers"));
            continue;
        };
        let uses = &graph[name];
        let may = |used: &String| !ours.contains(used) || allowed.contains(&used.as_str());
        complaints.extend(
            uses.product
                .iter()
                .filter(|used| !may(used))
                .map(|used| format!("{name} > {used}")),
        );
        let may_in_tests = |used: &String| may(used) || used == TESTS_MAY_USE;
        let wrong = uses.tests.iter().filter(|used| !may_in_tests(used));
        complaints.extend(wrong.map(|used| format!("{name} > {used} (in tests)")));
    }
    complaints
}

/// Those of the list that are built.
fn unwanted(built: &BTreeSet<String>, list: &[&str]) -> Vec<String> {
    let found = built.iter().filter(|name| list.contains(&name.as_str()));
    found
        .map(|name| format!("{name} (see `cargo tree -i {name}`)"))
        .collect()
}

#[test]
fn every_crate_uses_only_the_layers_below_it() {
    let (ours, graph) = workspace();
    assert!(ours.len() > MAY_USE.len(), "the workspace was read whole");
    assert_none("an arrow points upwards", &wrong_arrows(ours, graph));
}

#[test]
fn the_engine_knows_no_runtime_no_database_no_clock_and_no_chance() {
    let built = built(&["--package=policy-engine"]);
    assert!(built.contains("serde"), "the tree was read");
    assert_none("the engine must stay pure", &unwanted(&built, IMPURE));
}

#[test]
fn there_is_one_provider_of_tls_and_cryptography() {
    let built = built(&["--workspace"]);
    assert!(
        built.contains("aws-lc-rs"),
        "the tree holds the provider that is wanted"
    );
    assert_none("a second provider got in", &unwanted(&built, OTHER_CRYPTO));
}

#[test]
fn the_checks_notice_what_they_are_there_for() {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
    let graph: Graph = [
        ("model", &["sqlx", "policy-engine"][..], &["postgres-supervisor"][..]),
        ("policy-engine", &["harmless"], &["model"]),
        ("formats", &["model"], &[]),
        ("newcomer", &[], &[]),
    ]
    .map(|(name, product, tests)| {
        (
            name.to_owned(),
            Uses {
                product: names(product),
                tests: names(tests),
            },
        )
    })
    .into();
    let ours = names(&["formats", "model", "policy-engine", "newcomer"]);
    let expected = [
        "formats > model",
        "newcomer has no place among the layers",
        "policy-engine > model (in tests)",
    ];
    assert_eq!(wrong_arrows(&ours, &graph), expected);

    assert_eq!(
        unwanted(&names(&["serde", "tokio"]), IMPURE),
        ["tokio (see `cargo tree -i tokio`)"]
    );
    // The tree of a crate that does use a runtime shows it.
    assert!(!unwanted(&built(&["--package=postgres-supervisor"]), IMPURE).is_empty());
}
