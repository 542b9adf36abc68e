//! Builds that find what they made before.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use tempfile::TempDir;
use whittle_publish::cache::{DirectoryCache, SharedCache, TieredCache};
use whittle_release::artifact_cache::{ArtifactCache, CacheKey};
use whittle_release::build::{Built, ENCODING, Event, build_with_cache};
use whittle_release::{CodecChoice, DeviceProfile, Sha256Digest};

use crate::place::Place;
#[cfg(unix)]
use crate::support::pipe;
use crate::support::{Plan, key};
use crate::way::Fault;

const MIB: u64 = 1 << 20;

/// Counts what is asked of another cache.
struct Counting<C> {
    inner: C,
    hits: AtomicUsize,
    misses: AtomicUsize,
    stores: AtomicUsize,
    /// Replays that need not be made.
    spared: AtomicUsize,
    keys: Mutex<Vec<CacheKey>>,
}

impl<C> Counting<C> {
    fn new(inner: C) -> Self {
        let [hits, misses, stores, spared] = [const { AtomicUsize::new(0) }; 4];
        Self { inner, hits, misses, stores, spared, keys: Mutex::new(vec![]) }
    }

    /// Spared replays since the last time.
    fn spared(&self) -> usize {
        self.spared.swap(0, Ordering::Relaxed)
    }

    /// Hits, misses and stores since the last time.
    fn counts(&self) -> (usize, usize, usize) {
        let take = |counter: &AtomicUsize| counter.swap(0, Ordering::Relaxed);
        (take(&self.hits), take(&self.misses), take(&self.stores))
    }
}

impl<C: ArtifactCache> ArtifactCache for Counting<C> {
    fn load(&self, key: &CacheKey) -> Option<Vec<u8>> {
        let found = self.inner.load(key);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    fn store(&self, key: &CacheKey, entry: &[u8]) {
        self.stores.fetch_add(1, Ordering::Relaxed);
        self.keys.lock().expect("no panic").push(*key);
        self.inner.store(key, entry);
    }

    fn was_replayed(&self, key: &CacheKey, entry: &[u8]) -> bool {
        let told = self.inner.was_replayed(key, entry);
        self.spared.fetch_add(usize::from(told), Ordering::Relaxed);
        told
    }

    fn note_replayed(&self, key: &CacheKey, entry: &[u8]) {
        self.inner.note_replayed(key, entry);
    }
}

fn plan() -> Plan {
    Plan { bytes: 30_000, ..Plan::new("1.0", 1) }
}

/// Builds with `compact`, which tells how far it is while it codes; also returns how often it told.
fn build(cache: &dyn ArtifactCache) -> (Built, usize) {
    let told = AtomicUsize::new(0);
    let key = key();
    let profile = DeviceProfile { codec: CodecChoice::Compact, ..DeviceProfile::default() };
    let request = whittle_release::build::Request { profile, ..plan().request(&key) };
    let built = build_with_cache(&request, cache, &|event| {
        if let Event::Encoding { more, .. } = event {
            told.fetch_add(usize::from(more > 0 && more < ENCODING), Ordering::Relaxed);
        }
    });
    (built.expect("builds"), told.into_inner())
}

/// The release as it is made without a cache.
fn plain() -> &'static Built {
    static PLAIN: OnceLock<Built> = OnceLock::new();
    PLAIN.get_or_init(|| {
        let (built, told) = build(&whittle_release::artifact_cache::NoCache);
        assert!(told > 0, "coding tells how far it is");
        built
    })
}

#[test]
fn a_second_build_codes_nothing() {
    let room = TempDir::new().expect("there is room");
    let cache = Counting::new(DirectoryCache::new(&room.path().join("cache"), MIB));
    assert!(build(&cache).0 == *plain());
    assert_eq!(cache.counts(), (0, 3, 3));
    let (again, told) = build(&cache);
    assert!(again == *plain(), "the same bytes and the same report");
    assert_eq!(told, 0, "without coding");
    assert_eq!(cache.counts(), (3, 0, 0));
    assert_eq!(cache.spared(), 3, "nor replaying");
    assert_eq!(cache.inner.trouble(), None);
}

/// Says of every entry that it was replayed.
struct Gullible(DirectoryCache);

impl ArtifactCache for Gullible {
    fn load(&self, key: &CacheKey) -> Option<Vec<u8>> {
        self.0.load(key)
    }

    fn store(&self, key: &CacheKey, entry: &[u8]) {
        self.0.store(key, entry);
    }

    fn was_replayed(&self, _: &CacheKey, _: &[u8]) -> bool {
        true
    }
}

#[test]
fn only_an_entry_that_this_user_replayed_is_spared() {
    let room = TempDir::new().expect("there is room");
    let directory = room.path().join("cache");
    let cache = Counting::new(DirectoryCache::new(&directory, MIB));
    build(&cache);
    let key = cache.keys.lock().expect("no panic")[0];
    let entry = cache.inner.load(&key).expect("there");
    assert!(cache.inner.was_replayed(&key, &entry));
    let forged = forged(&entry);
    assert!(!cache.inner.was_replayed(&key, &forged), "it is of these very bytes");
    cache.inner.store(&key, &forged);
    assert!(
        build(&Gullible(DirectoryCache::new(&directory, MIB))).0 != *plain(),
        "or this happens"
    );
    assert!(build(&cache).0 == *plain());

    let replayed = directory.join("replayed");
    let record = replayed.join(format!("{key}.sealed"));
    let right = std::fs::read(&record).expect("there");
    for place in 0..right.len() {
        let mut wrong = right.clone();
        wrong[place] ^= 1;
        std::fs::write(&record, wrong).expect("written");
        assert!(!cache.inner.was_replayed(&key, &entry), "byte {place}");
    }
    std::fs::write(&record, &right).expect("written");
    assert!(cache.inner.was_replayed(&key, &entry));
    #[cfg(unix)]
    for path in [&record, &replayed] {
        use std::os::unix::fs::PermissionsExt;
        let usual = std::fs::metadata(path).expect("there").permissions();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).expect("set");
        assert!(!cache.inner.was_replayed(&key, &entry), "anybody can write {}", path.display());
        std::fs::set_permissions(path, usual).expect("set");
    }
    std::fs::remove_file(replayed.join("sealing.key")).expect("there");
    assert!(!cache.inner.was_replayed(&key, &entry), "another key");
    cache.counts();
    cache.spared();
    assert!(build(&cache).0 == *plain());
    assert_eq!((cache.counts(), cache.spared()), ((3, 0, 0), 0), "replayed, and not coded");
    build(&cache);
    assert_eq!(cache.spared(), 3);
}

/// What stands in place of the entry with this number.
type Poison<'a> = &'a dyn Fn(usize) -> Vec<u8>;

/// The entry with another payload, and the digest of that.
fn forged(entry: &[u8]) -> Vec<u8> {
    let front = b"whittle artifact 1\n".len();
    let body = front + 4 + 32;
    let head = u32::from_le_bytes(entry[front..front + 4].try_into().expect("four"));
    let mut forged = entry.to_vec();
    for byte in &mut forged[body + head as usize + 1..] {
        *byte ^= 0xa5;
    }
    let digest = Sha256Digest::of(&forged[body..]).0;
    forged[front + 4..body].copy_from_slice(&digest);
    forged
}

#[test]
fn what_is_wrong_in_a_cache_is_made_anew() {
    let room = TempDir::new().expect("there is room");
    let cache = Counting::new(DirectoryCache::new(room.path(), MIB));
    build(&cache);
    let keys = cache.keys.lock().expect("no panic").clone();
    let entries: Vec<_> = keys.iter().map(|key| cache.inner.load(key).expect("there")).collect();
    let poison: [(&str, Poison<'_>); 5] = [
        // Nothing is wrong with it but the payload: only the replay tells.
        ("forged", &|number| forged(&entries[number])),
        ("swapped", &|number| entries[(number + 1) % entries.len()].clone()),
        ("empty", &|_| vec![]),
        ("cut", &|number| entries[number][..entries[number].len() / 2].to_vec()),
        ("flipped", &|number| {
            let mut entry = entries[number].clone();
            *entry.last_mut().expect("not empty") ^= 1;
            entry
        }),
    ];
    for (name, poison) in poison {
        for (number, key) in keys.iter().enumerate() {
            cache.inner.store(key, &poison(number));
        }
        cache.counts();
        assert!(build(&cache).0 == *plain(), "{name}");
        assert_eq!(cache.counts(), (3, 0, 3), "{name}");
        for (key, entry) in keys.iter().zip(&entries) {
            assert_eq!(cache.inner.load(key).as_ref(), Some(entry), "{name}: it is mended");
        }
    }
}

#[test]
fn the_longest_unused_go_first() {
    let room = TempDir::new().expect("there is room");
    let cache = Counting::new(DirectoryCache::new(room.path(), MIB));
    build(&cache);
    let keys = cache.keys.lock().expect("no panic").clone();
    let entries: Vec<_> = keys.iter().map(|key| cache.inner.load(key).expect("there")).collect();
    let other = TempDir::new().expect("there is room");
    let pause = || std::thread::sleep(std::time::Duration::from_millis(20));
    let kept = vec![0; 1000];
    let small = DirectoryCache::new(other.path(), 2500);
    for key in &keys[..2] {
        small.store(key, &kept);
        pause();
    }
    assert!(small.load(&keys[0]).is_some(), "used again");
    pause();
    small.store(&keys[2], &kept);
    let there: Vec<_> = keys.iter().map(|key| small.load(key).is_some()).collect();
    assert_eq!(there, [true, false, true]);
    small.store(&keys[1], &vec![0; 3000]);
    assert!(small.load(&keys[1]).is_none(), "too large for this cache");
    assert_eq!(entries.len(), 3);
}

#[test]
fn what_is_not_the_caches_own_stays() {
    let room = TempDir::new().expect("there is room");
    let cache = Counting::new(DirectoryCache::new(&room.path().join("other"), MIB));
    build(&cache);
    let keys = cache.keys.lock().expect("no panic").clone();
    let named = room.path().join("home");
    let digits = |first: &str| format!("{first}{}", "0".repeat(62));
    let elsewhere = room.path().join("elsewhere");
    let foreign = [
        named.join("photos/holiday.jpg"),
        named.join("photos").join(digits("ab")),
        named.join("ab/notes.txt"),
        named.join("ab").join(digits("cd")),
        named.join("ab").join(digits("AB")),
        named.join("photos/.whittle-abc"),
        elsewhere.join(digits("cd")),
    ];
    let own = [named.join("ab").join(digits("ab")), named.join("ab/.whittle-abc")];
    for path in foreign.iter().chain(&own) {
        std::fs::create_dir_all(path.parent().expect("one")).expect("made");
        let mut file = std::fs::File::create(path).expect("made");
        file.write_all(&[0; 2000]).expect("written");
        let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
        file.set_modified(hour_ago).expect("set");
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(&elsewhere, named.join("cd")).expect("linked");
    let small = DirectoryCache::new(&named, 1500);
    small.store(&keys[0], &[0; 1000]);
    assert!(small.load(&keys[0]).is_some() && small.trouble().is_none());
    for path in foreign {
        assert!(path.exists(), "{}", path.display());
    }
    for path in own {
        assert!(!path.exists(), "{}", path.display());
    }
}

#[cfg(unix)]
#[test]
fn an_entry_that_is_no_file_is_a_miss() {
    let room = TempDir::new().expect("there is room");
    let cache = Counting::new(DirectoryCache::new(room.path(), MIB));
    build(&cache);
    let keys = cache.keys.lock().expect("no panic").clone();
    let path = |key: &CacheKey| room.path().join(format!("{key:.2}")).join(key.to_string());
    for (key, source) in keys.iter().zip(["/dev/zero", "a pipe"]) {
        std::fs::remove_file(path(key)).expect("there");
        if source == "a pipe" {
            pipe(&path(key));
        } else {
            std::os::unix::fs::symlink(source, path(key)).expect("linked");
        }
        assert!(cache.inner.load(key).is_none(), "{source}");
    }
    assert!(build(&cache).0 == *plain());
    assert!(keys.iter().all(|key| cache.inner.load(key).is_some()), "it is mended");
}

#[test]
fn a_directory_that_is_none_is_trouble_but_no_error() {
    let room = TempDir::new().expect("there is room");
    let file = room.path().join("file");
    std::fs::write(&file, "in the way").expect("written");
    let cache = DirectoryCache::new(&file, MIB);
    assert!(build(&cache).0 == *plain());
    let trouble = cache.trouble().expect("told");
    assert!(trouble.contains("not kept"), "{trouble}");
}

#[test]
fn machines_share_what_one_of_them_made() {
    let room = TempDir::new().expect("there is room");
    let machine = |name: &str, place: &Place| {
        let near = DirectoryCache::new(&room.path().join(name), MIB);
        Counting::new(TieredCache { near: Some(near), far: SharedCache::new(place.store()) })
    };
    let place = Place::s3();
    let (first, second) = (machine("first", &place), machine("second", &place));
    build(&first);
    assert_eq!(first.counts(), (0, 3, 3));
    assert_eq!(place.under("artifacts/").len(), 3);
    assert!(build(&second).0 == *plain());
    assert_eq!(second.counts(), (3, 0, 0), "it made nothing");
    assert_eq!(second.spared(), 0, "but replayed what others made");
    place.proxy().set(Fault::None);
    build(&second);
    assert!(place.proxy().seen().is_empty(), "and has them near now");

    // Somebody writes nonsense into the bucket.
    for key in place.under("artifacts/") {
        place.put(&key, b"whittle artifact 1\n and so on");
    }
    let third = machine("third", &place);
    assert!(build(&third).0 == *plain());
    assert_eq!(third.counts(), (3, 0, 3), "found, not believed, made anew");
    assert_eq!(third.inner.trouble(), None);
    let fourth = machine("fourth", &place);
    build(&fourth);
    assert_eq!(fourth.counts(), (3, 0, 0), "and mended for all");
}

#[test]
fn a_store_that_does_not_let_us_fails_no_build() {
    let room = TempDir::new().expect("there is room");
    let place = Place::s3();
    let mut variables = place.variables.clone();
    variables.retain(|(name, _)| name != "AWS_SECRET_ACCESS_KEY");
    variables.push(("AWS_SECRET_ACCESS_KEY".to_owned(), "hunter2".to_owned()));
    let store = whittle_publish::Store::open(&place.location, variables).expect("opens");
    let near = DirectoryCache::new(room.path(), MIB);
    let cache = TieredCache { near: Some(near), far: SharedCache::new(store) };
    assert!(build(&cache).0 == *plain());
    let trouble = cache.trouble().expect("told");
    assert!(
        trouble.contains("shared artifacts are not used") && !trouble.contains("hunter2"),
        "{trouble}"
    );
}
