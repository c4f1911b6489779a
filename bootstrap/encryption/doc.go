// Package encryption decides which keys encrypt Secrets in etcd. The masters' files
// (EncryptionConfiguration) go through stages, each of which all masters have before
// the next begins: so no API server meets a Secret that it cannot read, and a run that
// was cut is taken up where the files say that it was. All of it is pure but for the
// rewriting of Secrets. It may import bootstrap/step.
package encryption
