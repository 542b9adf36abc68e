//! Times encoding and decoding of the thermostat's last update: `cargo bench --manifest-path benches/Cargo.toml`.

use std::hint::black_box;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use whittle_delta::compact::{self, Class, CompactDecoder, LargestTables};
use whittle_delta::zstd::{self, ZstdDecoder};
use whittle_delta::{Decoder, InMemory, Sizes};

/// Fewer samples than criterion would take by itself: one of `compact` takes up to a second.
const ENCODE_SAMPLES: usize = 10;
const DECODE_SAMPLES: usize = 20;

fn image(version: &str) -> Vec<u8> {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/thermostat/images");
    let path = images.join(version).with_added_extension("bin");
    std::fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// A base, if the artifact is a delta, and what the artifact is called.
fn artifacts(base: &[u8]) -> [(&'static str, Option<&[u8]>); 2] {
    [("delta", Some(base)), ("full", None)]
}

fn encode_compact(base: Option<&[u8]>, target: &[u8], class: Class) -> Vec<u8> {
    compact::encode(base, target, compact::Options::of_class(class)).expect("encodes").payload
}

fn encode_zstd(base: Option<&[u8]>, target: &[u8]) -> Vec<u8> {
    zstd::encode(base, target, zstd::Options::default()).expect("encodes").payload
}

fn encoding(criterion: &mut Criterion) {
    let (base, target) = (image("1.2.1"), image("1.2.2"));
    let mut group = criterion.benchmark_group("encode");
    group.sample_size(ENCODE_SAMPLES).throughput(Throughput::Bytes(target.len() as u64));
    for (artifact, base) in artifacts(&base) {
        for class in Class::ALL {
            group.bench_function(
                BenchmarkId::new(format!("compact-{class:?}"), artifact),
                |bench| {
                    bench.iter(|| encode_compact(black_box(base), black_box(&target), class));
                },
            );
        }
        group.bench_function(BenchmarkId::new("zstd", artifact), |bench| {
            bench.iter(|| encode_zstd(black_box(base), black_box(&target)));
        });
    }
    group.finish();
}

fn decoding(criterion: &mut Criterion) {
    let (base, target) = (image("1.2.1"), image("1.2.2"));
    let mut group = criterion.benchmark_group("decode");
    group.sample_size(DECODE_SAMPLES).throughput(Throughput::Bytes(target.len() as u64));
    for (artifact, base) in artifacts(&base) {
        for class in Class::ALL {
            let payload = encode_compact(base, &target, class);
            let mut tables = Box::new(LargestTables::NEW);
            group.bench_function(
                BenchmarkId::new(format!("compact-{class:?}"), artifact),
                |bench| {
                    bench.iter(|| {
                        let sizes = sizes(base, &target, &payload);
                        decode(CompactDecoder::new(sizes, tables.lend()), base, &payload, &target);
                    });
                },
            );
        }
        let payload = encode_zstd(base, &target);
        group.bench_function(BenchmarkId::new("zstd", artifact), |bench| {
            bench.iter(|| {
                let sizes = sizes(base, &target, &payload);
                decode(ZstdDecoder::new(sizes, u64::MAX), base, &payload, &target);
            });
        });
    }
    group.finish();
}

fn sizes(base: Option<&[u8]>, target: &[u8], payload: &[u8]) -> Sizes {
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a small image");
    Sizes { base: len(base.unwrap_or_default()), target: len(target), payload: len(payload) }
}

fn decode(mut decoder: impl Decoder, base: Option<&[u8]>, payload: &[u8], target: &[u8]) {
    let base = base.unwrap_or_default();
    let mut images = InMemory { base, target: Vec::with_capacity(target.len()) };
    let _ = decoder.push(&mut black_box(payload), &mut images).expect("decodes");
    let _ = decoder.finish(&mut images).expect("is complete");
    assert!(images.target == target, "another image");
}

criterion_group!(benches, encoding, decoding);
criterion_main!(benches);
