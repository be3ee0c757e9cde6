//! Builds the plugin: link flags and build id. Run for `plugin/` by Cargo (`build = "../build.rs"`).
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
