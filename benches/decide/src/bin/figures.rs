//! Prints the rows of `docs/benchmarks-decide.md`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use decide_bench::peers::{self, Cedar, Rego};
use decide_bench::{Spread, spread, world};
use policy_engine::pattern::Subject;
use policy_engine::{Action, Control, Index, Os, Session, Snapshot, normalise};

/// Counts what is allocated and not yet freed.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; only sizes are added up.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn row(name: &str, value: impl std::fmt::Display) {
    println!("{name:<58} {value}");
}

fn show(spread: Spread) -> String {
    format!("median {:>8.0} ns   p99 {:>8.0} ns", spread.median, spread.p99)
}

fn compile(snapshot: &Snapshot) -> Index {
    let index = Index::compile(snapshot).expect("a legal snapshot");
    index.prepare(Os::Windows);
    index
}

fn decide(index: &Index, actions: &[Action], rounds: usize) -> Spread {
    spread(rounds, actions, |action| {
        black_box(index.decide(black_box(action)));
    })
}

/// All policies match one action.
fn all_match() -> (Index, Action) {
    let mut snapshot = world::snapshot(10_000);
    for policy in &mut snapshot.policies {
        let document = &mut policy.document;
        document.policy_type = policy_engine::PolicyType::PrivilegeElevation;
        document.users = vec!["*".into()];
        document.machines = vec!["*".into()];
        (document.files, document.commands) = (Vec::new(), Vec::new());
        document.applications = vec!["*".into()];
    }
    (compile(&snapshot), elevation(r"C:\Tools\setup.exe"))
}

fn elevation(path: &str) -> Action {
    let mut action = world::actions(1).remove(0);
    action.action_type = policy_engine::ActionType::PrivilegeElevation;
    (action.file, action.command_line) = (None, None);
    if let Some(application) = &mut action.application {
        application.path = path.to_owned();
    }
    action
}

/// Patterns that cost as much as patterns can, on the longest path there is.
fn hostile(count: usize, pattern: impl Fn(usize) -> String) -> (Index, Action) {
    let mut snapshot = world::snapshot(count);
    for (i, policy) in snapshot.policies.iter_mut().enumerate() {
        let document = &mut policy.document;
        document.policy_type = policy_engine::PolicyType::PrivilegeElevation;
        document.users = vec!["*".into()];
        document.machines = vec!["*".into()];
        document.controls = vec![Control::Deny];
        (document.files, document.commands) = (Vec::new(), Vec::new());
        document.applications = vec![format!("path:{}", pattern(i))];
    }
    (compile(&snapshot), elevation(&format!(r"C:\aaz{}", "a".repeat(32_760))))
}

/// A session of somebody whom few of the 10,000 policies concern: no policy is for everybody.
fn narrow_session(action: &Action) -> Session {
    let mut snapshot = world::snapshot(10_000);
    snapshot.policies.retain(|policy| policy.document.users != ["*"]);
    let mut dice = world::Dice(3);
    compile(&snapshot).session(&world::user(&mut dice), &action.machine)
}

/// Times the peers on the same actions, after their answers were compared with ours.
fn beside_peers(snapshot: &Snapshot, index: &Index, actions: &[Action], ours: Spread) {
    let actions = &actions[..200];
    let cases: Vec<_> = actions.iter().map(Cedar::case).collect();
    for (name, sliced) in [("Cedar, all policies", false), ("Cedar, sliced by action", true)] {
        let cedar = Cedar::new(snapshot, sliced);
        for (action, case) in actions.iter().zip(&cases) {
            assert_eq!(cedar.matching(case), peers::ours(index, action), "{action:?}");
        }
        let times = spread(1, &cases, |case| {
            black_box(cedar.matching(black_box(case)));
        });
        row(
            name,
            format!("{}   {:.0}x ours", show(times), times.median / ours.median),
        );
    }
    let rego = Rego::new(snapshot);
    let cases: Vec<_> = actions.iter().map(Rego::case).collect();
    for (action, case) in actions.iter().zip(&cases) {
        assert_eq!(rego.matching(case), peers::ours(index, action), "{action:?}");
    }
    let times = spread(1, &cases, |case| {
        black_box(rego.matching(black_box(case)));
    });
    row(
        "regorus, compiled, data filed by who and where",
        format!("{}   {:.0}x ours", show(times), times.median / ours.median),
    );
}

fn main() {
    let actions = world::actions(2_000);
    let snapshot = world::snapshot(10_000);
    let json = serde_json_canonicalizer::to_vec(&snapshot).expect("writable");

    let before = LIVE.load(Ordering::Relaxed);
    let start = Instant::now();
    let index = compile(&snapshot);
    let build = start.elapsed();
    let heap = LIVE.load(Ordering::Relaxed) - before;
    row(
        "index build, 10,000 policies",
        format!("{:.1} ms", build.as_secs_f64() * 1e3),
    );
    row(
        "index heap",
        format!(
            "{:.2} MB, {:.2}x the JSON",
            heap as f64 / 1e6,
            heap as f64 / json.len() as f64
        ),
    );
    let wire = zstd::bulk::compress(&json, 19).expect("compressible").len();
    row(
        "snapshot on the wire (zstd 19)",
        format!("{:.1} B a policy", wire as f64 / 10_000.0),
    );

    let warm = decide(&index, &actions, 50);
    row("decision, 10,000 policies, warm", show(warm));
    row("  p99 / median", format!("{:.1}", warm.p99 / warm.median));
    let small = decide(&compile(&world::snapshot(100)), &actions, 50);
    row("decision, 100 policies, warm", show(small));
    row("  growth 100 -> 10,000", format!("{:.2}x", warm.median / small.median));
    let matched: usize = actions.iter().map(|action| index.decide(action).matched.len()).sum();
    row(
        "  policies matched per action",
        format!("{:.2}", matched as f64 / actions.len() as f64),
    );

    let mut dice = world::Dice(3);
    let (user, machine) = (world::user(&mut dice), actions[0].machine.clone());
    let session = index.session(&user, &machine);
    let own: Vec<Action> = (0..2_000)
        .map(|_| world::action(&mut dice, user.clone(), machine.clone()))
        .collect();
    let in_session = spread(50, &own, |action| {
        black_box(session.decide(black_box(action)));
    });
    let strangers: Vec<Action> = (0..1_000)
        .map(|i| {
            let mut action = own[i].clone();
            action.user.name = format!(r"CORP\stranger{i}");
            action
        })
        .collect();
    let start = Instant::now();
    for action in &strangers {
        black_box(index.decide(action));
    }
    row(
        "first decision of an account on an endpoint",
        format!("{:.0} us", start.elapsed().as_secs_f64() * 1e3),
    );
    let paths: Vec<String> = own.iter().map(|action| action.application_path().to_owned()).collect();
    let alone = spread(50, &paths, |path| {
        black_box(normalise(Os::Windows, black_box(path)));
    });
    row(
        &format!("decision in a session ({} policies in scope)", session.len()),
        show(in_session),
    );
    row("path normalisation alone", show(alone));
    let compared = spread(50, &paths, |path| {
        black_box(Subject::Path(Os::Windows).canonical(black_box(path)));
    });
    row("path normalisation and folding, as compared", show(compared));
    row(
        "  session / normalisation and folding",
        format!("{:.1}x", in_session.median / compared.median),
    );
    let narrow = narrow_session(&actions[0]);
    let in_narrow = spread(50, &own, |action| {
        black_box(narrow.decide(black_box(action)));
    });
    row(
        &format!("decision in a session ({} policies in scope)", narrow.len()),
        show(in_narrow),
    );
    row(
        "  session / normalisation and folding",
        format!("{:.1}x", in_narrow.median / compared.median),
    );

    beside_peers(&snapshot, &index, &actions, warm);

    let (all, action) = all_match();
    row("worst case: all 10,000 match", show(decide(&all, &[action], 200)));
    for (name, count, pattern) in [
        (
            "hostile: one pattern, ?-segment of 1,000",
            1,
            Box::new(|_| format!("*{}b*", "a?".repeat(500))) as Box<dyn Fn(usize) -> String>,
        ),
        (
            "hostile: one pattern, 1,000 literals",
            1,
            Box::new(|_| format!("*{}b*", "a".repeat(1_000))),
        ),
        (
            "hostile: 10,000 patterns, literal",
            10_000,
            Box::new(|i| format!("*{}b*", "a".repeat(900 + i % 100))),
        ),
        (
            "hostile: 10,000 patterns, ?-segments",
            10_000,
            Box::new(|i| format!("*{}b*", "a?".repeat(400 + i % 100))),
        ),
        (
            "hostile: 10,000 patterns, ?-segments that fit",
            10_000,
            Box::new(|i| format!("*{}?a*", "a".repeat(900 + i % 100))),
        ),
        (
            "hostile: 10,000 patterns, near misses",
            10_000,
            Box::new(|i| format!("*{}z*", "a".repeat(900 + i % 100))),
        ),
        (
            "hostile: 10,000 beginnings of 800 ?",
            10_000,
            Box::new(|i| format!(r"C:\{}{i}*", "a?".repeat(400))),
        ),
        (
            "hostile: 10,000 beginnings of 1,000 literals",
            10_000,
            Box::new(|i| format!(r"C:\{}{i}*", "a".repeat(1_000))),
        ),
        (
            "hostile: 10,000 patterns, many stars",
            10_000,
            Box::new(|i| format!("{}*", "*a".repeat(400 + i % 100))),
        ),
    ] {
        let (index, action) = hostile(count, pattern);
        let decision = index.decide(&action);
        row(
            name,
            format!("{}   {}", show(decide(&index, &[action], 10)), decision.settled_by),
        );
    }
}
