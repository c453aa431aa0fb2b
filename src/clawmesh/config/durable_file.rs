//! Whole files, written so that a crash at any instruction leaves the old content or the new one.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::config::error::ConfigError;

/// The largest file of the state dir we read into memory, in bytes; a site with every sensor fits well.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Puts `content` at `path`, replacing what is there; mode 0600, on the disk when this returns.
pub fn write_atomic(path: &Path, content: &[u8]) -> Result<(), ConfigError> {
    let temp = written_beside(path, content)?;
    temp.persist(path).map_err(|e| ConfigError::io("put the new file in place", path)(e.error))?;
    sync_folder_of(path)
}

/// Like [`write_atomic`], but `Ok(false)` when there is something at `path` already, which stays as it is.
pub fn create_atomic(path: &Path, content: &[u8]) -> Result<bool, ConfigError> {
    let temp = written_beside(path, content)?;
    match temp.persist_noclobber(path) {
        Ok(_) => sync_folder_of(path).map(|()| true),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(ConfigError::io("put the new file in place", path)(e.error)),
    }
}

/// The content of a file of at most [`FILE_BYTES_MAX`] bytes; `None` when there is no file.
pub fn read_bounded(path: &Path) -> Result<Option<Vec<u8>>, ConfigError> {
    let failed = |fault| ConfigError::io("read the file", path)(fault);
    let metadata = match fs::metadata(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(failed)?,
    };
    // Opening a pipe would wait for its writer, for ever.
    if !metadata.is_file() {
        return Err(failed(io::Error::other("it is not a regular file")));
    }
    let mut content = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > FILE_BYTES_MAX {
        let found = metadata.len().max(FILE_BYTES_MAX + 1);
        return Err(ConfigError::TooLarge { found, max: FILE_BYTES_MAX, path: path.to_owned() });
    }
    Ok(Some(content))
}

/// Removes the file durably; fine when there is none.
pub fn remove_durably(path: &Path) -> Result<(), ConfigError> {
    match fs::remove_file(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(fault) => Err(ConfigError::io("remove the file", path)(fault)),
        Ok(()) => sync_folder_of(path),
    }
}

/// Creates the folder and those above it for the owner only; folders that exist keep their permissions.
pub fn create_folder(path: &Path) -> Result<(), ConfigError> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path).map_err(ConfigError::io("create the folder", path))
}

/// Refuses a secret that the group or others may touch, like ssh does.
#[cfg_attr(not(unix), expect(unused_variables, reason = "only unix has permission bits"))]
pub fn check_secret(what: &'static str, path: &Path) -> Result<(), ConfigError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = fs::metadata(path).map_err(ConfigError::io("read the permissions", path))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(ConfigError::ExposedSecret { what, mode, path: path.to_owned() });
        }
    }
    Ok(())
}

/// The temporary file vanishes when it is dropped; after a crash it stays, and nobody reads it.
fn written_beside(path: &Path, content: &[u8]) -> Result<NamedTempFile, ConfigError> {
    let folder = folder_of(path);
    create_folder(folder)?;
    let failed = |fault| ConfigError::io("write the file", path)(fault);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut temp = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(".tmp")
        .tempfile_in(folder) // tempfile itself asks for mode 0600
        .map_err(failed)?;
    temp.write_all(content).map_err(failed)?;
    temp.as_file().sync_all().map_err(failed)?;
    Ok(temp)
}

/// A rename is durable only when the folder that holds the name is.
pub fn sync_folder_of(path: &Path) -> Result<(), ConfigError> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let folder = folder_of(path);
    let synced = File::open(folder).and_then(|opened| opened.sync_all());
    synced.map_err(ConfigError::io("make the folder durable", folder))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn mode_of(path: &Path) -> u32 {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
    }

    #[test]
    fn what_is_written_is_read_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/file");
        assert!(read_bounded(&path).unwrap().is_none());
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(read_bounded(&path).unwrap().unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
    }

    #[cfg(unix)]
    #[test]
    fn files_and_folders_are_for_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/identity/node.pem");
        write_atomic(&path, b"secret").unwrap();
        assert_eq!(mode_of(&path), 0o600);
        assert_eq!(mode_of(path.parent().unwrap()), 0o700);
        assert_eq!(mode_of(&dir.path().join("state")), 0o700);
        check_secret("identity", &path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn replacing_a_file_that_all_may_read_closes_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        let error = check_secret("token", &path).unwrap_err().to_string();
        assert!(error.contains("mode 666") && error.contains("chmod 600 "), "{error}");
        write_atomic(&path, b"new").unwrap();
        assert_eq!(mode_of(&path), 0o600);
    }

    #[test]
    fn a_crash_before_the_rename_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write_atomic(&path, b"old").unwrap();
        let abandoned = written_beside(&path, b"half a n").unwrap().keep().unwrap().1;
        assert_eq!(read_bounded(&path).unwrap().unwrap(), b"old");
        write_atomic(&path, b"new").unwrap();
        assert_eq!(read_bounded(&path).unwrap().unwrap(), b"new");
        assert!(abandoned.exists() && abandoned != path);
    }

    #[test]
    fn creating_never_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert!(create_atomic(&path, b"first").unwrap());
        assert!(!create_atomic(&path, b"second").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        remove_durably(&path).unwrap();
        remove_durably(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_too_large_or_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        File::create(&path).unwrap().set_len(FILE_BYTES_MAX).unwrap();
        assert!(read_bounded(&path).is_ok());
        File::create(&path).unwrap().set_len(10 * FILE_BYTES_MAX).unwrap();
        let error = read_bounded(&path).unwrap_err().to_string();
        assert!(error.contains("10485760 bytes") && error.contains("file"), "{error}");
        let error = read_bounded(dir.path()).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }
}
