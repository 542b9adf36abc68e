//! A store in a database of PostgreSQL.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use whittle_rollout::{Command, replay};
use whittle_rollout_store::{
    Appended, Claim, OpenError, Postgres, Session, SessionError, Store, StoreError, open,
};

use crate::laws::{self, day};
use crate::proxy::{Cut, Proxy};
use crate::server::{ENCODED, PASSWORD, Server};
use crate::world::{START_S, terms};
use crate::{name, processes};

/// A store with the log of a day, of `owner`; which others have what they need.
pub(crate) fn filled(database: &str) -> &'static Server {
    let server = Server::shared();
    server.database(database);
    let mut store = Postgres::open(&server.address("owner", database)).expect("it opens");
    laws::fill(&mut store, "day", &day()[..20]);
    let grants = "
        GRANT USAGE ON SCHEMA whittle TO operator, reader;
        GRANT SELECT, INSERT ON whittle.rollout, whittle.entry, whittle.quarantine TO operator;
        GRANT SELECT ON whittle.version TO operator;
        GRANT SELECT ON ALL TABLES IN SCHEMA whittle TO reader;
    ";
    server.admin(database).batch_execute(grants).expect("granted");
    server
}

/// Why a store does not open. The password is told nowhere.
fn refused(address: &str) -> OpenError {
    let error = open(address).err().unwrap_or_else(|| panic!("`{address}` opens"));
    let told = format!("{error:?} {error}");
    for secret in [PASSWORD, ENCODED, "s3cret"] {
        assert!(!told.contains(secret), "{told}");
    }
    match error {
        StoreError::Open { why, .. } => why,
        other => panic!("{other}"),
    }
}

#[test]
fn it_keeps_the_laws() {
    let server = Server::shared();
    server.database("laws");
    let address = server.address("owner", "laws");
    laws::all(&|| open(&address).expect("it opens"));
}

#[test]
fn two_that_tick_decide_once() {
    let server = Server::shared();
    server.database("ticks");
    processes::decide_once(&server.address("owner", "ticks"));
}

/// Whoever drives a fleet is told that somebody else may have done so in between.
#[test]
fn a_claim_is_lost_with_its_connection() {
    let server = filled("claims");
    let address = server.address("owner", "claims");
    let cut_off = || {
        let all = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
                   WHERE datname = 'claims' AND usename = 'owner'";
        server.admin("claims").batch_execute(all).expect("ended");
    };
    let mut first = open(&address).expect("it opens");
    let claim = |store: &mut dyn Store| store.try_claim(&name("day")).expect("no failure");
    assert_eq!([claim(&mut *first), claim(&mut *first)], [Claim::Taken, Claim::Held]);
    cut_off();
    assert_eq!(claim(&mut *first), Claim::Taken, "somebody else may have had it");
    assert_eq!(claim(&mut *first), Claim::Held);
    cut_off();
    let mut second = open(&address).expect("it opens");
    assert_eq!(claim(&mut *second), Claim::Taken);
    first.rollouts().expect("a connection again, by something else");
    assert_eq!(claim(&mut *first), Claim::Others);
    drop(second);
}

/// What was carried out by older orders, while somebody else followed newer ones, is followed by these.
#[test]
fn who_loses_the_claim_on_the_way_follows_once_more() {
    for has_paused in [false, true] {
        let database = if has_paused { "newer" } else { "alike" };
        let server = filled(database);
        let session = || {
            let store = open(&server.address("owner", database)).expect("it opens");
            Session::open(store, name("day")).expect("it replays")
        };
        let wait = |waited: Duration| {
            assert!(waited < Duration::from_secs(10), "somebody else holds the claim");
            std::thread::sleep(Duration::from_millis(20));
            Ok::<_, SessionError>(())
        };
        let mut first = session();
        let mut followed = vec![];
        let outcome = first.drive(wait, |rollout| {
            let closed = rollout.orders(rollout.state().now_s()).closed;
            if followed.is_empty() {
                let all = format!(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
                     WHERE datname = '{database}' AND usename = 'owner'"
                );
                server.admin(database).batch_execute(&all).expect("ended");
                let mut second = session();
                if has_paused {
                    let order = rollout.state().terms().limits.pause.clone();
                    second.command(START_S, "anna", &Command::Pause(order)).expect("heard");
                }
                second.drive(wait, |_| Ok(())).expect("nobody else does");
            }
            followed.push(closed);
            Ok::<_, SessionError>(())
        });
        outcome.expect("carried out");
        let paused = Some("paused".to_owned());
        assert_eq!(followed, if has_paused { vec![None, paused] } else { vec![None] });
    }
}

#[test]
fn an_operator_reads_and_appends_and_nothing_else() {
    let server = filled("roles");
    let address = |role| server.address(role, "roles");
    let log = day();
    let mut operator = open(&address("operator")).expect("it opens");
    let head = operator.read(&name("day")).expect("may").head;
    let appended = operator.append(&name("day"), head, &log[20], Some("b")).expect("may");
    let Appended::Done(head) = appended else { panic!("nobody else is there") };
    laws::fill(&mut *operator, "other", &log[..1]);

    let mut reader = open(&address("reader")).expect("it opens");
    assert_eq!(reader.read(&name("day")).expect("may").entries, log[..21]);
    assert_eq!(reader.rollouts().expect("may"), [name("day"), name("other")]);
    let refused = reader.append(&name("day"), head, &log[21], None).expect_err("may not");
    assert!(matches!(refused, StoreError::ReadOnly), "{refused}");
    let refused = reader.create(&name("third"), &log[0]).expect_err("may not");
    assert!(matches!(refused, StoreError::ReadOnly), "{refused}");
    assert_eq!(reader.read(&name("day")).expect("may").entries.len(), 21);
}

#[test]
fn a_role_without_permissions_is_told_so() {
    let server = filled("closed");
    server.admin("closed").batch_execute("REVOKE USAGE ON SCHEMA whittle FROM reader").expect("it");
    let why = refused(&server.address("reader", "closed"));
    assert!(matches!(why, OpenError::NotAllowed { may_not: "read the store", .. }), "{why}");
    let grant =
        "GRANT USAGE ON SCHEMA whittle TO reader; REVOKE SELECT ON whittle.entry FROM reader";
    server.admin("closed").batch_execute(grant).expect("it");
    let mut half = open(&server.address("reader", "closed")).expect("it opens");
    let refused_here = half.read(&name("day")).expect_err("entries are closed");
    let StoreError::Open { why, .. } = refused_here else { panic!("{refused_here}") };
    assert!(matches!(why, OpenError::NotAllowed { may_not: "read the store", .. }), "{why}");
    server.database("bare");
    let why = refused(&server.address("operator", "bare"));
    assert!(matches!(why, OpenError::NotAllowed { may_not: "make the tables", .. }), "{why}");
}

#[test]
fn a_log_is_not_changed() {
    let server = filled("tampered");
    let mut admin = server.admin("tampered");
    for table in ["rollout", "entry", "quarantine"] {
        for change in ["DELETE FROM", "TRUNCATE"] {
            let change = format!("{change} whittle.{table}");
            admin.batch_execute(&change).expect_err(&change);
        }
    }
    let gap = "INSERT INTO whittle.entry SELECT rollout, 50, entry, hash FROM whittle.entry WHERE sequence = 3";
    admin.batch_execute(gap).expect_err("its turn does not come");
    let change = "UPDATE whittle.entry SET entry = '{}'";
    let refused = admin.batch_execute(change).expect_err("it stays");
    let why = refused.as_db_error().expect("of the server").message();
    assert!(why.contains("stays as it is"), "{why}");

    admin.batch_execute("ALTER TABLE whittle.entry DISABLE TRIGGER ALL").expect("it can");
    let mut store = open(&server.address("owner", "tampered")).expect("it opens");
    for (change, back, place) in [
        (
            "replace(entry, '2.0.0', '6.6.6') WHERE sequence = 0",
            "replace(entry, '6.6.6', '2.0.0')",
            0,
        ),
        ("entry || ' ' WHERE sequence = 5", "trim(entry)", 5),
    ] {
        admin.batch_execute(&format!("UPDATE whittle.entry SET entry = {change}")).expect("it can");
        let seen = store.read(&name("day")).expect_err("it was changed");
        assert!(matches!(seen, StoreError::Edited { sequence } if sequence == place), "{seen}");
        admin.batch_execute(&format!("UPDATE whittle.entry SET entry = {back}")).expect("it can");
        store.read(&name("day")).expect("as it was");
    }
    admin.batch_execute("DELETE FROM whittle.entry WHERE sequence = 7").expect("it can");
    let seen = store.read(&name("day")).expect_err("one is gone");
    assert!(matches!(seen, StoreError::Edited { sequence: 7 }), "{seen}");
}

#[test]
fn what_is_not_a_store_is_left_alone() {
    let server = filled("later");
    server.admin("later").batch_execute("UPDATE whittle.version SET version = 9").expect("it can");
    let refused = Postgres::open(&server.address("owner", "later")).expect_err("from the future");
    assert!(matches!(refused, StoreError::Newer { found: 9, .. }), "{refused}");

    server.database("foreign_one");
    let theirs = "CREATE SCHEMA whittle; CREATE TABLE whittle.mine (a int)";
    server.admin("foreign_one").batch_execute(theirs).expect("it can");
    let refused = Postgres::open(&server.address("owner", "foreign_one")).expect_err("theirs");
    assert!(matches!(refused, StoreError::Foreign(_)), "{refused}");
    let theirs = "ALTER TABLE whittle.mine RENAME TO version";
    server.admin("foreign_one").batch_execute(theirs).expect("it can");
    let refused = Postgres::open(&server.address("owner", "foreign_one")).expect_err("theirs");
    assert!(matches!(refused, StoreError::Open { .. }), "no permission to look: {refused}");
}

#[test]
fn several_may_make_the_tables_at_once() {
    let server = Server::shared();
    server.database("new");
    let address = server.address("owner", "new");
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| Postgres::open(&address))).collect();
        for one in all {
            one.join().expect("no panic").expect("it opens");
        }
    });
}

#[test]
fn who_does_not_get_in_is_told_why() {
    let server = Server::shared();
    server.database("doors");
    let port = server.port;
    let good = server.address("owner", "doors");
    let why = refused(&good.replace(ENCODED, "s3cret-but-wrong"));
    assert!(matches!(why, OpenError::Login(_)), "{why}");
    let why = refused(&good.replace(&format!(":{ENCODED}"), ""));
    assert!(matches!(why, OpenError::Login(_)), "{why}");
    let why = refused(&good.replace("owner", "nobody_here"));
    assert!(matches!(why, OpenError::Login(_)), "{why}");
    let why = refused(&server.address("owner", "no_such_database"));
    assert!(matches!(why, OpenError::NoDatabase(_)), "{why}");
    let why = refused(&good.replace("postgres://", "mysql://"));
    assert!(matches!(why, OpenError::Address(_)), "{why}");
    open(&good.replace("postgres://", "PostgreSQL://")).expect("the same");
    let why = refused(&format!("postgres://owner:{ENCODED}@127.0.0.1:1/doors"));
    assert!(matches!(why, OpenError::Unreachable(_)), "{why}");
    let why = refused(&format!("postgres://owner:{ENCODED}@no.such.host.invalid/doors"));
    assert!(matches!(why, OpenError::Unreachable(_)), "{why}");
    let why = refused(&format!("postgres://owner:{ENCODED}@localhost:{port}/sealed"));
    assert!(matches!(why, OpenError::Login(_)), "in clear: {why}");
    let store = Postgres::open(&good).expect("it opens");
    assert!(!format!("{store:?}").contains("s3cret"), "{store:?}");
}

#[test]
fn a_password_may_be_in_a_file() {
    let server = Server::shared();
    server.database("filed");
    let file = tempfile::NamedTempFile::new().expect("there is room");
    let line = format!("*:{}:filed:owner:{PASSWORD}\n", server.port);
    std::fs::write(file.path(), line).expect("written");
    let of = |role: &str| {
        let address = server.address(role, "filed").replace(&format!(":{ENCODED}"), "");
        format!("{address}?passfile={}", file.path().display())
    };
    open(&of("owner")).expect("it opens");
    let why = refused(&of("operator"));
    assert!(matches!(why, OpenError::Login(_)), "no line fits: {why}");
    std::fs::set_permissions(file.path(), Permissions::from_mode(0o644)).expect("it can");
    let why = refused(&of("owner"));
    assert!(matches!(why, OpenError::Passfile { .. }), "others may read it: {why}");
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("a port").port();
    let began = std::time::Instant::now();
    let why = refused(&format!("postgres://a:{ENCODED}@127.0.0.1:{port}/r?connect_timeout=1"));
    assert!(matches!(why, OpenError::Unreachable(_)), "{why}");
    assert!(began.elapsed() < Duration::from_secs(10), "it has waited");
}

#[test]
fn tls_is_with_the_right_server_or_not_at_all() {
    let server = Server::shared();
    server.database("sealed");
    let of = |host: &str, parameters: &str| {
        format!("postgres://owner:{ENCODED}@{host}:{}/sealed?{parameters}", server.port)
    };
    let authority = format!("sslrootcert={}", server.authority());
    let mut store = open(&of("localhost", &authority)).expect("it opens");
    laws::fill(&mut *store, "day", &day()[..1]);
    let why = refused(&of("localhost", "sslmode=require"));
    assert!(matches!(why, OpenError::Tls(_)), "an authority that nobody knows: {why}");
    let why = refused(&of("127.0.0.1", &authority));
    assert!(matches!(why, OpenError::Tls(_)), "a name that the certificate has not: {why}");
    let why = refused(&of("localhost", "sslrootcert=/no/such/file"));
    assert!(matches!(why, OpenError::Tls(_)), "no authority: {why}");
    let why = refused(&format!("{}?sslmode=require", server.address("owner", "sealed")));
    assert!(matches!(why, OpenError::Tls(_)), "a socket has no TLS: {why}");
}

#[test]
fn a_server_that_is_killed_loses_nothing() {
    let mut server = Server::start();
    server.database("killed");
    let address = server.address("owner", "killed");
    let store = open(&address).expect("it opens");
    Session::start(store, name("shared"), terms(), START_S).expect("it starts");
    let mut child = processes::process("processes::appends", &address);
    for round in 0..2 {
        std::thread::sleep(Duration::from_millis(500 + 130 * round));
        server.kill();
        server.run();
    }
    std::thread::sleep(Duration::from_millis(500));
    let written = processes::last_written(&mut child);
    let log = open(&address).expect("it opens").read(&name("shared")).expect("readable");
    replay(&log.entries, None).expect("it replays");
    let last = log.entries.len() as u64 - 1;
    assert!(last >= written, "entry {written} was written, the last one is {last}");
    assert!(written > 20, "something was written: {written}");
}

#[test]
fn a_commit_that_nobody_hears_of_is_asked_for() {
    let server = filled("unheard");
    let log = day();
    for (place, cut) in [(20, Cut::Before), (21, Cut::After)] {
        let proxy = Proxy::to(server.port, cut);
        let address = format!("postgres://owner:{ENCODED}@127.0.0.1:{}/unheard", proxy.port);
        let mut store = open(&address).expect("it opens");
        let mut kept = store.read(&name("day")).expect("readable");
        proxy.arm();
        laws::append(&mut *store, "day", &mut kept, &log[place..=place]);
        assert!(!proxy.is_armed(), "the connection was cut");
        assert_eq!(kept.entries, log[..=place], "{cut:?}");
    }
}

#[test]
fn a_commit_that_cannot_be_asked_for_is_in_doubt() {
    let server = filled("doubt");
    let mut admin = server.admin("doubt");
    let proxy = Proxy::to(server.port, Cut::After);
    let role = format!("CREATE ROLE leaving LOGIN PASSWORD '{PASSWORD}' IN ROLE owner");
    admin.batch_execute(&role).expect("a role");
    let address = format!("postgres://leaving:{ENCODED}@127.0.0.1:{}/doubt", proxy.port);
    let mut store = open(&address).expect("it opens");
    let kept = store.read(&name("day")).expect("readable");
    admin.batch_execute("ALTER ROLE leaving NOLOGIN").expect("it can");
    proxy.arm();
    let error = store.append(&name("day"), kept.head, &day()[20], None).expect_err("nobody knows");
    let StoreError::Open { why, .. } = error else { panic!("{error}") };
    assert!(matches!(why, OpenError::InDoubt(_)), "{why}");
    admin.batch_execute("ALTER ROLE leaving LOGIN").expect("it can");
    assert_eq!(store.read(&name("day")).expect("readable").entries, day()[..=20]);
}

#[test]
fn a_connection_that_was_ended_is_made_again() {
    let server = filled("ended");
    let mut store = open(&server.address("owner", "ended")).expect("it opens");
    let mut kept = store.read(&name("day")).expect("readable");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = 'ended' AND usename = 'owner'";
    for place in 20..23 {
        server.admin("ended").batch_execute(end).expect("it can");
        laws::append(&mut *store, "day", &mut kept, &day()[place..=place]);
    }
    assert_eq!(kept.entries, day()[..23]);
}
