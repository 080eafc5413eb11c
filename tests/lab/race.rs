//! Five windlass processes and three people on one repository at Gitea.

use super::repository::Repository;
use super::servers::Lab;
use crate::crash::place::Place;
use crate::crash::race::{race, wanted_commits};

#[test]
fn five_processes_and_three_people_lose_nothing_at_gitea() {
    let Some(lab) = Lab::up(&["gitea"]) else {
        return;
    };
    let repository = Repository::create(&lab, "race");
    let place = Place::gitea(&repository, &lab.folder().join("race"));
    println!("{}", race(&place, wanted_commits(100), 1));
}
