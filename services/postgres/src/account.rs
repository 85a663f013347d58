//! Who runs PostgreSQL: it refuses to run as root, so root hands it to another account.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
};

use crate::error::{Doing, Error};

/// The account that runs PostgreSQL and owns its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether we are root and give up our rights to become this account.
    pub(crate) dropped: bool,
}

impl Account {
    /// The account for a cluster: ourselves unless we are root; then the owner of an existing cluster, else
    /// `postgres`, else `nobody`.
    pub(crate) fn for_cluster(cluster: &Path) -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if uid != 0 {
            return Self {
                name: uid.to_string(),
                uid,
                gid,
                dropped: false,
            };
        }
        let owner = fs::metadata(cluster).ok().filter(|found| found.uid() != 0);
        if let Some(owner) = owner {
            return Self {
                name: owner.uid().to_string(),
                uid: owner.uid(),
                gid: owner.gid(),
                dropped: true,
            };
        }
        let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| named(&accounts, name))
            .unwrap_or(Self {
                name: "nobody".to_owned(),
                uid: 65_534,
                gid: 65_534,
                dropped: true,
            })
    }

    /// Makes a directory that only this account can enter, or corrects the owner and mode of one that is there.
    pub(crate) fn own_private_dir(&self, directory: &Path) -> Result<(), Error> {
        let what = || format!("make {} the account's own", directory.display());
        fs::create_dir_all(directory).doing(what)?;
        if self.dropped {
            chown(directory, Some(self.uid), Some(self.gid)).doing(what)?;
        }
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).doing(what)
    }

    /// Fails with the first directory from the root down to this one that the account cannot enter.
    pub(crate) fn check_enterable(&self, directory: &Path) -> Result<(), Error> {
        let mut above: Vec<_> = directory.ancestors().collect();
        above.reverse();
        for closed in above {
            let found = fs::metadata(closed).doing(|| format!("look at {}", closed.display()))?;
            if !self.may_enter(found.uid(), found.gid(), found.mode()) {
                return Err(Error::NotEnterable {
                    directory: closed.to_owned(),
                    account: self.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// The ordinary rule: the first class that fits decides. Further groups of the account don't count, as it is
    /// started without any.
    fn may_enter(&self, uid: u32, gid: u32, mode: u32) -> bool {
        let bit = if uid == self.uid {
            0o100
        } else if gid == self.gid {
            0o010
        } else {
            0o001
        };
        // Not dropped: our own further groups may let us in, and the kernel will tell soon enough.
        !self.dropped || mode & bit != 0
    }
}

/// The entry of this name in the text of a password file. An entry that is root under another name does not count.
fn named(accounts: &str, name: &str) -> Option<Account> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        (uid != 0).then(|| Account {
            name: name.to_owned(),
            uid,
            gid,
            dropped: true,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n\
        toor:x:0:0::/:/bin/sh\nnobody:x:65534:65533::/:/bin/false\n";

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let found = named(PASSWD, "postgres").unwrap();
        assert_eq!((found.uid, found.gid), (101, 104));
        assert_eq!(named(PASSWD, "post"), None);
        assert_eq!(named(PASSWD, "nobody").unwrap().gid, 65_533);
    }

    #[test]
    fn root_under_another_name_is_no_account_to_drop_to() {
        assert_eq!(named(PASSWD, "toor"), None);
    }

    #[test]
    fn the_first_class_that_fits_decides_who_may_enter() {
        let account = named(PASSWD, "postgres").unwrap();
        assert!(account.may_enter(0, 0, 0o711));
        assert!(!account.may_enter(0, 0, 0o770));
        assert!(account.may_enter(0, 104, 0o710));
        assert!(!account.may_enter(0, 104, 0o701));
        assert!(account.may_enter(101, 0, 0o700));
        assert!(!account.may_enter(101, 0, 0o011));
    }
}
