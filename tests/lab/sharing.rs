//! Two Rollouts of one directory that share a routing, on real controllers: Gitea holds the repository (`examples/shared-routing`), Flux
//! applies the live branch, the windlass program does the rest. One release is completed and the other, which overlaps it, rolled back.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::app::LONG;
use super::flux;
use super::program::Program;
use super::repository::Repository;
use super::servers::Lab;

/// What a look at the cluster saw.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    /// Whether the entry's route marks requests.
    marked: bool,
    /// Ready pods of the new versions, of `cart` and of `stock`.
    new: [u64; 2],
}

fn look(lab: &Lab) -> Option<Look> {
    let marked = lab.get("shop", "httproutes.gateway.networking.k8s.io", "entry")?.to_string().contains("gray");
    // Pods after the route: what the route relies on must be there then, too.
    let pods: Value = serde_json::from_str(&lab.kubectl(&["-n", "shop", "get", "pods", "-o", "json"])).unwrap();
    let ready = |app: &str| {
        let of = |pod: &&Value| {
            pod["spec"]["containers"][0]["image"].as_str().is_some_and(|image| image.ends_with(&format!("/{app}:1.1.0")))
        };
        let is_ready = |pod: &&Value| {
            let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
            pod["metadata"]["deletionTimestamp"].is_null()
                && conditions.into_iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
        };
        pods["items"].as_array().unwrap().iter().filter(of).filter(is_ready).count() as u64
    };
    Some(Look { marked, new: [ready("cart"), ready("stock")] })
}

struct Shop<'a> {
    lab: &'a Lab,
    repository: Repository,
    program: Program,
}

impl Shop<'_> {
    fn image(&self, app: &str) {
        let file = format!("apps/shop/{app}.yaml");
        let text = example(&file).replace(&format!("{app}:1.0.0"), &format!("{app}:1.1.0"));
        self.repository.push("main", &[(&file, Some(&text))], &format!("{app} 1.1.0"));
    }

    /// A person's word, by a windlass of her own.
    fn say(&self, word: &str, app: &str) {
        let folder = self.lab.folder().join(format!("alice-{word}-{app}"));
        std::fs::create_dir_all(&folder).unwrap();
        let environment = environment(self.lab, &self.repository, &folder);
        let environment = environment.iter().map(|(name, value)| (*name, value.as_str()));
        let status = Program::start(&folder, &[word, app], environment).wait(LONG);
        assert!(status.success(), "windlass {word} {app}");
    }

    fn wait_said(&mut self, text: &str) {
        let program = &mut self.program;
        self.lab.wait(text, LONG, || {
            let said = program.output();
            if said.contains(text) { Ok(()) } else { Err(said.lines().last().unwrap_or_default().to_owned()) }
        });
    }

    fn wait_marked(&self, marked: bool) -> Look {
        self.lab.wait(&format!("marked: {marked}"), LONG, || match look(self.lab) {
            Some(look) if look.marked == marked => Ok(look),
            other => Err(format!("{other:?}")),
        })
    }
}

fn example(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/shared-routing");
    std::fs::read_to_string(root.join(path)).unwrap()
}

fn environment(lab: &Lab, repository: &Repository, folder: &std::path::Path) -> Vec<(&'static str, String)> {
    vec![
        ("PATH", lab.var("PATH").to_owned()),
        ("KUBECONFIG", lab.var("KUBECONFIG").to_owned()),
        ("WINDLASS_REPO", repository.url.clone()),
        ("WINDLASS_USERNAME", "windlass".to_owned()),
        ("WINDLASS_TOKEN", repository.token.clone()),
        ("WINDLASS_CACHE", folder.join("cache").display().to_string()),
        ("WINDLASS_ACTOR", "alice".to_owned()),
    ]
}

#[test]
fn a_shared_routing_is_in_force_just_while_a_release_needs_it() {
    let Some(lab) = Lab::up(&["routes", "flux", "gitea"]) else { return };
    let repository = Repository::create(&lab, "chain");
    let names = ["cart.yaml", "cart-rollout.yaml", "front.yaml", "routing.yaml", "stock.yaml", "stock-rollout.yaml"];
    let mut files = vec![(".windlass.yaml".to_owned(), example(".windlass.yaml"))];
    files.extend(names.iter().map(|name| (format!("apps/shop/{name}"), example(&format!("apps/shop/{name}")))));
    let files: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (path.as_str(), Some(text.as_str()))).collect();
    repository.push("main", &files, "The first version");
    flux::apply_branch(&lab, "shop", &repository, "deploy", "apps/shop", None);
    let folder = lab.folder().join("windlass");
    std::fs::create_dir_all(&folder).unwrap();
    let variables = environment(&lab, &repository, &folder);
    let variables = variables.iter().map(|(name, value)| (*name, value.as_str()));
    let program = Program::start(&folder, &["run", "--watch", "--interval", "1s"], variables);
    let mut shop = Shop { lab: &lab, repository, program };
    shop.wait_said("stock: adopt the source as it is");
    shop.wait_marked(false);
    let over = AtomicBool::new(false);
    let looks = std::thread::scope(|scope| {
        let (lab, over) = (&lab, &over);
        let watch = scope.spawn(move || {
            let mut looks: Vec<Look> = Vec::new();
            while !over.load(Ordering::Relaxed) {
                if let Some(look) = look(lab).filter(|look| looks.last() != Some(look)) {
                    looks.push(look);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            looks
        });
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            shop.image("cart");
            assert_eq!(shop.wait_marked(true).new, [1, 0], "the first that needs it");
            shop.image("stock");
            shop.wait_said("stock: step 1/2, shift requests");
            shop.say("approve", "cart");
            shop.wait_said("cart: release 1 complete");
            assert!(look(lab).unwrap().marked, "stock needs it still");
            shop.say("rollback", "stock");
            let seen = shop.wait_marked(false);
            assert_eq!(seen.new, [4, 1], "before the new pods go");
            shop.wait_said("stock: release 1 rolled back");
        }));
        over.store(true, Ordering::Relaxed);
        let looks = watch.join().unwrap();
        if let Err(cause) = ended {
            eprintln!("{looks:#?}\n{}", shop.program.output());
            std::panic::resume_unwind(cause);
        }
        looks
    });
    println!("{looks:?}");
    assert!(looks.iter().all(|look| !look.marked || look.new != [0, 0]), "requests were marked for nobody: {looks:#?}");
    let turns = looks.windows(2).filter(|pair| pair[0].marked != pair[1].marked).count();
    assert_eq!(turns, 2, "on once, off once: {looks:#?}");
}
