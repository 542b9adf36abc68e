//! A real server of PostgreSQL in a directory of its own.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

/// Password of each role.
pub(crate) const PASSWORD: &str = "s3cret/@:?";
/// The same in an address.
pub(crate) const ENCODED: &str = "s3cret%2F%40:%3F";

/// Who may log in how: `admin` by the socket alone, everybody else by password, to the database `sealed` by TLS alone.
const LOGINS: &str = "local all admin trust\n\
                      local all all scram-sha-256\n\
                      hostssl sealed all 127.0.0.1/32 scram-sha-256\n\
                      hostnossl sealed all 127.0.0.1/32 reject\n\
                      host all all 127.0.0.1/32 scram-sha-256\n";

/// How the server runs. A commit that does not wait is the default of a careless administrator, which a store has to undo; and
/// what a process has written outlives it, so that nothing is gained by flushing disks.
const SETTINGS: &str =
    "-c listen_addresses=127.0.0.1 -c ssl=on -c synchronous_commit=off -c fsync=off";

/// Stops the server and removes its directory as soon as its input ends: when the tests are over, however they end.
const GUARD: &str = "
    read -r nothing
    pid=$(head -n 1 \"$0/data/postmaster.pid\") && kill -INT \"$pid\"
    for second in 1 2 3 4 5 6 7 8 9 10; do
        kill -0 \"$pid\" && sleep 1
    done
    rm -rf \"$0\"
";

pub(crate) struct Server {
    room: PathBuf,
    programs: PathBuf,
    pub(crate) port: u16,
    process: Option<Child>,
    guard: Child,
}

impl Server {
    /// The one that all tests share which do not kill it.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Makes a server with the roles `owner`, `operator` and `reader`, and starts it.
    pub(crate) fn start() -> Self {
        let room = tempfile::Builder::new().prefix("pg").tempdir().expect("there is room").keep();
        let guard = Command::new("sh")
            .args(["-c", GUARD])
            .arg(&room)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let guard = guard.expect("`sh` runs");
        let mut server = Self { room, programs: programs(), port: 0, process: None, guard };
        server.make();
        server.run();
        let mut admin = server.admin("postgres");
        for role in ["owner", "operator", "reader"] {
            let make = format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'");
            admin.batch_execute(&make).expect("a role");
        }
        server
    }

    fn make(&mut self) {
        if is_root() {
            let owned = Command::new("chown").arg(user()).arg(&self.room).status();
            assert!(owned.expect("`chown` runs").success());
        }
        let args = ["--username=admin", "--auth=trust", "--no-sync", "--encoding=UTF8"];
        self.call("initdb", |command| {
            command.args(args).arg("--locale=C").arg("-D").arg(self.data())
        });
        std::fs::write(self.data().join("pg_hba.conf"), LOGINS).expect("written");
        self.certify();
    }

    /// Makes an authority, and a certificate of the server for `localhost`.
    fn certify(&self) {
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -x509";
        let authority = "-subj /CN=authority -keyout ca.key -out ca.pem";
        let own = "-CA ca.pem -CAkey ca.key -subj /CN=server -keyout data/server.key \
                   -out data/server.crt -addext basicConstraints=critical,CA:FALSE \
                   -addext subjectAltName=DNS:localhost";
        for what in [authority, own] {
            let mut openssl = as_user("openssl".as_ref());
            openssl.arg("req").args(key.split_whitespace()).args(what.split_whitespace());
            let done = openssl.current_dir(&self.room).output().expect("`openssl` runs");
            assert!(done.status.success(), "{done:?}");
        }
        let key = self.data().join("server.key");
        std::fs::set_permissions(key, Permissions::from_mode(0o600)).expect("set");
    }

    /// The certificate of the authority.
    pub(crate) fn authority(&self) -> String {
        self.room.join("ca.pem").display().to_string()
    }

    fn data(&self) -> PathBuf {
        self.room.join("data")
    }

    /// Starts the server, at the port that it had if it ran before.
    pub(crate) fn run(&mut self) {
        let is_new = self.port == 0;
        for _ in 0..5 {
            if is_new {
                let free = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
                self.port = free.expect("a free port").port();
            }
            if self.comes_up() {
                return;
            }
            // Somebody else has taken the port, or the last one that had it has not let it go.
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("the server does not start: {}", self.log());
    }

    /// Runs the server; whether it answers, rather than ends.
    fn comes_up(&mut self) -> bool {
        let log = std::fs::File::create(self.room.join("log")).expect("there is room");
        let mut postgres = as_user(&self.programs.join("postgres"));
        postgres.arg("-D").arg(self.data()).arg("-k").arg(&self.room);
        postgres.args(["-p", &self.port.to_string()]).args(SETTINGS.split_whitespace());
        let process = postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let mut process = process.expect("`postgres` runs");
        let until = Instant::now() + Duration::from_secs(20);
        while self.connect("postgres").is_err() {
            if process.try_wait().expect("it is ours").is_some() {
                return false;
            }
            assert!(Instant::now() < until, "the server does not answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        self.process = Some(process);
        true
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.room.join("log")).unwrap_or_default()
    }

    /// Ends the server at once, as a power cut would, but for what the system still writes.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("killed");
        process.wait().expect("it ends");
    }

    fn call(&self, program: &str, args: impl FnOnce(&mut Command) -> &mut Command) {
        let mut command = as_user(&self.programs.join(program));
        let done = args(&mut command).output().expect("it runs");
        assert!(done.status.success(), "{program}: {done:?}");
    }

    /// A connection of the superuser.
    pub(crate) fn admin(&self, database: &str) -> Client {
        self.connect(database).expect("the superuser")
    }

    fn connect(&self, database: &str) -> Result<Client, postgres::Error> {
        let mut config = Client::configure();
        config.user("admin").dbname(database).host_path(&self.room).port(self.port);
        config.connect(NoTls)
    }

    /// Makes a database that `owner` owns.
    pub(crate) fn database(&self, name: &str) {
        let make = format!("CREATE DATABASE {name} OWNER owner");
        self.admin("postgres").batch_execute(&make).expect("a database");
    }

    /// Address of a database by the socket.
    pub(crate) fn address(&self, role: &str, database: &str) -> String {
        let socket = self.room.display().to_string().replace('/', "%2F");
        format!("postgres://{role}:{ENCODED}@{socket}:{}/{database}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = (self.process.take().map(|mut process| process.wait()), self.guard.wait());
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("`id` runs");
    id.stdout == b"0\n"
}

/// Who runs the server if we are root, whom it refuses.
fn user() -> &'static str {
    let accounts = std::fs::read_to_string("/etc/passwd").expect("there are accounts");
    let has_own = accounts.lines().any(|account| account.starts_with("postgres:"));
    if has_own { "postgres" } else { "nobody" }
}

fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user(), "--clear-groups"]).arg(program).current_dir("/");
    command
}

/// Where the programs of the server are: Debian keeps them off the path.
fn programs() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let debian = debian.flatten().map(|version| version.path().join("bin"));
    let mut places = debian.chain(std::env::split_paths(&path));
    let found = places
        .find(|place| ["initdb", "postgres"].iter().all(|program| place.join(program).is_file()));
    found.expect("PostgreSQL is not installed: `cargo xtask setup` does it")
}
