//! The same input gives the same bytes.

use whittle_release::build::{Request, build};

use crate::support::{PRODUCT, Workshop, request, small_series, test_key};

#[test]
fn one_thread_or_two_twice_gives_the_same_bytes() {
    let (series, key) = (small_series(), test_key());
    let mut built = Vec::new();
    for threads in [1, 2, 1, 2] {
        built.push(
            build(&Request { threads, ..request(&series, &key) }, &|_| {}).expect("builds").files,
        );
    }
    assert!(built.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn build_check_compares_every_byte() {
    let shop = Workshop::new();
    let args = [
        "build",
        "--product",
        PRODUCT,
        "--target",
        "3.bin",
        "--target-version",
        "1",
        "--base",
        "2.bin",
    ];
    let args =
        [&args[..], &["--key", "keys/release.key.pem", "--out", "checked", "--check"]].concat();
    assert!(shop.whittle(&args).ok().stdout.contains("a rebuild gave the same bytes"));
    shop.whittle(&args).ok();

    let package = format!("checked/{PRODUCT}-1-full.pkg");
    let mut bytes = shop.read(&package);
    *bytes.last_mut().expect("not empty") ^= 1;
    shop.write(&package, &bytes);
    let differs = shop.whittle(&args);
    assert_eq!(differs.code, 9, "{differs:?}");
    assert!(differs.stderr.contains("full.pkg"), "{differs:?}");
}
