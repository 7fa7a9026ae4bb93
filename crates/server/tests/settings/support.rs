//! Settings from sources that a test makes.

use std::{collections::HashMap, ffi::OsString, fs};

use sessile_server::{Settings, Sources};

/// Sources of which each test says what it needs.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) file: Option<&'static str>,
    pub(crate) variables: HashMap<&'static str, &'static str>,
    pub(crate) arguments: Vec<(&'static str, String)>,
    pub(crate) strict: bool,
    pub(crate) test_mode: bool,
}

impl Given {
    pub(crate) fn file(text: &'static str) -> Self {
        Self { file: Some(text), ..Self::default() }
    }

    pub(crate) fn variable(name: &'static str, value: &'static str) -> Self {
        Self { variables: HashMap::from([(name, value)]), ..Self::default() }
    }

    /// The settings, or the error's text in which the file is called `FILE`.
    pub(crate) fn load(&self) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, self.file.unwrap_or_default()).unwrap();
        let mut settings = Settings::load(Sources {
            file: self.file.map(|_| path.as_path()),
            environment: &|name| self.variables.get(name).map(OsString::from),
            arguments: &self.arguments,
            strict: self.strict,
            test_mode: self.test_mode,
        })
        .map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))?;
        if settings.server.config_path.take().is_some_and(|known| known != path) {
            return Err("another path is remembered".to_owned());
        }
        Ok(settings)
    }

    #[track_caller]
    pub(crate) fn settings(&self) -> Settings {
        self.load().unwrap()
    }

    #[track_caller]
    pub(crate) fn fails(&self, text: &str) {
        assert_eq!(self.load().err().as_deref(), Some(text));
    }
}
