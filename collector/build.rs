//! Lets cargo notice that the console was built anew: its files are embedded.

fn main() {
    println!("cargo:rerun-if-changed=../dashboards/dist");
}
