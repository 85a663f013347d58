//! The rows of `docs/benchmarks-decide.md` under criterion: `cargo bench` in this directory.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use decide_bench::peers::{self, Cedar, Rego};
use decide_bench::world;
use policy_engine::pattern::Subject;
use policy_engine::{Index, Os, normalise};

fn compile(count: usize) -> Index {
    let index = Index::compile(&world::snapshot(count)).expect("a legal snapshot");
    index.prepare(Os::Windows);
    index
}

fn growth(c: &mut Criterion) {
    let actions = world::actions(1_000);
    let mut group = c.benchmark_group("decision");
    for count in [100, 1_000, 10_000] {
        let index = compile(count);
        let mut next = actions.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| index.decide(black_box(next.next().expect("endless"))));
        });
    }
}

fn session(c: &mut Criterion) {
    let index = compile(10_000);
    let mut dice = world::Dice(3);
    let (user, machine) = (world::user(&mut dice), world::actions(1).remove(0).machine);
    let session = index.session(&user, &machine);
    let action = world::action(&mut dice, user, machine);
    let path = action.application_path().to_owned();
    let mut group = c.benchmark_group("session");
    group.bench_function("decision", |b| b.iter(|| session.decide(black_box(&action))));
    group.bench_function("normalisation alone", |b| {
        b.iter(|| normalise(Os::Windows, black_box(&path)))
    });
    group.bench_function("compared form alone", |b| {
        b.iter(|| Subject::Path(Os::Windows).canonical(black_box(&path)))
    });
}

fn build(c: &mut Criterion) {
    let snapshot = world::snapshot(10_000);
    c.bench_function("index build", |b| {
        b.iter(|| {
            let index = Index::compile(black_box(&snapshot)).expect("legal");
            index.prepare(Os::Windows);
            index
        });
    });
}

fn beside_peers(c: &mut Criterion) {
    let snapshot = world::snapshot(10_000);
    let index = compile(10_000);
    let action = &world::actions(1)[0];
    let mut group = c.benchmark_group("peers");
    group.sample_size(20);
    group.bench_function("ours", |b| b.iter(|| index.decide(black_box(action))));
    let case = Cedar::case(action);
    for (name, sliced) in [("cedar", false), ("cedar sliced by action", true)] {
        let cedar = Cedar::new(&snapshot, sliced);
        assert_eq!(cedar.matching(&case), peers::ours(&index, action));
        group.bench_function(name, |b| b.iter(|| cedar.matching(black_box(&case))));
    }
    let rego = Rego::new(&snapshot);
    let case = Rego::case(action);
    assert_eq!(rego.matching(&case), peers::ours(&index, action));
    group.bench_function("regorus", |b| b.iter(|| rego.matching(black_box(&case))));
}

criterion_group!(benches, growth, session, build, beside_peers);
criterion_main!(benches);
