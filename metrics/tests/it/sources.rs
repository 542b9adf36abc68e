//! Sources that do not fit, and secrets.

use whittle_metrics::prometheus::{Auth, BadSource, SecretPlace, Source};

use crate::server::{JSON, Server};
use crate::support::{chain, reader, source};

const FROM_S: u64 = 1_795_680_000;
const NOW_S: u64 = FROM_S + 3600;

fn error_of_source(source: &Source) -> String {
    chain(&reader(source).unwrap().observe(FROM_S, NOW_S).unwrap_err())
}

#[test]
fn secrets_are_sent_and_never_shown() {
    let secret = "s3cr3t-t0k3n";
    let server = Server::start(move |_, _, _| {
        let body = format!(r#"{{"status":"error","errorType":"x","error":"Bearer {secret}"}}"#);
        (400, JSON, body)
    });
    let bearer = Some(Auth::Bearer(SecretPlace::Env("TOKEN".to_owned())));
    let with_secret = Source { auth: bearer.clone(), ..server.source() };
    let reader_of = reader(&with_secret).unwrap();
    let error = reader_of.observe(FROM_S, NOW_S).unwrap_err();
    assert_eq!(chain(&error), "cannot read offered devices: the query was refused (x): Bearer …");
    let wanted = format!("Bearer {secret}");
    let found = server.authorizations();
    assert!(!found.is_empty() && found.iter().all(|found| *found == wanted), "{found:?}");
    for shown in [format!("{reader_of:?}"), format!("{error:?}"), format!("{with_secret:?}")] {
        assert!(!shown.contains(secret), "{shown}");
    }

    // `whittle:hunter2` in base64, and the password by itself.
    let both = "d2hpdHRsZTpodW50ZXIy";
    let server = Server::start(move |_, _, _| {
        (302, ("location", "/?d2hpdHRsZTpodW50ZXIy=hunter2"), String::new())
    });
    let password = SecretPlace::File("secrets/password".into());
    let basic = Some(Auth::Basic { user: "whittle".to_owned(), password });
    let error = error_of_source(&Source { auth: basic, ..server.source() });
    let wanted =
        "cannot read offered devices: the server answers with a redirect (status 302) to `/?…=…`";
    assert_eq!(error, wanted);
    assert_eq!(server.authorizations(), [format!("Basic {both}")]);

    let error = |source| chain(&reader(&source).unwrap_err());
    let elsewhere = Source { auth: bearer, ..source("http://prometheus.example.com") };
    let wanted = "the secret would be sent to `prometheus.example.com` without TLS, wanted https or `secret_in_clear`";
    assert_eq!(error(elsewhere.clone()), wanted);
    assert!(reader(&Source { secret_in_clear: true, ..elsewhere }).is_ok());
    let auth = Some(Auth::Bearer(SecretPlace::Env("OTHER".to_owned())));
    let wanted = "no secret to show to the server: the environment variable `OTHER` is not set";
    assert_eq!(error(Source { auth, ..server.source() }), wanted);
    let auth = Some(Auth::Bearer(SecretPlace::File("secrets".into())));
    assert!(error(Source { auth, ..server.source() }).contains("cannot read `"));
    assert_eq!(
        error(source("http://me:hunter2@localhost")),
        "the address holds a name or a password, wanted `auth`"
    );
}

#[test]
fn a_source_is_written_down_and_read_back() {
    let whole = source("http://localhost:9090");
    let text = serde_json::to_string(&whole).unwrap();
    assert_eq!(serde_json::from_str::<Source>(&text).unwrap(), whole);
    let both = text.replacen(r#""counter":"#, r#""value":"x","counter":"#, 1);
    let error = serde_json::from_str::<Source>(&both).unwrap_err().to_string();
    assert!(error.starts_with("wanted either `counter` or `value`"), "{error}");
}

/// What somebody gets wrong in a source.
type Change<'a> = &'a dyn Fn(&mut Source);

#[test]
fn sources_that_cannot_work_are_refused_before_they_are_asked() {
    let error = |change: Change<'_>| -> BadSource {
        let mut source = source("http://localhost:1");
        change(&mut source);
        reader(&source).unwrap_err()
    };
    let crashes = |source: &mut Source| source.metrics.remove("crashes").unwrap();
    let cases: [(Change<'_>, &str); 10] = [
        (
            &|source| source.url = "prometheus:9090".into(),
            "`prometheus:9090` is no address such as https://prometheus.example.com: it begins neither with http:// nor with https://",
        ),
        (
            &|source| source.url = "http://a/?x=1".into(),
            "`http://a/?x=1` is no address such as https://prometheus.example.com: it goes on after the path",
        ),
        (&|source| source.timeout_s = 0, "`timeout_s` is 0 s, wanted 1 s or more"),
        (
            &|source| source.devices.offered.value = " ".into(),
            "the query for offered devices is empty",
        ),
        (
            &|source| source.devices.offered.value = "x[$windows]".into(),
            "the query for offered devices has `$windows`, wanted one of `$window` and `$version`",
        ),
        (
            &|source| drop(crashes(source)),
            "no queries for the metric `crashes`, without which the rollout does not go on",
        ),
        (
            &|source| {
                let queries = crashes(source);
                source.metrics.insert("crash".into(), queries);
            },
            "queries for the metric `crash`, which the rollout does not have",
        ),
        (
            &|source| source.metrics.get_mut("battery-drain").unwrap().control.squares = None,
            "`battery-drain` control: squares are for means, and means need them",
        ),
        (
            &|source| {
                source.labels.insert("color".into(), "color".into());
            },
            "the label of attribute `color`: no cell has it, or another attribute has that label",
        ),
        (
            &|source| {
                source.labels.insert("hw".into(), "region".into());
            },
            "the label of attribute `region`: no cell has it, or another attribute has that label",
        ),
    ];
    for (change, wanted) in cases {
        assert_eq!(chain(&error(change)), wanted);
    }
}
