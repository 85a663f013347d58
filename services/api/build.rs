//! Makes sure that there is a console to embed: where it was not built, a page that says how to build it.

use std::{fs, path::Path};

const PLACEHOLDER: &str = "<!doctype html>
<html lang=\"en\">
  <head><meta charset=\"utf-8\"><title>Portcullis</title></head>
  <body>
    <h1>The console was not built</h1>
    <p>This server was built without it. Everything else works. To have it, run <code>npm ci</code> and
    <code>npm run build</code> in <code>services/console</code> and build the server again.</p>
  </body>
</html>
";

fn main() -> Result<(), std::io::Error> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../console/dist");
    let page = folder.join("index.html");
    if !page.exists() {
        fs::create_dir_all(&folder)?;
        fs::write(&page, PLACEHOLDER)?;
    }
    println!("cargo:rerun-if-changed={}", page.display());
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
