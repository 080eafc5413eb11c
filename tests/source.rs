//! tests of source

mod helm;
pub(crate) mod kustomize;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use windlass::source::{self, Folder, Item, ItemKind, Known, Limits, Options, Rendered, SourceError, Tree};

/// A tree in memory, with whatever entries a hand-made Git tree could have.
#[derive(Default)]
struct Memory {
    files: BTreeMap<String, Vec<u8>>,
    /// Directory → entries that are no files.
    odd: Vec<(String, Item)>,
    reads: AtomicUsize,
}

impl Memory {
    fn new(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
        Self { files, ..Self::default() }
    }

    fn odd(mut self, directory: &str, name: &str, kind: ItemKind) -> Self {
        self.odd.push((directory.to_owned(), Item { name: name.to_owned(), kind }));
        self
    }
}

impl Tree for Memory {
    fn list(&self, directory: &str) -> Result<Option<Vec<Item>>, SourceError> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let mut items: BTreeMap<String, ItemKind> = BTreeMap::new();
        for path in self.files.keys() {
            if let Some(rest) = path.strip_prefix(&prefix) {
                match rest.split_once('/') {
                    Some((name, _)) => items.insert(name.to_owned(), ItemKind::Directory),
                    None => items.insert(rest.to_owned(), ItemKind::File),
                };
            }
        }
        let mut items: Vec<Item> = items.into_iter().map(|(name, kind)| Item { name, kind }).collect();
        items.extend(self.odd.iter().filter(|(at, _)| at == directory).map(|(_, item)| item.clone()));
        Ok(if items.is_empty() && !directory.is_empty() { None } else { Some(items) })
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.files.get(path).cloned().ok_or_else(|| SourceError::Repository(format!("{path} was read and is not there")))
    }

    fn identity(&self, path: &str) -> Result<Option<String>, SourceError> {
        let below: Vec<_> = self.files.iter().filter_map(|(file, content)| Some((file.strip_prefix(path)?, content))).collect();
        Ok(if below.is_empty() { None } else { Some(format!("{below:?}")) })
    }
}

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    metadata: {labels: {a: web}}\n    spec: {containers: [{name: app, image: 'web:1'}]}\n";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n";
const ROLLOUT: &str = "apiVersion: rollouts.kruise.io/v1beta1\nkind: Rollout\nmetadata: {name: web}\nspec: {}\n";

fn render(tree: &dyn Tree, directory: &str) -> Result<Rendered, SourceError> {
    source::render(tree, directory, &Options::default())
}

fn keys(rendered: &Rendered) -> Vec<String> {
    rendered.objects.iter().map(|object| object.key().to_string()).collect()
}

fn rollouts(rendered: &Rendered) -> Vec<&str> {
    rendered.rollouts.iter().map(|(path, _)| path.as_str()).collect()
}

// Plain directories.

#[test]
fn a_plain_directory_gives_all_its_manifests() {
    let tree = Memory::new(&[
        ("prod/web/deployment.yaml", DEPLOYMENT),
        ("prod/web/rollout.yaml", ROLLOUT),
        ("prod/web/more/service.yml", SERVICE),
        ("prod/web/more/map.json", r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}}"#),
        ("prod/web/.windlass.yaml", "apiVersion: windlass.dev/v1alpha1\nkind: Repository\n"),
        ("prod/web/.hidden/x.yaml", "not: {a manifest"),
        ("prod/web/README.md", "# web"),
        ("prod/web/settings.yaml", "apiVersion: windlass.dev/v1alpha1\nkind: Config\n"),
        ("prod/other/x.yaml", "not: {a manifest"),
    ]);
    let rendered = render(&tree, "prod/web").unwrap();
    assert_eq!(keys(&rendered), ["Deployment web", "ConfigMap m", "Service web"]);
    assert_eq!(rendered.rollouts, [("prod/web/rollout.yaml".to_owned(), ROLLOUT.to_owned())]);
    assert_eq!(rendered.inputs.keys().collect::<Vec<_>>(), ["prod/web"]);
    assert_eq!(rendered.command, None);
    assert_eq!(render(&tree, "prod/web").unwrap(), rendered);
}

#[test]
fn rollouts_are_told_apart_wherever_they_stand() {
    let ours = "apiVersion: windlass.dev/v1alpha1\nkind: Rollout\nmetadata: {name: b}\n";
    let both = format!("{DEPLOYMENT}---\n{ours}---\n{SERVICE}");
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: rollouts.kruise.io/v1alpha1, kind: Rollout, metadata: {name: c}}\n- {apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {name: d}}\n";
    let tree = Memory::new(&[("a.yaml", &both), ("b.yaml", list)]);
    let rendered = render(&tree, "").unwrap();
    assert_eq!(keys(&rendered), ["Deployment web", "Service web", "Rollout d"]);
    assert_eq!(rollouts(&rendered), ["a.yaml", "b.yaml"]);
    assert_eq!(rendered.rollouts[0].1, both, "positions in the file stay");
    assert!(rendered.rollouts[1].1.contains("name: c") && !rendered.rollouts[1].1.contains("name: d"));
}

#[test]
fn a_subdirectory_that_is_a_source_of_its_own_is_left_alone() {
    let tree = Memory::new(&[
        ("a/web.yaml", DEPLOYMENT),
        ("a/rollout.yaml", ROLLOUT),
        ("a/app/x.yaml", ROLLOUT),
        ("a/app/deeper/y.yaml", "not: {a manifest"),
        ("a/overlay/kustomization.yaml", "resources: [x]"),
        ("a/overlay/patch.yaml", "not: {a manifest"),
        ("a/chart/Chart.yaml", "name: x"),
        ("a/chart/templates/x.yaml", "{{ not }}: {a manifest"),
        ("a/plain/service.yaml", SERVICE),
    ]);
    assert_eq!(keys(&render(&tree, "a").unwrap()), ["Service web", "Deployment web"]);
}

#[test]
fn findings_of_a_source_say_what_and_where() {
    let case = |files: &[(&str, &str)], expected: &[&str]| {
        let error = render(&Memory::new(files), "a").expect_err("accepted").to_string();
        for part in expected {
            assert!(error.contains(part), "{error}");
        }
    };
    case(
        &[("a/x.yaml", DEPLOYMENT), ("a/b/y.yaml", &format!("{SERVICE}---\n{DEPLOYMENT}"))],
        &["Deployment web", "a/b/y.yaml:5", "a/x.yaml:1"],
    );
    case(&[("a/README.md", "x")], &["no manifests"]);
    case(&[("a/x.yaml", "# nothing\n")], &["no manifests"]);
    case(&[("a/rollout.yaml", ROLLOUT)], &["no manifests"]);
    case(&[("a/x.yaml", "a: 1\na: 2\n")], &["a/x.yaml:2:1", "duplicate key", "hint"]);
    case(&[("a/values.yaml", "replicas: 3\n")], &["a/values.yaml:1:1", "apiVersion"]);
    case(&[("a/Chart.yaml", "version: 1.0.0\n")], &["a/Chart.yaml", "the chart has no `name`"]);
    case(&[("a/rollout.yaml", ROLLOUT), ("a/chart/Chart.yaml", "name: x\n")], &["a chart in `chart`", "`source.helm.chart`"]);
    case(&[("b/x.yaml", SERVICE)], &["no such directory"]);
    case(&[("a", SERVICE)], &["this is a file"]);
    let mut tree = Memory::new(&[]);
    tree.files.insert("a/x.yaml".to_owned(), b"a: \xff".to_vec());
    assert!(render(&tree, "a").unwrap_err().to_string().contains("a/x.yaml: no UTF-8"));
}

// Attacks.

fn refused(tree: &Memory, directory: &str, at: &str, word: &str) {
    match render(tree, directory).expect_err("accepted") {
        SourceError::Refused { path, cause } => {
            assert_eq!(path, at, "{cause}");
            assert!(cause.contains(word), "{cause}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!tree.files.contains_key(at), "the test must not be able to read it");
}

#[test]
fn links_and_submodules_are_refused_and_never_read() {
    let base =
        || Memory::new(&[("a/x.yaml", SERVICE), ("k/kustomization.yaml", "resources: [link.yaml]"), ("k/x.yaml", SERVICE)]);
    refused(&base().odd("a", "deploy.yaml", ItemKind::Symlink), "a", "a/deploy.yaml", "symbolic link");
    refused(&base().odd("a", "README", ItemKind::Symlink), "a", "a/README", "symbolic link");
    refused(&base().odd("a", "sub", ItemKind::Submodule), "a", "a/sub", "submodule");
    refused(&base().odd("k", "link.yaml", ItemKind::Symlink), "k", "k/link.yaml", "symbolic link");
    // The directory itself, and one on the way to it.
    refused(&base().odd("", "link", ItemKind::Symlink), "link", "link", "symbolic link");
    refused(&base().odd("", "link", ItemKind::Symlink), "link/below", "link", "symbolic link");
    refused(&base().odd("", "sub", ItemKind::Submodule), "sub/below", "sub", "submodule");
    // A kustomization that leads through a link outside of its directory.
    let tree = Memory::new(&[("k/kustomization.yaml", "resources: [../link/x]"), ("k/x.yaml", SERVICE)]);
    refused(&tree.odd("", "link", ItemKind::Symlink), "k", "link", "symbolic link");
}

#[test]
fn paths_that_are_no_paths_are_refused() {
    let long = "a/".repeat(2100) + "b";
    let deep = vec!["a"; 65].join("/");
    let bad = [
        "../x",
        "/abs",
        "a/../../b",
        "a//b",
        "./",
        "./a",
        "a/.",
        "a/",
        ".git/hooks/x",
        ".GIT",
        "a/.Git",
        "git~1",
        ".git.",
        ".git ",
        ".git::$INDEX",
        "a\0b",
        "a\nb",
        "a\\b",
        "..\\b",
        &long,
        &deep,
        "a\u{202e}b",
        "a\u{200b}b",
        ".g\u{200c}it",
        "CON",
        "con.txt",
        "a/NUL",
        "com1",
        "C:",
        "c:/x",
        "\u{7f}",
    ];
    for path in bad {
        let error = source::check_path(path).expect_err(path);
        assert!(error.to_string().len() < 400);
        assert!(!error.to_string().contains(['\0', '\n', '\u{202e}']));
        assert!(matches!(render(&Memory::new(&[]), path), Err(SourceError::Refused { .. })), "{path:?}");
    }
    for path in
        ["", "a", "a/b.c", ".github/x", "a/.gitignore", "a/..b", "a/b..", "café/ünï", "console/comet", "a b", "xx:y", "git~2"]
    {
        source::check_path(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_path_that_passes_stays_below_the_root(path in "[a-z./\\\\:~\\x00 ]{0,12}|\\PC{0,12}") {
        if source::check_path(&path).is_ok() {
            let joined = Path::new("/root").join(&path);
            proptest::prop_assert!(joined.starts_with("/root"));
            let plain = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_) | std::path::Component::RootDir);
            proptest::prop_assert!(joined.components().all(plain));
        }
    }
}

#[test]
fn entries_that_no_git_would_make_are_refused() {
    for name in ["..", ".", ".git", ".GIT", "", "a/b", "a\\b", "a\0", "a\u{202e}b", "con"] {
        for kind in [ItemKind::File, ItemKind::Directory] {
            let tree = Memory::new(&[("a/x.yaml", SERVICE)]).odd("a", name, kind);
            assert!(matches!(render(&tree, "a"), Err(SourceError::Refused { .. })), "{name:?}");
        }
    }
    let twice = Memory::new(&[("a/x.yaml", SERVICE)]).odd("a", "x.yaml", ItemKind::File);
    refused_cause(&render(&twice, "a"), "one name");
}

fn refused_cause(result: &Result<Rendered, SourceError>, word: &str) {
    match result {
        Err(SourceError::Refused { cause, .. }) => assert!(cause.contains(word), "{cause}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn too_much_is_refused() {
    let files: Vec<(String, String)> =
        (0..20).map(|n| (format!("a/{n}.yaml"), SERVICE.replace("web", &format!("web{n}")))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let tree = Memory::new(&files);
    let with = |limits: Limits| source::render(&tree, "a", &Options { limits, ..Options::default() });
    assert_eq!(with(Limits::default()).unwrap().objects.len(), 20);
    refused_cause(&with(Limits { files: 19, ..Limits::default() }), "19 files");
    refused_cause(&with(Limits { bytes: 100, ..Limits::default() }), "100 bytes");
    refused_cause(&with(Limits { objects: 19, ..Limits::default() }), "19 objects");
    let deep = format!("{}/x.yaml", vec!["a"; 70].join("/"));
    refused_cause(&render(&Memory::new(&[(&deep, SERVICE)]), "a"), "64 parts");
    // A bomb in one file is that file's error.
    let bomb = Memory::new(&[("a/x.yaml", &format!("{SERVICE}data: {}", "[".repeat(100_000)))]);
    assert!(matches!(render(&bomb, "a"), Err(SourceError::Invalid { path, .. }) if path == "a/x.yaml"));
}

#[test]
fn plain_secrets_are_the_users_choice() {
    let tree = Memory::new(&[("a/x.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n")]);
    assert_eq!(keys(&render(&tree, "a").unwrap()), ["Secret s"]);
}

// Discovery.

#[test]
fn directories_with_rollouts_are_found() {
    let tree = Memory::new(&[
        ("prod/web/rollout.yaml", ROLLOUT),
        ("prod/api/all.yml", &format!("{DEPLOYMENT}---\n{ROLLOUT}")),
        ("prod/broken/rollout.yaml", &format!("{ROLLOUT}  x: [\n")),
        ("prod/none/web.yaml", DEPLOYMENT),
        ("prod/argo/rollout.yaml", "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\n# not rollouts.kruise.io\n"),
        (
            "prod/docs/text.yaml",
            &format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata:\n  r: |\n    {}\n",
                ROLLOUT.replace('\n', "\n    ")
            ),
        ),
        ("prod/docs/readme.md", ROLLOUT),
        (".github/rollout.yaml", ROLLOUT),
        ("prod/list/x.yaml", "kind: List\napiVersion: v1\nitems: [{kind: Rollout, apiVersion: windlass.dev/v1alpha1}]\n"),
        ("rollout.yaml", ROLLOUT),
    ])
    .odd("prod", "link.yaml", ItemKind::Symlink)
    .odd("prod", "..", ItemKind::Directory);
    let expected = ["", "prod/api", "prod/broken", "prod/list", "prod/web"];
    assert_eq!(source::find_rollouts(&tree, "", None).unwrap(), expected);
    assert_eq!(source::find_rollouts(&tree, "prod/web", None).unwrap(), ["prod/web"]);
    assert_eq!(source::find_rollouts(&tree, "nothing", None).unwrap(), Vec::<String>::new());
    assert!(source::find_rollouts(&tree, "../x", None).is_err());

    let mut known = Known::default();
    assert_eq!(source::find_rollouts(&tree, "", Some(&mut known)).unwrap(), expected);
    let first = tree.reads.swap(0, Ordering::Relaxed);
    assert!(first >= 8);
    assert_eq!(source::find_rollouts(&tree, "", Some(&mut known)).unwrap(), expected);
    assert_eq!(tree.reads.load(Ordering::Relaxed), 0, "nothing is new");
    // The cache is plain data, and only what changed is read again.
    let text = serde_json::to_string(&known).unwrap();
    let mut known: Known = serde_json::from_str(&text).unwrap();
    let mut changed = tree;
    changed.files.insert("prod/none/rollout.yaml".to_owned(), ROLLOUT.as_bytes().to_vec());
    changed.files.remove("prod/web/rollout.yaml");
    let found = source::find_rollouts(&changed, "", Some(&mut known)).unwrap();
    assert_eq!(found, ["", "prod/api", "prod/broken", "prod/list", "prod/none"]);
    let again = changed.reads.load(Ordering::Relaxed);
    assert!((1..=2).contains(&again), "only the root's file and the new directory's are read: {again}");
}

#[test]
fn a_file_that_cannot_be_read_hides_no_other_app() {
    struct Poisoned(Memory);
    impl Tree for Poisoned {
        fn list(&self, directory: &str) -> Result<Option<Vec<Item>>, SourceError> {
            self.0.list(directory)
        }
        fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
            match path {
                "a/huge.yaml" => Err(SourceError::Refused { path: path.to_owned(), cause: "too big".to_owned() }),
                "down/x.yaml" => Err(SourceError::Repository("gone".to_owned())),
                _ => self.0.read(path),
            }
        }
        fn identity(&self, path: &str) -> Result<Option<String>, SourceError> {
            self.0.identity(path)
        }
    }
    let mut tree = Poisoned(Memory::new(&[("a/huge.yaml", ""), ("a/b/r.yaml", ROLLOUT), ("a/r.yaml", ROLLOUT)]));
    assert_eq!(source::find_rollouts(&tree, "", None).unwrap(), ["a", "a/b"]);
    tree.0.files.insert("down/x.yaml".to_owned(), Vec::new());
    assert!(matches!(source::find_rollouts(&tree, "", None), Err(SourceError::Repository(_))));
}

// Folders on disk.

fn put(root: &Path, path: &str, text: &str) {
    let file = root.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

#[test]
fn a_folder_is_a_tree() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "a/x.yaml", SERVICE);
    put(folder.path(), "a/rollout.yaml", ROLLOUT);
    put(folder.path(), ".git/config.yaml", ROLLOUT);
    let tree = Folder::new(folder.path());
    let rendered = render(&tree, "a").unwrap();
    assert_eq!(keys(&rendered), ["Service web"]);
    assert_eq!(source::find_rollouts(&tree, "", Some(&mut Known::default())).unwrap(), ["a"]);
    assert_eq!(tree.list("").unwrap().unwrap().len(), 1, ".git is not seen");
    assert_eq!(tree.list("nothing").unwrap(), None);
    assert_eq!(tree.list("a/x.yaml").unwrap(), None);
    assert_eq!(tree.identity("nothing").unwrap(), None);
    assert!(tree.read("a").is_err() && tree.read("a/nothing").is_err() && tree.read("../x").is_err());

    // Identities follow content and names, and nothing else.
    let identity = |path: &str| Folder::new(folder.path()).identity(path).unwrap().unwrap();
    let (before, file) = (identity("a"), identity("a/x.yaml"));
    assert_eq!(rendered.inputs.get("a"), Some(&before));
    put(folder.path(), "b/x.yaml", SERVICE);
    assert_eq!((identity("a"), identity("b/x.yaml")), (before.clone(), file));
    put(folder.path(), "a/deep/er/x.txt", "1");
    assert_ne!(identity("a"), before);
    fs::remove_dir_all(folder.path().join("a/deep")).unwrap();
    assert_eq!(identity("a"), before);
    fs::rename(folder.path().join("a/x.yaml"), folder.path().join("a/y.yaml")).unwrap();
    assert_ne!(identity("a"), before);
}

#[cfg(unix)]
#[test]
fn links_in_a_folder_are_told_and_not_followed() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    put(outside.path(), "secret.yaml", "canary");
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "a/x.yaml", SERVICE);
    put(folder.path(), "sub/.git", "gitdir: ../.git/modules/sub");
    put(folder.path(), ".git/config", "canary");
    symlink(outside.path().join("secret.yaml"), folder.path().join("a/link.yaml")).unwrap();
    symlink(outside.path(), folder.path().join("dir")).unwrap();
    symlink(".git", folder.path().join("git")).unwrap();
    symlink("a/link.yaml", folder.path().join("chain.yaml")).unwrap();
    let tree = Folder::new(folder.path());
    for path in ["a/link.yaml", "dir/secret.yaml", "git/config", "chain.yaml"] {
        let error = tree.read(path).unwrap_err();
        assert!(matches!(error, SourceError::Refused { .. }) && !error.to_string().contains("canary"), "{error}");
        assert!(tree.identity(path).is_err());
    }
    assert!(tree.list("dir").is_err());
    for directory in ["a", "dir", "sub", "git"] {
        refused_cause(&render(&tree, directory), if directory == "sub" { "submodule" } else { "symbolic link" });
    }
    assert_eq!(source::find_rollouts(&tree, "", None).unwrap(), Vec::<String>::new());
}
