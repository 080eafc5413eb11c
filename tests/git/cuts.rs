//! The connection is cut after every so many bytes of a whole run: fetch, commit, push. A further run goes on from what is
//! there, and in the end there is exactly one commit.

use super::relay::Relay;
use super::sshd::Sshd;
use super::*;
use windlass::git::{GitError, Push};

/// What a process does: makes the commit that is due, if nobody has.
fn run(store: &mut Store) -> Result<(), GitError> {
    let heads = store.fetch()?;
    // All that was fetched can be read, whatever happened before.
    let file = store.entry(heads.source, "apps/g0/s0/f0.yaml")?.unwrap();
    assert_eq!(store.blob(file.id, 100)?, b"file: 0\n");
    if let Some(live) = heads.live
        && store.entry(live, "a")?.is_some()
    {
        return Ok(());
    }
    let commit = store.write(heads.live, &file_commit("a", "1"))?;
    assert_eq!(store.push(heads.live, commit)?, Push::Done);
    Ok(())
}

/// Cuts at `points` places that lie evenly between the first byte and the last. Gives the length of a whole run (bytes), how
/// many of the cuts were felt, and how many came after the push had been taken.
fn sweep(world: &World, relay: &Relay, options: &dyn Fn() -> Options, points: u64) -> (u64, u64, u64) {
    let forget = || world.git(&["update-ref", "-d", "refs/heads/live"]);
    // A whole run, for its length.
    let store = |cache: &Path| {
        let mut options = options();
        options.cache = Some(cache.to_owned());
        Store::open(options).unwrap()
    };
    relay.cut_after(u64::MAX);
    run(&mut store(tempfile::tempdir().unwrap().path())).unwrap();
    let whole = relay.mend();
    let expected = world.head("live");
    let (mut felt, mut late) = (0, 0);
    for point in 0..points {
        forget();
        let cache = tempfile::tempdir().unwrap();
        let mut first = store(cache.path());
        relay.cut_after(whole * point / points);
        match run(&mut first) {
            // Where the bytes vary a little (times in headers), the last cuts may come too late.
            Ok(()) => {}
            Err(error) => {
                felt += 1;
                assert!(matches!(error, GitError::Unreachable { .. }), "after {point}/{points} of {whole} bytes: {error:?}");
            }
        }
        late += u64::from(world.head("live").is_some());
        relay.mend();
        // The same process goes on, or another one with what the first has kept.
        let mut next = if point % 2 == 0 { first } else { store(cache.path()) };
        run(&mut next).unwrap_or_else(|error| panic!("cut after {point}/{points} of {whole} bytes, then: {error}"));
        assert_eq!(world.head("live"), expected, "cut after {point}/{points} of {whole} bytes");
        assert_eq!(world.git(&["rev-list", "--count", "live"]), "1");
    }
    (whole, felt, late)
}

/// How many cuts: `WINDLASS_CUTS` where a long sweep is wanted.
fn cuts(usual: u64) -> u64 {
    std::env::var("WINDLASS_CUTS").map_or(usual, |cuts| cuts.parse().unwrap())
}

fn http(way: Way, points: u64) {
    let world = World::with(20, 5);
    let relay = Relay::start(world.server.port);
    let options = || {
        world.server.set(|faults| faults.version_zero = way == Way::HttpZero);
        Options::new(format!("http://127.0.0.1:{}/repo.git", relay.port), "live")
    };
    let (whole, felt, late) = sweep(&world, &relay, &options, points);
    println!("{way:?}: {whole} bytes, {points} cuts, {felt} felt, {late} after the push was taken");
    assert!(felt > points * 9 / 10 && late > 0 && late < points, "{felt} of {points} felt, {late} late");
}

#[test]
fn http_is_cut_everywhere() {
    http(Way::Http, cuts(80));
}

#[test]
fn http_of_version_0_is_cut_everywhere() {
    http(Way::HttpZero, cuts(20));
}

#[test]
fn ssh_is_cut_everywhere() {
    let Some(sshd) = Sshd::start() else { return };
    let world = World::with(20, 5);
    let relay = Relay::start(sshd.port);
    sshd.believe("known_hosts", "host_key", relay.port);
    let points = cuts(8);
    let (whole, felt, _) = sweep(&world, &relay, &|| sshd.options(relay.port, &world.path), points);
    println!("ssh: {whole} bytes, {points} cuts, {felt} felt");
    assert!(felt > points * 3 / 4, "{felt} of {points} felt");
}
